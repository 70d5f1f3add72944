package sftpx

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// file is a file on the server, open on one lane or on several.
type file struct {
	s     *session // of the first lane
	path  string
	size  int64 // bytes that will have moved at the end
	write bool
	// inTurn sends one request at a time.
	inTurn bool
	got    atomic.Int64  // bytes read
	asked  atomic.Int64  // bytes that were asked for, or sent
	ended  chan struct{} // closed with the file
	turn   chan struct{} // whoever is in it sends its window

	same func(l *lane, handle string) error // whether another lane has opened the same file; nil: there is one lane

	mu      sync.Mutex // guards the fields below, and those of its windows
	seats   []*seat    // the first one stays
	tried   []*lane    // that it is on, or was to be
	windows []*window  // under way
	grows   bool       // recruit was started
	settled bool       // there will be no more lanes
	joining int        // seats that are being made
	joined  *sync.Cond // joining has become less
	closing bool
}

// seat is a file's place on a lane.
type seat struct {
	lane     *lane
	handle   string
	bytes    int // under way
	requests int // under way
	gone     bool
}

// openFile opens a file on the session's first lane. It is to be called in do.
func (s *session) openFile(path string, flags uint32) (*file, error) {
	handle, err := s.first.open(path, flags)
	if err != nil {
		return nil, err
	}
	f := &file{s: s, path: path, ended: make(chan struct{}), tried: []*lane{s.first}, write: flags&fxfWrite != 0, inTurn: s.c.cfg.Sequential, turn: make(chan struct{}, 1), seats: []*seat{{lane: s.first, handle: handle}}}
	f.joined = sync.NewCond(&f.mu)
	return f, nil
}

// close closes the file on every lane and waits for the answers. It is to be called in do.
func (f *file) close() error {
	f.mu.Lock()
	f.closing = true
	close(f.ended)
	for f.joining > 0 {
		f.joined.Wait()
	}
	seats := f.seats
	f.mu.Unlock()
	answers := make([]<-chan reply, len(seats))
	errs := make([]error, len(seats))
	for i, at := range seats {
		answers[i], errs[i] = at.lane.ask(fxpClose, func(b []byte) []byte { return appendString(b, at.handle) })
	}
	for i, at := range seats {
		if errs[i] == nil {
			errs[i] = (<-answers[i]).err
		}
		if i > 0 {
			f.s.c.pool.leave(at.lane.s)
			if at.gone || isBroken(errs[i]) { // what it had under way was moved by others
				errs[i] = nil
			}
		}
	}
	return errors.Join(errs...)
}

// settle writes p, the whole file, if there is one to be written, asks for the size if look is set, and closes the file:
// all without waiting in between, which only servers are asked for that do one thing after the other. The size is -1 if the
// server does not say it. It is to be called in do.
func (f *file) settle(p []byte, look bool) (size int64, err error) {
	f.mu.Lock()
	at := f.seats[0]
	f.mu.Unlock()
	var written, looked <-chan reply
	if len(p) > 0 {
		written, err = at.lane.askWithNext(fxpWrite, func(b []byte) []byte {
			b = binary.BigEndian.AppendUint64(appendString(b, at.handle), 0)
			return append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
		})
	}
	if look && err == nil {
		looked, err = at.lane.askWithNext(fxpFstat, func(b []byte) []byte { return appendString(b, at.handle) })
	}
	if closed := f.close(); err == nil {
		err = closed
	}
	if written != nil {
		if a := <-written; a.err != nil {
			err = a.err
		}
	}
	size = -1
	if looked != nil && err == nil {
		if a := <-looked; a.err == nil && a.kind == fxpAttrs {
			size, _, _ = parseAttrs(a.body)
		}
	}
	return size, err
}

// sync brings what was written to the server's disk (fsync@openssh.com). It is to be called in do.
func (f *file) sync() error {
	at := f.seats[0]
	_, err := at.lane.extended("fsync@openssh.com", func(b []byte) []byte { return appendString(b, at.handle) })
	return err
}

// move reads a file's content from off on into p, or writes it from there. Windows that move at once send their requests
// one after the other. It is to be called in do.
func (f *file) move(ctx context.Context, p []byte, off int64) error {
	w := &window{f: f, p: p, off: off}
	w.cond.L = &f.mu
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	f.mu.Lock()
	f.windows = append(f.windows, w)
	if !f.grows && f.wanted().lanes > 1 {
		f.grows = f.s.spawn(f.recruit)
	}
	f.mu.Unlock()
	f.asked.Add(int64(len(p)))
	defer context.AfterFunc(ctx, w.wake)()
	err := w.sendAll(ctx)
	<-f.turn
	for err == nil {
		var more bool
		if more, err = w.await(ctx); !more {
			break
		}
		err = w.sendAll(ctx) // what was answered short, or not at all
	}
	w.leave()
	return err
}

// expect says how many bytes will have moved at the end, as far as that is known.
func (f *file) expect(size int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size = size
}

// free returns the seat with the least under way of those that may have more, or nil. mu is locked.
func (f *file) free() *seat {
	var best *seat
	limit := f.limit()
	for _, at := range f.seats {
		if !at.gone && at.requests < limit.requests && (at.requests == 0 || at.bytes < limit.bytes) && (best == nil || at.bytes < best.bytes) {
			best = at
		}
	}
	return best
}

// limit is how much one lane may have under way of a file.
type limit struct{ requests, bytes int }

const (
	leastInFlight = 64
	mostInFlight  = 1024
	// channelWindow is what an x/crypto/ssh channel takes in before it is read, and what OpenSSH takes.
	channelWindow = 2 << 20
	// laneWrites is how much a lane may have to be acknowledged where there are several: more would wait for the channel's
	// window, and hold up the other lanes.
	laneWrites = channelWindow - 255<<10
	// laneBytes is how much of one file a lane may have under way otherwise. Nearby, half of it for downloads: asking for
	// more makes them slower (BenchmarkDownload), as the server reads far ahead of what it can send.
	laneBytes = 2 * channelWindow
)

func (f *file) limit() limit {
	packet := f.s.packetSize()
	l := limit{min(max(leastInFlight, channelWindow/packet), mostInFlight), laneBytes}
	switch {
	case f.inTurn:
		l.requests = 1
	case len(f.seats) > 1 && f.write:
		l.bytes = laneWrites
	case !f.write && f.s.trip.Load() < laneTrip:
		l.bytes = laneBytes / 2
	}
	return l
}

// sessions returns those that have something of the file under way; at least the first.
func (f *file) sessions() []*session {
	f.mu.Lock()
	defer f.mu.Unlock()
	var busy []*session
	for _, at := range f.seats {
		if at.requests > 0 && !slices.Contains(busy, at.lane.s) {
			busy = append(busy, at.lane.s)
		}
	}
	if len(busy) == 0 {
		busy = append(busy, f.s)
	}
	return busy
}

// recruit puts the file on more lanes as they come up, until there are as many as it is worth.
func (f *file) recruit() {
	for {
		f.mu.Lock()
		want := f.wanted()
		f.mu.Unlock()
		lanes, changed := f.s.c.pool.lanes(f.s, want)
		if !f.joinAll(lanes) {
			return
		}
		select {
		case <-changed:
		case <-f.ended:
			return
		case <-f.s.quit:
			return
		}
	}
}

// joinAll has the file opened on lanes that it does not use yet, and reports whether it may use more.
func (f *file) joinAll(lanes []*lane) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range lanes {
		if f.closing || f.settled || len(f.seats)+f.joining >= mostLanes {
			return false
		}
		if slices.ContainsFunc(f.tried, func(other *lane) bool { return other == l }) || !f.s.c.pool.enter(l.s) {
			continue
		}
		f.tried = append(f.tried, l)
		f.joining++
		if !l.s.spawn(func() { f.join(l) }) {
			f.joining--
			f.s.c.pool.leave(l.s)
		}
	}
	return !f.closing && !f.settled
}

const (
	// mostLanes is how many lanes one file uses at most.
	mostLanes = 12
	// laneTrip is the round trip from which on one lane is too narrow: at 5 ms it is good for 400 MiB/s.
	laneTrip = 5_000_000 // ns
	// nearShare is how much there must be to do, in bytes, for a second connection nearby: encryption is work for one
	// processor on each side of a connection.
	nearShare = 128 << 20
	// laneShare is how much a lane must have to do, in bytes, to be worth while.
	laneShare = 4 << 20
)

// reach is how many lanes a file wants: in all, on its own connection, and on each other one.
type reach struct{ lanes, own, others int }

// wanted is what the rest of the file is worth. mu is locked.
func (f *file) wanted() reach {
	rest, trip := f.size-f.asked.Load(), f.s.trip.Load()
	switch {
	case f.same == nil || f.settled:
	case trip >= laneTrip:
		return reach{int(min(mostLanes, trip/laneTrip+1, rest/laneShare+1)), 4, 2}
	case rest >= nearShare:
		return reach{2, 1, 1}
	}
	return reach{1, 1, 1}
}

// join opens the file on one more lane.
func (f *file) join(l *lane) {
	at := &seat{lane: l}
	err := l.s.request(context.Background(), "open", f.path, func() (err error) {
		flags := uint32(fxfRead)
		if f.write {
			flags = fxfWrite
		}
		if at.handle, err = l.open(f.path, flags); err != nil {
			return err
		}
		if err = f.same(l, at.handle); err != nil {
			err = errors.Join(err, l.closeHandle(at.handle))
		}
		return err
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.joining--
	f.joined.Broadcast()
	if err != nil {
		f.settled = true // quietly: fewer lanes will do
		f.s.c.pool.leave(l.s)
		f.s.c.log.Debug("sftp file stays on fewer lanes", "server", f.s.c.url, "lanes", len(f.seats), "error", err)
		return
	}
	f.seats = append(f.seats, at)
	for _, w := range f.windows {
		w.cond.Signal()
	}
}

// sameFile fails unless the file that handle is of has this size and time.
func sameFile(l *lane, handle string, size, modified int64) error {
	a, err := l.call(fxpFstat, func(b []byte) []byte { return appendString(b, handle) })
	if err != nil {
		return err
	}
	if gotSize, gotTime, ok := parseAttrs(a.body); a.kind != fxpAttrs || !ok || gotSize != size || gotTime != modified {
		return fmt.Errorf("it was replaced: %d bytes, changed at %d", gotSize, gotTime)
	}
	return nil
}
