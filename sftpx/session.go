package sftpx

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
)

const (
	// politeTimeout is how long the server has to take leave when a session without files is closed.
	politeTimeout = time.Second
	// probeAfter is how long a session may have been silent before it is asked for a sign of life on being lent, if
	// Config.KeepAlive is not shorter.
	probeAfter = 10 * time.Second
	// probeTimeout limits that question; there is always the choice of a new connection.
	probeTimeout = 10 * time.Second
)

// session is one connection with one SFTP channel, shared by several files.
type session struct {
	c        *Connector
	raw      net.Conn      // closing it is the only way to free a call of pkg/sftp
	buffered *bufferedConn // raw, read in large pieces
	conn     ssh.Conn
	channel  ssh.Channel  // the first one
	first    *lane        // on it
	client   *sftp.Client // beside our own requests
	server   string       // how the server names itself, cleaned
	hostKey  ssh.PublicKey
	info     transfer.SessionInfo
	// authMethods are those that the server accepted.
	authMethods []string
	greeting    *greeting // nil unless it is to be reported
	meter       *meter
	helpers     sync.WaitGroup // everything that runs beside run
	quit        chan struct{}  // closed when helpers shall end
	down        chan struct{}  // closed when cause is final
	gone        chan struct{}  // closed when nothing of the session runs any more
	packets     packets
	trip        atomic.Int64 // the quickest answer to a request without content, in ns; 0 before there is one

	mu    sync.Mutex      // guards the fields below
	cause *transfer.Error // why the session is of no more use; nil while it is
	over  bool            // there are no more helpers

	// Guarded by pool.mu.
	users     int
	guests    int     // files that have their first lane elsewhere
	lanes     []*lane // the first one and others, as far as they are ready
	widening  int     // lanes being made
	widest    int     // how many lanes there may be
	idleSince time.Time
	eviction  *time.Timer
}

// meter tells whether a connection moves. Times are since start.
type meter struct {
	start   time.Time
	heard   atomic.Int64 // when the last byte came, on the channel
	moved   atomic.Int64 // bytes, both ways
	asked   atomic.Int64 // bytes of content under way
	working atomic.Int32 // calls under way
	leaving atomic.Int32 // those of them whose context has ended
}

func (m *meter) now() time.Duration { return time.Since(m.start) }

func (m *meter) lastHeard() time.Duration { return time.Duration(m.heard.Load()) }

// metered is the channel as pkg/sftp sees it.
type metered struct {
	ssh.Channel
	m        *meter
	greeting *greeting // nil where nobody wants to know
}

func (c metered) Read(p []byte) (int, error) {
	n, err := c.Channel.Read(p)
	c.m.moved.Add(int64(n))
	c.m.heard.Store(int64(c.m.now()))
	if c.greeting != nil {
		c.greeting.note(p[:n])
	}
	return n, err
}

func (c metered) Write(p []byte) (int, error) {
	n, err := c.Channel.Write(p)
	c.m.moved.Add(int64(n))
	return n, err
}

// run waits for the end of the session and then for everything that belongs to it.
func (s *session) run(ended func(*session)) {
	err := s.client.Wait()
	close(s.quit)
	_ = s.raw.Close()
	if last := s.conn.Wait(); last != nil && !isNetwork(last) {
		err = last // the server has said why
	}
	s.fail(transfer.ConnectionLost, lossText(err))
	close(s.down)
	_ = s.conn.Close()
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.helpers.Wait()
	s.c.log.Debug("sftp connection ended", "server", s.c.url, "cause", s.broken())
	ended(s)
	close(s.gone)
}

// spawn runs f beside the session, which waits for it at its end. It reports whether there still is a session.
func (s *session) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.cause != nil {
		return false
	}
	s.helpers.Go(f)
	return true
}

func lossText(err error) error {
	if err == nil || isNetwork(err) {
		return errors.New("the server closed the connection, or it broke")
	}
	return cleaned(err)
}

// fail makes the session useless and frees every call that is under way on it.
func (s *session) fail(code transfer.Code, why error) {
	s.condemn(code, why)
	_ = s.raw.Close()
}

// condemn notes why the session is of no more use. The first cause stays.
func (s *session) condemn(code transfer.Code, why error) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first = s.cause == nil
	if first {
		s.cause = &transfer.Error{Op: "use", Path: s.c.cfg.Addr, Code: code, Err: why}
	}
	return first
}

// broken returns why the session is of no more use, or nil.
func (s *session) broken() *transfer.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// end ends a session that was condemned and waits until nothing of it runs. One without files takes leave first.
func (s *session) end(polite bool) {
	if polite {
		limit := time.AfterFunc(politeTimeout, func() { _ = s.raw.Close() })
		_ = s.channel.Close()
		<-s.down
		limit.Stop()
	}
	_ = s.raw.Close()
	<-s.gone
}

// probe asks a session that was silent for a while for a sign of life, and breaks it if there is none.
func (s *session) probe(ctx context.Context) error {
	after := probeAfter
	if every := s.c.cfg.KeepAlive; every > 0 {
		after = min(after, every)
	}
	if s.meter.now()-s.meter.lastHeard() < after {
		return nil
	}
	limit := probeTimeout
	if least := s.c.cfg.OperationTimeout; least > 0 {
		limit = min(limit, least)
	}
	err := s.do(ctx, call{op: "probe", path: ".", limit: limit, code: transfer.OperationTimeout}, func() error {
		_, err := s.client.RealPath(".")
		return err
	})
	if ctx.Err() == nil && s.broken() == nil {
		return nil // any answer will do
	}
	return err
}

// keepAlive asks a quiet server for a sign of life, so that firewalls keep the connection. Calls under way have limits of
// their own, which the caller has chosen; a connection without any is closed if nothing comes.
func (s *session) keepAlive(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var replied atomic.Int64
	var asking atomic.Bool
	for {
		select {
		case <-s.quit:
			return
		case <-ticker.C:
		}
		silence := s.meter.now() - max(s.meter.lastHeard(), time.Duration(replied.Load()))
		if silence >= 3*every && s.meter.working.Load() == 0 {
			s.fail(transfer.ConnectionLost, errors.New("the server no longer answers keepalives"))
		}
		if silence < every || asking.Swap(true) {
			continue
		}
		s.helpers.Go(func() {
			defer asking.Store(false)
			if _, _, err := s.conn.SendRequest("keepalive@openssh.com", true, nil); err == nil {
				replied.Store(int64(s.meter.now()))
			}
		})
	}
}

// features is what the server can do.
func (s *session) features() transfer.Features {
	mode := s.c.cfg.RenameMode
	return transfer.Features{
		Server:        s.server,
		AtomicReplace: (mode == RenameAuto || mode == RenamePosix) && s.posixRename(),
		Resume:        !s.c.noResume.Load(),
		ReadOnce:      s.c.cfg.ReadOnce,
		Session:       s.info,
	}
}

// noteSecurity notes how the connection is secured.
func (s *session) noteSecurity() {
	s.info = transfer.SessionInfo{
		Protocol: "sftp", Server: s.server, User: s.conn.User(), HostKey: ssh.FingerprintSHA256(s.hostKey), HostKeyType: s.hostKey.Type(),
	}
	if known, ok := s.conn.(ssh.AlgorithmsConnMetadata); ok {
		a := known.Algorithms()
		s.info.KeyExchange, s.info.Cipher, s.info.MAC = a.KeyExchange, a.Write.Cipher, a.Write.MAC
	}
}

// posixRename reports whether the server says that it can replace a file in one step.
func (s *session) posixRename() bool { return s.hasExtension("posix-rename@openssh.com", "1") }

func (s *session) hasExtension(name, version string) bool {
	got, ok := s.client.HasExtension(name)
	return ok && got == version
}

// refuseAll refuses the channels that a server opens.
func refuseAll(channels <-chan ssh.NewChannel) {
	for c := range channels {
		_ = c.Reject(ssh.Prohibited, "not offered")
	}
}

// discard throws away what the server says on the side: unread, it would use up the channel's window.
func discard(r io.Reader) { _, _ = io.Copy(io.Discard, r) }

// closedDuring is the failure of a call on a session that is of no more use.
func (s *session) closedDuring(op, path string) error {
	e := s.broken()
	return &transfer.Error{Op: op, Path: path, Code: e.Code, Err: saidBy(s.c.cfg.Addr, e.Err)}
}
