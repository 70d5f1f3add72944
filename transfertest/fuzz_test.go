package transfertest

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
)

// packet builds what a client sends.
func packet(kind byte, fields ...any) []byte {
	b := []byte{0, 0, 0, 0, kind}
	for _, f := range fields {
		switch f := f.(type) {
		case int:
			b = binary.BigEndian.AppendUint32(b, uint32(f))
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(f))
		case string:
			b = appendString(b, f)
		}
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// Whatever a client sends, the server does not panic and does not hang.
func FuzzSession(f *testing.F) {
	open := packet(fxpOpen, 1, "a", flagRead|flagWrite|flagCreate, 0)
	for _, seed := range [][]byte{
		packet(fxpInit, 3),
		bytes.Join([][]byte{
			open, packet(fxpWrite, 2, "1", int64(5), "data"), packet(fxpRead, 3, "1", int64(0), 100),
			packet(fxpFstat, 4, "1"), packet(fxpFsetstat, 5, "1", attrSize, int64(2)), packet(fxpClose, 6, "1"),
		}, nil),
		bytes.Join([][]byte{
			open, packet(fxpWrite, 2, "1", int64(-1), "x"), packet(fxpWrite, 3, "1", int64(1)<<62, "x"),
			packet(fxpRead, 4, "1", int64(-1), 1), packet(fxpSetstat, 5, "a", attrSize, int64(1)<<62),
		}, nil),
		bytes.Join([][]byte{
			packet(fxpMkdir, 1, "d", 0), packet(fxpOpendir, 2, "d"), packet(fxpReaddir, 3, "1"), packet(fxpRead, 4, "1"),
			packet(fxpRename, 5, "d", "d/e"), packet(fxpExtended, 6, extPosixRename, "d", "e"), packet(fxpRmdir, 7, "e"),
			packet(fxpExtended, 8, extStatVFS, "/"), packet(fxpSymlink, 9, "a", "b"), packet(fxpReadlink, 10, "b"),
			packet(fxpRealpath, 11, ".."), packet(fxpRemove, 12, "/"), packet(250, 13),
		}, nil),
		{0, 0, 0, 0}, {255, 255, 255, 255, 1}, {0, 0, 0, 1, fxpOpen},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		srv := &SFTPServer{
			home: "/", files: newMemFS(), reading: map[string]int{}, extracted: map[string]bool{},
			stats: SFTPStats{Requests: map[SFTPOp]int{}},
		}
		srv.SetFaults(SFTPFaults{
			Sequential: len(in)%2 == 1, ReadOnce: len(in)%3 == 1, OpenOnce: len(in)%5 == 1,
			StatConsumes: len(in)%7 == 1, AppendOnly: len(in)%11 == 1, OneRequest: len(in)%13 == 1,
		})
		var out bytes.Buffer
		s := newSFTPSession(t.Context(), &serverConn{server: srv}, struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(in), &out})
		s.serve()
		s.close()
		if n := srv.Stats().Handles; n != 0 {
			t.Errorf("%d handles are left", n)
		}
	})
}
