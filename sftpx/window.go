package sftpx

import (
	"context"
	"errors"
	"io"

	"github.com/pkg/sftp"

	"github.com/seed62b9dc43/transfer"
)

// errEnd is the end of a file where content was expected.
var errEnd = errors.New("end of file")

// move is a call that moves n bytes of content.
func (s *session) move(op, path string, n int) call {
	return call{op: op, path: path, limit: s.c.cfg.StallTimeout, code: transfer.Stalled, bytes: n}
}

// read fills p. pkg/sftp asks for many packets at once and in order, but takes one that is answered short for the end of
// the file, with a nil error in places (pkg/sftp#658); so what it says is checked here.
func (s *session) read(f *sftp.File, p []byte, off int64) error {
	for done := 0; done < len(p); {
		rest := p[done:]
		n, packet, err := s.readAt(f, rest, off+int64(done))
		done += n
		if err == nil {
			if len(rest) > packet {
				s.packets.full.Store(true)
			}
			return nil
		}
		if isStatus(err, fxBadMessage) && packet > safePacket && !s.packets.full.Load() {
			s.shrinkTo(safePacket)
			continue
		}
		if err != io.EOF {
			return err
		}
		if len(rest) <= packet { // one packet: pkg/sftp has asked for the rest of it until the server said end of file
			return errEnd
		}
		// Either the end, or a packet that was answered short. What is left of that packet tells.
		gap := p[done:min(done+packet-n%packet, len(p))]
		m, _, err := s.readAt(f, gap, off+int64(done))
		done += m
		if err == io.EOF {
			return errEnd
		}
		if err != nil {
			return err
		}
		if n < packet && !s.packets.full.Load() {
			s.shrinkTo(n) // the first packet ever: the server's limit, and no accident
		}
	}
	return nil
}

// readAt is one ReadAt, and the size of the packets that it used.
func (s *session) readAt(f *sftp.File, p []byte, off int64) (n, packet int, err error) {
	s.packets.RLock()
	defer s.packets.RUnlock()
	n, err = f.ReadAt(p, off)
	if err == nil && n < len(p) {
		err = io.EOF // see the package documentation of pkg/sftp: not trusted
	}
	return n, s.packets.size, err
}

// write writes p at off.
func (s *session) write(ctx context.Context, f *sftp.File, p []byte, off int64) error {
	packet, err := s.writeAt(ctx, f, p, off)
	large := packet > safePacket && len(p) > safePacket
	switch {
	case !large:
	case err == nil:
		s.packets.carried.Store(true)
		s.c.lostLarge.Store(0)
	case s.packets.carried.Load():
	case isStatus(err, fxBadMessage):
		s.shrinkTo(safePacket)
		_, err = s.writeAt(ctx, f, p, off)
	case isBroken(err) && ctx.Err() == nil && s.c.lostLarge.Add(1) >= 2:
		s.c.learn(safePacket) // twice is no accident: the server hangs up on large packets
	}
	return err
}

// writeAt writes p in packets, with many under way, in order. It ends early if ctx does.
func (s *session) writeAt(ctx context.Context, f *sftp.File, p []byte, off int64) (packet int, err error) {
	s.packets.RLock()
	defer s.packets.RUnlock()
	packet = s.packets.size
	n := 0
	if len(p) <= packet {
		n, err = f.WriteAt(p, off)
	} else if _, err = f.Seek(off, io.SeekStart); err == nil {
		var sent int64
		sent, err = f.ReadFromWithConcurrency(&windowReader{ctx, p}, (len(p)+packet-1)/packet)
		n = int(sent)
	}
	if err == nil && n < len(p) {
		if err = ctx.Err(); err == nil {
			err = io.ErrShortWrite
		}
	}
	return packet, err
}

// windowReader hands out a window and ends early once ctx has ended: the shortest way out for a call of pkg/sftp.
type windowReader struct {
	ctx  context.Context
	rest []byte
}

func (r *windowReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 || r.ctx.Err() != nil {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
