package transfertest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Packet types of SFTP version 3.
const (
	fxpInit = iota + 1
	fxpVersion
	fxpOpen
	fxpClose
	fxpRead
	fxpWrite
	fxpLstat
	fxpFstat
	fxpSetstat
	fxpFsetstat
	fxpOpendir
	fxpReaddir
	fxpRemove
	fxpMkdir
	fxpRmdir
	fxpRealpath
	fxpStat
	fxpRename
	fxpReadlink
	fxpSymlink

	fxpStatus   = 101
	fxpHandle   = 102
	fxpData     = 103
	fxpName     = 104
	fxpAttrs    = 105
	fxpExtended = 200
	fxpReply    = 201
)

const (
	extPosixRename = "posix-rename@openssh.com"
	extStatVFS     = "statvfs@openssh.com"
	extFsync       = "fsync@openssh.com"
)

// Flags of OPEN.
const (
	flagRead = 1 << iota
	flagWrite
	flagAppend
	flagCreate
	flagTruncate
	flagExclusive
)

// Flags of attributes.
const (
	attrSize     = 0x1
	attrOwner    = 0x2
	attrMode     = 0x4
	attrTimes    = 0x8
	attrExtended = 0x80000000
)

var errShortPacket = errors.New("transfertest: packet ends early")

// decoder takes a packet apart; the first error stays.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) take(n int) []byte {
	if d.err != nil || n > len(d.rest) {
		d.err = errShortPacket
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) u32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) bytes() []byte  { return d.take(int(min(d.u32(), maxPacket))) }
func (d *decoder) string() string { return string(d.bytes()) }

// attributes are what SETSTAT, FSETSTAT, OPEN and MKDIR carry.
type attributes struct {
	flags uint32
	size  int64
	mode  fs.FileMode
	atime time.Time
	mtime time.Time
}

func (d *decoder) attrs() (a attributes) {
	a.flags = d.u32()
	if a.flags&attrSize != 0 {
		a.size = int64(d.u64())
	}
	if a.flags&attrOwner != 0 {
		d.take(8)
	}
	if a.flags&attrMode != 0 {
		a.mode = fs.FileMode(d.u32() & 0o777)
	}
	if a.flags&attrTimes != 0 {
		a.atime, a.mtime = time.Unix(int64(d.u32()), 0), time.Unix(int64(d.u32()), 0)
	}
	return a
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

func appendAttrs(b []byte, i fs.FileInfo) []byte {
	b = binary.BigEndian.AppendUint32(b, attrSize|attrOwner|attrMode|attrTimes)
	b = binary.BigEndian.AppendUint64(b, uint64(i.Size()))
	b = binary.BigEndian.AppendUint32(b, ownerID)
	b = binary.BigEndian.AppendUint32(b, ownerID)
	b = binary.BigEndian.AppendUint32(b, unixMode(i.Mode()))
	seconds := uint32(i.ModTime().Unix())
	b = binary.BigEndian.AppendUint32(b, seconds)
	return binary.BigEndian.AppendUint32(b, seconds)
}

// ownerID is the user and group that everything belongs to.
const ownerID = 1000

func unixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	switch {
	case m.IsDir():
		return mode | 0o040000
	case m&fs.ModeSymlink != 0:
		return mode | 0o120000
	default:
		return mode | 0o100000
	}
}

// longName is a line as "ls -l" prints it, which v3 wants beside each name.
func longName(i fs.FileInfo) string {
	return fmt.Sprintf("%s    1 partner  partner  %10d %s %s", i.Mode(), i.Size(), i.ModTime().Format("Jan _2 15:04"),
		i.Name())
}
