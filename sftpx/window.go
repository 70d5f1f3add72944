package sftpx

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// errEnd is the end of a file where content was expected.
var errEnd = errors.New("end of file")

// window is a piece of a file that is being read or written, in many requests at once.
type window struct {
	f   *file
	p   []byte
	off int64

	cond     sync.Cond // something has happened that this window waits for; its lock is f.mu, which guards the fields below
	sent     int       // bytes from the start on that were asked for
	again    []part    // to be asked for once more: answered short, or lost with a lane
	underWay int       // requests
	filling  int       // parts that are being read into p
	hungry   bool      // it waits for a seat
	left     bool      // nobody wants the answers any more
	err      error
}

// part is what one request is for.
type part struct {
	off, n int // in the window
	at     *seat
	short  int // not 0: it is what was missing of an answer of so many bytes, the server's limit perhaps
}

// sendAll makes requests until there is an answer, or none is missing, for all of the window.
func (w *window) sendAll(ctx context.Context) error {
	var parts [16]part
	for {
		n, err := w.next(ctx, parts[:])
		if n == 0 || err != nil {
			return err
		}
		if w.f.write {
			err = w.sendWrites(parts[:n])
		} else {
			err = w.sendReads(parts[:n])
		}
		if err != nil {
			return err
		}
	}
}

// next takes the next parts, waiting for a seat. There are none once all were asked for, and nothing is to be asked again.
func (w *window) next(ctx context.Context, parts []part) (n int, err error) {
	f := w.f
	f.mu.Lock()
	defer f.mu.Unlock()
	packet := f.s.packetSize()
	for {
		for n < len(parts) && w.err == nil && ctx.Err() == nil && (len(w.again) > 0 || w.sent < len(w.p)) {
			at := f.free()
			if at == nil {
				break
			}
			parts[n] = w.take(at, packet)
			n++
			if f.write { // it may wait for the channel: one at a time, so that the choice of lanes is fresh
				break
			}
		}
		switch {
		case w.err != nil || ctx.Err() != nil:
			return n, w.failure(ctx) // the caller leaves
		case n > 0 || len(w.again) == 0 && w.sent == len(w.p):
			return n, nil
		}
		w.hungry = true
		w.cond.Wait()
		w.hungry = false
	}
}

// take takes one part off what is to be asked for. f.mu is locked.
func (w *window) take(at *seat, packet int) part {
	p := part{at: at}
	if len(w.again) > 0 {
		first := &w.again[0]
		p.off, p.n, p.short = first.off, min(packet, first.n), first.short
		first.off, first.n, first.short = first.off+p.n, first.n-p.n, 0
		if first.n == 0 {
			w.again = w.again[1:]
		}
	} else {
		p.off, p.n = w.sent, min(packet, len(w.p)-w.sent)
		w.sent += p.n
	}
	w.underWay++
	at.requests++
	at.bytes += p.n
	return p
}

// sendReads sends requests for parts; those for one lane go together.
func (w *window) sendReads(parts []part) error {
	var room [headSize + 4 + maxHandle + 12]byte
	for i, p := range parts {
		l := p.at.lane
		id, err := l.note(request{part: p, window: w})
		if err != nil {
			w.answered(p, 0, err)
			continue
		}
		l.post(appendRead(room[:0], id, p.at.handle, w.off+int64(p.off), p.n))
		if i+1 < len(parts) && parts[i+1].at == p.at {
			continue
		}
		if err := l.push(); err != nil {
			l.end(err)
		}
	}
	return nil
}

// sendWrites sends parts.
func (w *window) sendWrites(parts []part) error {
	var room [headSize + 4 + maxHandle + 12]byte
	for _, p := range parts {
		l := p.at.lane
		id, err := l.note(request{part: p, window: w})
		if err != nil {
			w.answered(p, 0, err)
			continue
		}
		head := appendWrite(room[:0], id, p.at.handle, w.off+int64(p.off), p.n)
		if err := l.sendContent(head, w.p[p.off:p.off+p.n]); err != nil {
			l.end(err)
		}
	}
	return nil
}

// await waits until all was answered, or something is to be asked again.
func (w *window) await(ctx context.Context) (again bool, err error) {
	f := w.f
	f.mu.Lock()
	defer f.mu.Unlock()
	for w.err == nil && ctx.Err() == nil && len(w.again) == 0 && w.underWay > 0 {
		w.cond.Wait()
	}
	if w.err == nil && w.underWay == 0 && len(w.again) == 0 {
		return false, nil
	}
	return len(w.again) > 0, w.failure(ctx)
}

func (w *window) failure(ctx context.Context) error {
	if w.err != nil {
		return w.err
	}
	return ctx.Err()
}

// leave makes sure that nothing touches p any more.
func (w *window) leave() {
	f := w.f
	f.mu.Lock()
	defer f.mu.Unlock()
	w.left = true
	for w.filling > 0 {
		w.cond.Wait()
	}
	f.windows = slices.DeleteFunc(f.windows, func(other *window) bool { return other == w })
}

func (w *window) wake() {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	w.cond.Signal()
}

// fill returns where the content of a part goes; nil if nobody wants it. filled has to follow.
func (w *window) fill(p part) []byte {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	if w.left {
		return nil
	}
	w.filling++
	return w.p[p.off : p.off+p.n]
}

func (w *window) filled() {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	w.filling--
	if w.left {
		w.cond.Signal()
	}
}

// answered takes the answer to a request for p: n bytes of it, or an error.
func (w *window) answered(p part, n int, err error) {
	f := w.f
	f.mu.Lock()
	defer f.mu.Unlock()
	w.underWay--
	p.at.requests--
	p.at.bytes -= p.n
	switch {
	case w.left:
	case err == nil:
		w.took(p, n)
	case f.seats[0] != p.at && err != io.EOF: // the first lane tells whether it is the lane or the file
		p.at.gone = true
		w.again = append(w.again, p)
	case p.n > safePacket && isStatus(err, fxBadMessage) && f.s.triesLarge(f.write):
		f.s.shrinkTo(safePacket)
		w.again = append(w.again, p)
	case w.err == nil:
		if w.err = err; err == io.EOF {
			w.err = errEnd
		}
	}
	if w.err != nil || len(w.again) > 0 || w.underWay == 0 {
		w.cond.Signal()
	}
	for _, other := range f.windows {
		if other.hungry {
			other.cond.Signal()
		}
	}
}

// took notes that n bytes of p have moved. f.mu is locked.
func (w *window) took(p part, n int) {
	f, s := w.f, w.f.s
	if f.write {
		if p.n > safePacket {
			s.packets.carried.Store(true)
		}
		return
	}
	f.got.Add(int64(n))
	packet, full := s.packetSize(), s.packets.full.Load()
	if p.short > 0 && n > 0 && !full {
		s.shrinkTo(p.short)
	}
	switch {
	case n == p.n:
		if n >= packet {
			s.packets.full.Store(true)
		}
	case n == 0:
		w.err = errEnd
	default:
		rest := part{off: p.off + n, n: p.n - n}
		if p.n == packet && !full {
			rest.short = n
		}
		w.again = append(w.again, rest)
	}
}

// move is a call that moves n bytes of content of f.
func (s *session) move(op string, f *file, n int) call {
	return call{op: op, path: f.path, limit: s.c.cfg.StallTimeout, code: transfer.Stalled, bytes: n, file: f}
}

// tookTrip notes how long an answer took that was no content. The quickest says how far the server is.
func (s *session) tookTrip(d time.Duration) {
	for {
		old := s.trip.Load()
		if old > 0 && old <= int64(d) || s.trip.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}
