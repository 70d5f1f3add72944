package watch

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"
)

// key stands for a path, or for a version of a file: the beginning of a hash. With 200,000 paths two are the same by
// chance once in a billion watches.
type key uint64

func keyOf(text string) key {
	sum := sha256.Sum256([]byte(text))
	return key(binary.BigEndian.Uint64(sum[:]))
}

// known is what a watch remembers of one path.
type known struct {
	version key
	started bool // in this version; the fields below are of one that was not

	since   time.Time // when this version was seen first
	counted time.Time // when checks was raised, or since
	checks  int       // looks after the first that saw this version, an interval apart
}

// table is what a watch remembers, by path.
type table map[key]known

// marshal returns the table as bytes: 17 for each file that was started, about 35 for each that waits.
func (t table) marshal() []byte {
	out := make([]byte, 0, 17*len(t))
	for path, k := range t {
		out = k.marshal(out, path)
	}
	return out
}

const (
	tagWaiting byte = 1
	tagStarted byte = 2
)

func (k known) marshal(out []byte, path key) []byte {
	tag := tagWaiting
	if k.started {
		tag = tagStarted
	}
	out = append(out, tag)
	out = binary.BigEndian.AppendUint64(out, uint64(path))
	out = binary.BigEndian.AppendUint64(out, uint64(k.version))
	if k.started {
		return out
	}
	out = binary.AppendVarint(out, k.since.UnixMicro())
	out = binary.AppendVarint(out, k.counted.UnixMicro())
	return binary.AppendUvarint(out, uint64(k.checks))
}

var errTable = errors.New("the state of the watch is damaged")

// parseTable reads what marshal made.
func parseTable(data []byte) (table, error) {
	t := make(table, len(data)/17)
	for len(data) > 0 {
		if len(data) < 17 || data[0] != tagStarted && data[0] != tagWaiting {
			return nil, errTable
		}
		path := key(binary.BigEndian.Uint64(data[1:]))
		k := known{version: key(binary.BigEndian.Uint64(data[9:])), started: data[0] == tagStarted}
		data = data[17:]
		if !k.started {
			var ok bool
			if data, ok = k.parseWaiting(data); !ok {
				return nil, errTable
			}
		}
		t[path] = k
	}
	return t, nil
}

func (k *known) parseWaiting(data []byte) (rest []byte, ok bool) {
	since, n := binary.Varint(data)
	if n <= 0 {
		return nil, false
	}
	counted, m := binary.Varint(data[n:])
	if m <= 0 {
		return nil, false
	}
	checks, l := binary.Uvarint(data[n+m:])
	if l <= 0 || checks > maxUnchanged {
		return nil, false
	}
	k.since, k.counted, k.checks = time.UnixMicro(since).UTC(), time.UnixMicro(counted).UTC(), int(checks)
	return data[n+m+l:], true
}
