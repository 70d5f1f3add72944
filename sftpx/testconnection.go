package sftpx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
)

// roundTrips is how many requests are timed.
const roundTrips = 3

// TestConnection makes a new connection, beside those of Config.MaxConnections, and reports what the server says and can
// do. It writes nothing unless in names a directory for it; in may be nil. The whole test ends with ctx and takes no
// longer than Config.ConnectTimeout, but for the removal of what a probe has written, which may take 15 s more.
//
// A server whose key is not an accepted one fails with transfer.HostKeyMismatch, and the error has the fingerprint and the
// line of the key that it offered. Do not put that line into Config.HostKeys before the partner has confirmed the
// fingerprint by another way: whoever sits in between would offer a key as well.
//
// If a connection was made and a later step fails, there are both a report of what was found before and an error.
func (c *Connector) TestConnection(ctx context.Context, in *TestConnectionInput) (*ConnectionReport, error) {
	if in == nil {
		in = new(TestConnectionInput)
	}
	if strings.ContainsRune(in.ProbeDirectory, 0) {
		return nil, fmt.Errorf("sftpx: TestConnectionInput.ProbeDirectory is %q: it has a NUL character", in.ProbeDirectory)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.pool.ctx, func() { cancel(errClosed) })()
	if limit := c.cfg.ConnectTimeout; limit > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, limit, errConnectTimeout)
		defer stop()
	}
	s, err := c.testSession(ctx)
	if err != nil {
		return nil, c.testError(ctx, err)
	}
	defer func() {
		s.condemn(transfer.ConnectionLost, errClosed)
		s.end(true)
	}()
	report, err := s.describe(ctx)
	if err == nil && in.ProbeDirectory != "" {
		err = newProbe(s, in.ProbeDirectory, report).run(ctx)
	}
	return report, c.testError(ctx, err)
}

// testError is why a test has failed.
func (c *Connector) testError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errConnectTimeout):
		return &transfer.Error{Op: "test", Path: c.cfg.Addr, Code: transfer.ConnectTimeout,
			Err: fmt.Errorf("not done after %v (Config.ConnectTimeout): %w", c.cfg.ConnectTimeout, err)}
	case errors.Is(cause, errClosed):
		return c.dialEnded(errClosed)
	}
	return err
}

// testSession makes a session that belongs to no pool. The caller ends it.
func (c *Connector) testSession(ctx context.Context) (*session, error) {
	s, err := c.dial(ctx, new(greeting))
	if err == nil {
		return s, c.pool.adopt(s)
	}
	if !errors.Is(err, errKeyType) {
		return nil, err
	}
	// It showed no key, for it has none of an accepted type.
	key, unknown := c.offeredKey(ctx)
	if unknown != nil {
		return nil, err
	}
	return nil, &transfer.Error{Op: "connect", Path: c.cfg.Addr, Code: transfer.HostKeyMismatch,
		Err: fmt.Errorf("%w; %s", cause(err), offers(key))}
}

// adopt runs a session that is lent to nobody.
func (p *pool) adopt(s *session) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		s.condemn(transfer.ConnectionLost, errClosed)
		go s.run(func(*session) {}) // it ends at once, before end returns
		defer s.end(false)
		return p.c.dialEnded(errClosed)
	}
	p.tasks.Go(func() { s.run(func(*session) {}) })
	return nil
}

var errSeen = errors.New("sftpx: the key was seen")

// offeredKey returns the key that the server prefers to show, whatever its type. Nothing is sent after it.
func (c *Connector) offeredKey(ctx context.Context) (offered ssh.PublicKey, err error) {
	conn, err := c.cfg.Dial(ctx, "tcp", c.cfg.Addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_, _, _, err = ssh.NewClientConn(conn, c.cfg.Addr, &ssh.ClientConfig{
		Config: c.cfg.Algorithms.config(),
		User:   c.cfg.User,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			offered = key
			return errSeen
		},
	})
	if offered == nil {
		return nil, err
	}
	return offered, nil
}

// describe reports what there is to know without writing.
func (s *session) describe(ctx context.Context) (*ConnectionReport, error) {
	r := &ConnectionReport{
		Server: s.server, HostKey: keyLine(s.hostKey), HostKeyFingerprint: ssh.FingerprintSHA256(s.hostKey),
		AuthMethods: slices.Clone(s.authMethods), Profile: s.c.cfg.Profile,
	}
	if known, ok := s.conn.(ssh.AlgorithmsConnMetadata); ok {
		a := known.Algorithms()
		r.KeyExchange, r.HostKeyAlgorithm, r.Cipher, r.MAC = a.KeyExchange, a.HostKey, a.Write.Cipher, a.Write.MAC
	}
	r.SFTPVersion, r.Extensions = s.greeting.parse()
	for range roundTrips {
		if err := s.timeRequest(ctx, r); err != nil {
			return r, err
		}
	}
	s.suggest(r)
	return r, nil
}

func (s *session) timeRequest(ctx context.Context, r *ConnectionReport) error {
	started := time.Now()
	err := s.request(ctx, "ask for", ".", func() (err error) {
		r.Home, err = s.client.RealPath(".")
		return err
	})
	took := time.Since(started)
	if r.RoundTrip == 0 || took < r.RoundTrip {
		r.RoundTrip = took
	}
	r.Home = shorten(clean(r.Home), 4<<10)
	if err != nil && s.broken() == nil && ctx.Err() == nil {
		return nil // it does not say where it begins; the answer was timed all the same
	}
	return err
}

// suggest fills Profile and Findings with what is known without a probe.
func (s *session) suggest(r *ConnectionReport) {
	const untested = "as configured; not tested without a ProbeDirectory"
	rename := "the server has no posix-rename@openssh.com, so an old file is removed first (not tested)"
	if s.posixRename() {
		rename = "the server says that it has posix-rename@openssh.com (not tested)"
	}
	p := &r.Profile
	r.find("RenameMode", p.RenameMode, rename)
	r.find("TempName", p.TempName, "as configured; it depends on what the partner's programs look at")
	r.find("Verify", p.Verify, untested)
	s.suggestPacket(r, "what every server takes")
	r.find("ReadOnce", p.ReadOnce, "as configured; only the partner knows")
	r.find("Sequential", p.Sequential, untested)
	r.find("NoResume", p.NoResume, untested)
	r.find("PreserveTimes", p.PreserveTimes, untested)
	r.find("FileMode", p.FileMode, untested)
}

// suggestPacket leaves MaxPacket to the connector unless the server was found to take less.
func (s *session) suggestPacket(r *ConnectionReport, otherwise string) {
	size := s.packetSize()
	reason := fmt.Sprintf("%d bytes at once: %s", size, otherwise)
	if takesLargePackets(s.server) {
		reason = fmt.Sprintf("%d bytes at once: OpenSSH takes up to %d since 8.5", size, largePacket)
	}
	if learned := int(s.c.learnedPacket.Load()); learned > 0 {
		r.Profile.MaxPacket = max(learned, smallPacket)
		reason = fmt.Sprintf("the server answered with no more than %d bytes at once", learned)
	}
	r.find("MaxPacket", r.Profile.MaxPacket, reason)
}

// find notes why Profile has a value, in place of what was noted before.
func (r *ConnectionReport) find(field string, value any, reason string) {
	f := Finding{field, fmt.Sprint(value), reason}
	if i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Field == field }); i >= 0 {
		r.Findings[i] = f
		return
	}
	r.Findings = append(r.Findings, f)
}
