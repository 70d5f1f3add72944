package sftpx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
)

// dial makes a session. Whatever it waits for ends with ctx or with Config.ConnectTimeout, because both close the
// connection: ssh.ClientConfig.Timeout does not bound the handshake (golang/go#51926). The server's greeting is kept in
// g, which may be nil.
func (c *Connector) dial(ctx context.Context, g *greeting) (*session, error) {
	if c.cfg.ConnectTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.cfg.ConnectTimeout, errConnectTimeout)
		defer cancel()
	}
	started := time.Now()
	s, err := c.establish(ctx, g)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = c.dialEnded(cause)
		}
		c.log.Debug("sftp connection failed", "server", c.url, "error", err)
		return nil, err
	}
	var algorithms ssh.NegotiatedAlgorithms
	if known, ok := s.conn.(ssh.AlgorithmsConnMetadata); ok {
		algorithms = known.Algorithms()
	}
	c.log.Debug("sftp connection made", "server", c.url, "version", s.server, "packet", s.packetSize(),
		"took", time.Since(started), "kex", algorithms.KeyExchange, "hostKey", algorithms.HostKey,
		"cipher", algorithms.Write.Cipher)
	return s, nil
}

func (c *Connector) dialEnded(cause error) error {
	if errors.Is(cause, errConnectTimeout) {
		return &transfer.Error{Op: "connect", Path: c.cfg.Addr, Code: transfer.ConnectTimeout,
			Err: fmt.Errorf("no session after %v", c.cfg.ConnectTimeout)}
	}
	return &transfer.Error{Op: "connect", Path: c.cfg.Addr, Code: transfer.ConnectionError, Err: cause}
}

func (c *Connector) establish(ctx context.Context, g *greeting) (_ *session, err error) {
	account, err := c.credentials(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := c.cfg.Dial(ctx, "tcp", c.cfg.Addr)
	if err != nil {
		return nil, &transfer.Error{Op: "connect", Path: c.cfg.Addr, Code: dialCode(err), Err: cleaned(err)}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		if err != nil {
			stop()
			_ = conn.Close()
		}
	}()
	s := &session{
		c: c, raw: conn, meter: &meter{start: time.Now()}, greeting: g,
		quit: make(chan struct{}), down: make(chan struct{}), gone: make(chan struct{}),
	}
	channels, requests, err := s.handshake(ctx, account)
	if err != nil {
		return nil, err
	}
	if err := s.startSFTP(channels, requests); err != nil {
		_ = s.conn.Close()
		s.helpers.Wait()
		return nil, err
	}
	if !stop() { // too late by a moment
		s.run(func(*session) {})
		return nil, context.Cause(ctx)
	}
	return s, nil
}

// handshake agrees on keys, checks the server's and logs in.
func (s *session) handshake(ctx context.Context, account Credentials) (<-chan ssh.NewChannel, <-chan *ssh.Request, error) {
	c := s.c
	s.buffered = newBufferedConn(s.raw)
	l := newLogin(ctx, account, c.cfg.Algorithms)
	l.broken = s.buffered.broken.Load
	defer l.end()
	var keyRefused error
	config := &ssh.ClientConfig{
		Config:            c.cfg.Algorithms.config(),
		User:              account.User,
		AuthCallback:      l.next,
		HostKeyAlgorithms: c.keys.offer(),
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			s.hostKey, keyRefused = key, c.keys.check(key)
			return keyRefused
		},
	}
	conn, channels, requests, err := ssh.NewClientConn(s.buffered, c.cfg.Addr, config)
	if err != nil {
		return nil, nil, c.handshakeError(err, keyRefused, l)
	}
	s.conn = conn
	s.authMethods = l.accepted
	s.server = shorten(clean(string(conn.ServerVersion())), maxText)
	s.noteSecurity()
	return channels, requests, nil
}

// startSFTP opens the first channel and starts SFTP on it. There is never a command.
func (s *session) startSFTP(channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) error {
	failed := func(code transfer.Code, err error) error {
		return &transfer.Error{Op: "connect", Path: s.c.cfg.Addr, Code: code, Err: err}
	}
	// Nobody may be left waiting for an answer while the channel is opened.
	s.helpers.Go(func() { ssh.DiscardRequests(requests) })
	s.helpers.Go(func() { refuseAll(channels) })
	channel, err := s.openChannel()
	if err != nil {
		return err
	}
	s.channel = channel
	s.packets.size.Store(int64(s.c.packetFor(s.server)))
	s.first = &lane{s: s, wire: newWire(metered{channel, s.meter, s.greeting})}
	s.lanes, s.widest = []*lane{s.first}, mostLanesEach
	s.client, err = sftp.NewClientPipe(s.first, firstLane{s.first, channel})
	if err != nil {
		return failed(transfer.ConnectionError,
			fmt.Errorf("start SFTP: %w (does a login script print something?)", cleaned(err)))
	}
	s.askLimits()
	s.buffered.ready.Store(true)
	if every := s.c.cfg.KeepAlive; every > 0 {
		s.helpers.Go(func() { s.keepAlive(every) })
	}
	return nil
}
