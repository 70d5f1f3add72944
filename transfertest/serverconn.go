package transfertest

import (
	"context"
	"sync"

	"golang.org/x/crypto/ssh"
)

// serverConn is one connection to a server.
type serverConn struct {
	*Conn
	server *SFTPServer
	wg     sync.WaitGroup // what serves the connection's channels

	mu       sync.Mutex // guards all below
	greeted  bool       // the handshake has begun
	sessions int
}

// suffer sets the connection's faults.
func (c *serverConn) suffer(f SFTPFaults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.Silent && !c.greeted {
		f.Conn.Frozen = true
	}
	c.Set(f.Conn)
}

// serve returns when everything of the connection has ended.
func (c *serverConn) serve() {
	defer c.Cut()
	defer c.wg.Wait()
	if c.thawed(&c.deadline.read) != nil {
		return
	}
	c.mu.Lock()
	c.greeted = true
	c.mu.Unlock()
	conn, channels, requests, err := ssh.NewServerConn(c.Conn, c.server.serverConfig())
	if err != nil {
		_ = c.Close()
		return
	}
	defer conn.Close()
	c.server.tally(func(s *SFTPStats) { s.Logins++ })
	ctx, cancel := context.WithCancel(context.Background())
	c.wg.Go(func() { c.answer(requests) })
	c.wg.Go(func() { _ = conn.Wait(); cancel() })
	for channel := range channels {
		if channel.ChannelType() != "session" {
			_ = channel.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		if !c.enter() {
			_ = channel.Reject(ssh.Prohibited, "open failed")
			continue
		}
		c.wg.Go(func() {
			defer c.leave()
			c.session(ctx, channel)
		})
	}
}

// answer refuses global requests, as OpenSSH does with keepalives: any answer keeps the connection alive.
func (c *serverConn) answer(requests <-chan *ssh.Request) {
	for r := range requests {
		if r.Type == "keepalive@openssh.com" {
			c.server.tally(func(s *SFTPStats) { s.Keepalives++ })
		}
		if r.WantReply {
			_ = r.Reply(false, nil)
		}
	}
}

func (c *serverConn) enter() bool {
	limit := c.server.Faults().MaxSessions
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit > 0 && c.sessions >= limit {
		return false
	}
	c.sessions++
	return true
}

func (c *serverConn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions--
}

// session serves one channel: a subsystem "sftp" and nothing else.
func (c *serverConn) session(ctx context.Context, channel ssh.NewChannel) {
	ch, requests, err := channel.Accept()
	if err != nil {
		return
	}
	defer ch.Close()
	for r := range requests {
		switch {
		case r.Type == "subsystem" && string(r.Payload) == "\x00\x00\x00\x04sftp" && !c.server.Faults().NoSubsystem:
			_ = r.Reply(true, nil)
			c.wg.Go(func() { refuse(requests) })
			c.sftp(ctx, ch)
			return
		case r.Type == "exec" || r.Type == "shell":
			c.server.tally(func(s *SFTPStats) { s.Commands++ })
		}
		if r.WantReply {
			_ = r.Reply(false, nil)
		}
	}
}

func refuse(requests <-chan *ssh.Request) {
	for r := range requests {
		if r.WantReply {
			_ = r.Reply(false, nil)
		}
	}
}

func (c *serverConn) sftp(ctx context.Context, ch ssh.Channel) {
	c.server.tally(func(s *SFTPStats) { s.Sessions++ })
	defer c.server.tally(func(s *SFTPStats) { s.Sessions-- })
	s := newSFTPSession(ctx, c, ch)
	defer s.close()
	s.serve()
	_, _ = ch.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
}
