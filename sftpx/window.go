package sftpx

import (
	"context"
	"errors"
	"io"
	"math"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"

	"github.com/seed62b9dc43/transfer"
)

// errEnd is the end of a file where content was expected.
var errEnd = errors.New("end of file")

// move is a call that moves n bytes of content.
func (s *session) move(op, path string, n int) call {
	return call{op: op, path: path, limit: s.c.cfg.StallTimeout, code: transfer.Stalled, bytes: n}
}

const (
	// pieceTime is about how long one call of pkg/sftp reads: it cannot be ended before, and a file that is given up
	// must not hold the connection of others for long. Each piece costs a round trip, in which others use the connection;
	// a file that has it alone takes larger ones, but lets go before the connection is closed (patienceAfterEnd).
	pieceTime      = 2 * time.Second
	pieceTimeAlone = 4 * time.Second
	// leastPiece is read at once however slow the connection, in bytes. firstPiece is read before that is known, unless
	// nobody shares the connection.
	leastPiece = 256 << 10
	firstPiece = 1 << 20
)

// pace tells how much to read at once.
type pace struct{ rate atomic.Int64 } // bytes per second of one file, lately

func (p *pace) piece(alone bool) int {
	rate, last := p.rate.Load(), pieceTime
	switch {
	case rate == 0 && alone:
		return math.MaxInt
	case rate == 0:
		return firstPiece
	case alone:
		last = pieceTimeAlone
	}
	return int(max(leastPiece, min(rate, 1<<30)*int64(last/time.Second)))
}

// took notes how long n bytes took. Small reads say more about the distance than about the speed.
func (p *pace) took(n int, d time.Duration) {
	if n >= leastPiece {
		p.rate.Store(int64(float64(n) / max(d, time.Microsecond).Seconds()))
	}
}

// pieceOf returns as much of p as is read at once.
func (s *session) pieceOf(p []byte) []byte {
	s.packets.RLock()
	packet := s.packets.size
	s.packets.RUnlock()
	n := packet
	if !s.c.cfg.Sequential {
		n = max(n, s.pace.piece(s.c.pool.users(s) < 2)/packet*packet)
	}
	return p[:min(n, len(p))]
}

// read fills p and returns how much of it is there. It ends between two pieces if ctx does. pkg/sftp asks for many
// packets at once and in order, but takes one that is answered short for the end of the file, with a nil error in places
// (pkg/sftp#658); so what it says is checked here.
func (s *session) read(ctx context.Context, f *sftp.File, p []byte, off int64) (done int, err error) {
	for done < len(p) {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		rest := s.pieceOf(p[done:])
		started := time.Now()
		n, packet, err := s.readAt(f, rest, off+int64(done))
		done += n
		if err == nil {
			s.pace.took(n, time.Since(started))
			if len(rest) > packet {
				s.packets.full.Store(true)
			}
			continue
		}
		if isStatus(err, fxBadMessage) && packet > safePacket && !s.packets.full.Load() {
			s.shrinkTo(safePacket)
			continue
		}
		if err != io.EOF {
			return done, err
		}
		if len(rest) <= packet { // one packet: pkg/sftp has asked for the rest of it until the server said end of file
			return done, errEnd
		}
		// Either the end, or a packet that was answered short. What is left of that packet tells.
		gap := p[done:min(done+packet-n%packet, len(p))]
		m, _, err := s.readAt(f, gap, off+int64(done))
		done += m
		if err == io.EOF {
			return done, errEnd
		}
		if err != nil {
			return done, err
		}
		if n < packet && !s.packets.full.Load() {
			s.shrinkTo(n) // the first packet ever: the server's limit, and no accident
		}
	}
	return done, nil
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
	} else if s.c.cfg.Sequential {
		n, err = writeInTurn(ctx, f, p, off, packet)
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

// writeInTurn waits for the answer to each packet before it sends the next.
func writeInTurn(ctx context.Context, f *sftp.File, p []byte, off int64, packet int) (n int, err error) {
	for n < len(p) && err == nil && ctx.Err() == nil {
		var m int
		m, err = f.WriteAt(p[n:min(n+packet, len(p))], off+int64(n))
		n += m
	}
	return n, err
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
