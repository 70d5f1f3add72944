package sftpx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// pipe is a channel on which a server has said all that it will say.
type pipe struct {
	io.Reader
	sent bytes.Buffer
}

func (p *pipe) Write(b []byte) (int, error) { return p.sent.Write(b) }

// asking is a wire with two READs of 10 bytes each, a WRITE of 5 and an OPEN under way, in this order.
func asking(t *testing.T, said []byte) (w *wire, out *pipe, windows []*window, opened <-chan reply) {
	t.Helper()
	out = &pipe{Reader: bytes.NewReader(said)}
	w = newWire(out)
	s := &session{c: &Connector{log: slog.New(slog.DiscardHandler)}}
	s.packets.size.Store(10)
	s.first = &lane{s: s, wire: w}
	for i, n := range []int{10, 10, 5} {
		f := &file{s: s, write: i == 2, seats: []*seat{{lane: s.first, handle: "h"}}}
		piece := &window{f: f, p: make([]byte, n)}
		piece.cond.L = &f.mu
		_, err := w.note(request{window: piece, part: piece.take(f.seats[0], n)})
		require.NoError(t, err)
		windows = append(windows, piece)
	}
	opened, err := w.ask(fxpOpen, func(b []byte) []byte { return appendString(b, "/a") })
	require.NoError(t, err)
	return w, out, windows, opened
}

// packet is what a server says.
func packet(kind byte, id uint32, body ...byte) []byte {
	return sized(append(appendHead(nil, kind, id), body...))
}

func join(packets ...[]byte) []byte { return bytes.Join(packets, nil) }

var (
	tenBytes = append([]byte{0, 0, 0, 10}, "0123456789"...)
	done     = []byte{0, 0, 0, 0}
	atEnd    = []byte{0, 0, 0, 1}
	nothing  = []byte{0, 0, 0, 2}
)

// Answers find their requests in any order, and what is pkg/sftp's comes out of Read as it was.
func TestWire(t *testing.T) {
	t.Parallel()
	theirs := join(packet(2, 3), packet(fxpStatus, 7, nothing...), packet(fxpHandle, 9, 0, 0, 0, 1, 'x'))
	said := join(theirs, packet(fxpStatus, ownIDs|3, done...), packet(fxpData, ownIDs|2, tenBytes...),
		packet(fxpHandle, ownIDs|4, 0, 0, 0, 2, 'h', 'h'), theirs, packet(fxpStatus, ownIDs|1, atEnd...))
	w, out, windows, opened := asking(t, said)
	got, err := io.ReadAll(w)
	require.NoError(t, err)
	require.Equal(t, join(theirs, theirs), got)
	require.Equal(t, errEnd, windows[0].err)
	require.NoError(t, windows[1].err)
	require.Equal(t, "0123456789", string(windows[1].p))
	require.NoError(t, windows[2].err)
	a := <-opened
	require.NoError(t, a.err)
	require.Equal(t, "\x00\x00\x00\x02hh", string(a.body))
	require.Equal(t, packet(fxpOpen, ownIDs|4, 0, 0, 0, 2, '/', 'a'), out.sent.Bytes())
	_, err = w.note(request{})
	require.ErrorAs(t, err, &wireLost{}, "there are no more answers")
}

// A packet of pkg/sftp is sent as one, however it comes.
func TestWireSendsWholePackets(t *testing.T) {
	t.Parallel()
	out := &pipe{Reader: bytes.NewReader(nil)}
	w := newWire(out)
	one, other := packet(fxpOpen, 1, []byte("something")...), packet(fxpClose, 2, 1, 2, 3)
	for _, b := range join(one, other) {
		_, err := w.Write([]byte{b})
		require.NoError(t, err)
		require.Contains(t, [][]byte{nil, {}, one, join(one, other)}, bytes.Clone(out.sent.Bytes()))
	}
	_, err := w.Write(packet(fxpClose, ownIDs|1))
	require.ErrorContains(t, err, "requests")
}

// What no server may say ends the wire, and every request with it.
func TestWireRefuses(t *testing.T) {
	t.Parallel()
	for name, said := range map[string][]byte{
		"a packet without an id":            {0, 0, 0, 4, fxpStatus, 0, 0, 0, 0},
		"an answer to nothing":              packet(fxpStatus, ownIDs|99, done...),
		"a second answer":                   join(packet(fxpStatus, ownIDs|3, done...), packet(fxpStatus, ownIDs|3, done...)),
		"more than was asked for":           packet(fxpData, ownIDs|1, append([]byte{0, 0, 0, 11}, "0123456789x"...)...),
		"more than the packet holds":        packet(fxpData, ownIDs|1, append([]byte{0, 0, 0, 10}, "0123"...)...),
		"content without a length":          packet(fxpData, ownIDs|1, 0, 0),
		"a handle for content":              packet(fxpHandle, ownIDs|1, 0, 0, 0, 1, 'h'),
		"content for a name":                packet(fxpData, ownIDs|4, make([]byte, wireRead+1)...),
		"a status without a code":           packet(fxpStatus, ownIDs|2, 0),
		"an answer that ends in the middle": packet(fxpData, ownIDs|1, tenBytes...)[:15],
		"nothing":                           nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _, windows, opened := asking(t, said)
			_, err := io.ReadAll(w)
			if len(said) > 0 {
				require.Error(t, err)
			}
			require.Error(t, (<-opened).err)
			require.Error(t, windows[0].err)
			require.True(t, isBroken(windows[0].err))
			for _, piece := range windows {
				require.Zero(t, piece.underWay)
				require.Zero(t, piece.filling)
			}
		})
	}
}

func TestParseStatus(t *testing.T) {
	t.Parallel()
	text := func(code byte, said string) []byte {
		return append([]byte{0, 0, 0, code, 0, 0, 0, byte(len(said))}, said...)
	}
	require.NoError(t, parseStatus(done))
	require.Equal(t, io.EOF, parseStatus(atEnd))
	require.ErrorIs(t, parseStatus(nothing), fs.ErrNotExist)
	require.ErrorIs(t, parseStatus(text(3, "no")), fs.ErrPermission)
	require.True(t, isStatus(parseStatus(text(4, "disk\x1b")), fxFailure))
	require.EqualError(t, parseStatus(text(4, "dis\x1bk")), `sftp: "dis\x1bk" (status 4)`)
	require.ErrorIs(t, parseStatus(nil), errProtocol)
	require.False(t, isStatus(errors.New("x"), fxFailure))
}

// Whatever a server says: no panic, each request is answered once, and nothing is written outside of what was asked for.
func FuzzWire(f *testing.F) {
	f.Add(join(packet(fxpStatus, ownIDs|3, done...), packet(fxpData, ownIDs|2, tenBytes...), packet(2, 3)))
	f.Add(join(packet(fxpData, ownIDs|1, append([]byte{0, 0, 0, 3}, "abc"...)...), packet(fxpHandle, ownIDs|4, 0, 0, 0, 1, 'h')))
	f.Add(packet(fxpData, ownIDs|1, 0xff, 0xff, 0xff, 0xff))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, fxpData, 0x80, 0, 0, 1})
	f.Add(binary.BigEndian.AppendUint32(nil, 5))
	f.Fuzz(func(t *testing.T, said []byte) {
		w, _, windows, opened := asking(t, said)
		_, err := io.Copy(io.Discard, w)
		require.True(t, err == nil || len(said) > 0)
		<-opened
		for _, piece := range windows {
			require.Zero(t, piece.underWay)
			require.Zero(t, piece.filling)
		}
	})
}

// The attributes that tell versions of a file apart are read in any combination.
func TestParseAttrs(t *testing.T) {
	t.Parallel()
	all := []byte{0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 1, 164, 0, 0, 0, 5, 0, 0, 0, 6}
	size, modified, ok := parseAttrs(all)
	require.True(t, ok)
	require.EqualValues(t, 256, size)
	require.EqualValues(t, 6, modified)
	size, modified, ok = parseAttrs(append([]byte{0, 0, 0, 9}, append(all[4:12:12], all[24:]...)...))
	require.True(t, ok)
	require.EqualValues(t, 256, size)
	require.EqualValues(t, 6, modified)
	for i := range all {
		_, _, ok = parseAttrs(all[:i])
		require.False(t, ok)
	}
	_, _, ok = parseAttrs(append([]byte{0, 0, 0, 1}, all[4:]...))
	require.False(t, ok, "without a time")
}
