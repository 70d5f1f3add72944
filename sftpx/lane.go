package sftpx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
)

// lane is one SSH channel with SFTP on it. A session's first one is shared with pkg/sftp; the others carry content only.
type lane struct {
	s *session
	*wire
}

// firstLane is what pkg/sftp writes to.
type firstLane struct {
	*lane
	io.Closer
}

// openChannel opens a channel and starts SFTP on it.
func (s *session) openChannel() (ssh.Channel, error) {
	failed := func(code transfer.Code, err error) error {
		return &transfer.Error{Op: "connect", Path: s.c.cfg.Addr, Code: code, Err: err}
	}
	channel, own, err := s.conn.OpenChannel("session", nil)
	if err != nil {
		code := transfer.ConnectionError
		if refused := (*ssh.OpenChannelError)(nil); errors.As(err, &refused) || isNetwork(err) {
			code = transfer.PartnerBusy
		}
		return nil, failed(code, fmt.Errorf("open a channel: %w", cleaned(err)))
	}
	s.helpers.Go(func() { ssh.DiscardRequests(own) })
	s.helpers.Go(func() { discard(channel.Stderr()) })
	ok, err := channel.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"}))
	switch {
	case err != nil:
		return nil, failed(transfer.PartnerBusy, fmt.Errorf("start SFTP: %w", cleaned(err)))
	case !ok:
		_ = channel.Close()
		return nil, failed(transfer.UnsupportedOperationError,
			errors.New("the server refuses to start SFTP (is it allowed for this account?)"))
	}
	return channel, nil
}

// widen adds a lane, if the server lets it: a server that does not is not asked again on this connection.
func (s *session) widen() {
	l, err := s.newLane()
	p := s.c.pool
	p.mu.Lock()
	s.widening--
	if err == nil {
		s.lanes = append(s.lanes, l)
	} else {
		s.widest = len(s.lanes)
	}
	p.change()
	p.mu.Unlock()
	if err != nil {
		s.c.log.Debug("sftp server gives no further channel", "server", s.c.url, "channels", s.widest, "error", err)
		return
	}
	l.run()
}

func (s *session) newLane() (*lane, error) {
	channel, err := s.openChannel()
	if err != nil {
		return nil, err
	}
	l := &lane{s: s, wire: newWire(metered{channel, s.meter, nil})}
	if err := l.greet(); err != nil {
		_ = channel.Close()
		return nil, err
	}
	return l, nil
}

// greet begins SFTP as pkg/sftp does on the first lane (draft-ietf-secsh-filexfer-02, section 4).
func (l *lane) greet() error {
	if err := l.send(sized(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 0, fxpInit}, sftpVersion))); err != nil {
		return err
	}
	if err := l.receive(); err != nil {
		return err
	}
	if version := binary.BigEndian.Uint32(l.head[5:]); l.head[4] != fxpVersion || version != sftpVersion {
		return fmt.Errorf("%w: it begins with a packet of type %d, version %d", errProtocol, l.head[4], version)
	}
	return l.skip()
}

const sftpVersion = 3

// mostLanesEach is how many channels one connection has at most; OpenSSH's default for all of them is 10 (MaxSessions).
const mostLanesEach = 4

// skip passes over the packet that receive has left.
func (w *wire) skip() error {
	_, err := w.r.Discard(int(w.rest))
	w.head, w.rest = nil, 0
	return err
}

// run handles answers until the channel ends.
func (l *lane) run() {
	for {
		err := l.receive()
		if err == nil && len(l.head) > 0 {
			err = fmt.Errorf("%w: an answer to nothing", errProtocol)
		}
		if err != nil {
			l.end(err)
			return
		}
	}
}

// open opens a file and returns its handle.
func (l *lane) open(path string, flags uint32) (handle string, err error) {
	a, err := l.call(fxpOpen, func(b []byte) []byte {
		b = binary.BigEndian.AppendUint32(appendString(b, path), flags)
		return binary.BigEndian.AppendUint32(b, 0) // no attributes
	})
	if err != nil {
		return "", err
	}
	handle, _, ok := cutString(a.body)
	if a.kind != fxpHandle || !ok || len(handle) > maxHandle {
		return "", wireLost{fmt.Errorf("%w: no handle for a file", errProtocol)}
	}
	return handle, nil
}

// maxHandle is how long a handle may be (draft-ietf-secsh-filexfer-02, section 6.2).
const maxHandle = 256

// Flags of OPEN (section 6.3 there).
const (
	fxfRead  = 1
	fxfWrite = 2
	fxfCreat = 8
	fxfTrunc = 16
)

// closeHandle closes a file and waits for the answer.
func (l *lane) closeHandle(handle string) error {
	_, err := l.call(fxpClose, func(b []byte) []byte { return appendString(b, handle) })
	return err
}

// call makes a request without content and waits for its answer.
func (l *lane) call(kind byte, body func([]byte) []byte) (reply, error) {
	answer, err := l.ask(kind, body)
	if err != nil {
		return reply{}, err
	}
	a := <-answer
	return a, a.err
}

// extended makes a request of an extension.
func (l *lane) extended(name string, body func([]byte) []byte) (reply, error) {
	return l.call(fxpExtended, func(b []byte) []byte { return body(appendString(b, name)) })
}

// limited reports whether the server has limits@openssh.com, which only OpenSSH's own SFTP server has: it reads and writes
// files of a POSIX system, in any order and through several handles.
func (s *session) limited() bool { return s.hasExtension("limits@openssh.com", "1") }

// manyLanes reports whether a file may be read or written in any order, and on several lanes.
func (s *session) manyLanes() bool { return s.limited() && !s.c.cfg.Sequential && !s.c.cfg.ReadOnce }

// concurrency is how many windows of a file may move at once: nearby the next one begins while one waits for its last
// answers, and at a distance there are enough of them for a round trip.
func (s *session) concurrency() int {
	switch {
	case !s.manyLanes():
		return 1
	case s.trip.Load() < laneTrip:
		return 2
	}
	return 4
}
