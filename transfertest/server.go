package transfertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

// SFTPOptions configure an [SFTPServer]. The zero value is a server in memory that lets in the key of
// [SFTPServer.Signer] under any user name.
type SFTPOptions struct {
	User           string          // the only user name that is let in; empty means any
	Password       string          // empty means that no password is right
	AuthorizedKeys []ssh.PublicKey // besides the key of Signer
	TrustedUserCAs []ssh.PublicKey // certificates that these signed for the user are let in
	// Prompts are what keyboard-interactive asks, in one challenge; empty means that it is not offered.
	Prompts []Prompt
	// MultiFactor asks for a key first and then for the password or the prompts.
	MultiFactor bool

	HostKeyTypes []HostKeyType // one new key each; empty means Ed25519
	HostKeys     []ssh.Signer  // used as they are, besides those of HostKeyTypes

	Dir  string // serve this directory and nothing outside of it; empty means memory
	Home string // where relative paths begin; made if missing; empty means "/"

	Version string     // how the server names itself, "SSH-2.0-" first; empty means "SSH-2.0-transfertest"
	SSH     ssh.Config // algorithms and rekeying; the zero value means those of x/crypto

	Faults SFTPFaults // from the start; see SetFaults
}

// Prompt is a question of keyboard-interactive and its right answer.
type Prompt struct {
	Text   string
	Answer string
	Echo   bool
}

// SFTPServer is an SFTP server on a loopback socket. It speaks version 3 as OpenSSH does, in order, with
// posix-rename, statvfs and fsync.
type SFTPServer struct {
	opts   SFTPOptions
	home   string
	files  fileSystem
	signer ssh.Signer
	addr   string
	wg     sync.WaitGroup // connections and the accept loop
	space  atomic.Int64   // bytes left on the disk, if limited
	strike atomic.Int64   // connection faults left, if limited

	life sync.Mutex // one of Start, Stop and Close at a time

	mu       sync.Mutex // guards all below
	closed   bool
	listener net.Listener // nil while stopped
	hostKeys []ssh.Signer
	faults   SFTPFaults
	rules    []*sftpRule
	conns    map[*serverConn]struct{}
	taken    map[string][]byte
	reading  map[string]int // handles by path that read a file
	// extracted are the paths that a mailbox gives to nobody any more.
	extracted map[string]bool
	stats     SFTPStats
}

// SFTPStats counts what a server has seen.
type SFTPStats struct {
	Connections int // open now
	Sessions    int // open now: SFTP subsystems
	Handles     int // open now: files and directories
	Accepted    int // connections ever accepted
	Logins      int // connections ever authenticated
	Keepalives  int // requests keepalive@openssh.com
	Commands    int // requests for a shell or a command, all refused
	Requests    map[SFTPOp]int
}

// StartSFTP starts a server that lives as long as the test.
func StartSFTP(t TB, o SFTPOptions) *SFTPServer {
	t.Helper()
	s, err := NewSFTPServer(o)
	if err != nil {
		t.Fatalf("start SFTP server: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// NewSFTPServer starts a server on a free port of 127.0.0.1. The caller closes it.
func NewSFTPServer(o SFTPOptions) (s *SFTPServer, err error) {
	s = &SFTPServer{
		opts: o, home: path.Join("/", o.Home), conns: map[*serverConn]struct{}{}, taken: map[string][]byte{},
		reading: map[string]int{}, extracted: map[string]bool{}, stats: SFTPStats{Requests: map[SFTPOp]int{}},
	}
	if err = o.validate(); err != nil {
		return nil, err
	}
	if s.signer, err = newKey(Ed25519); err != nil {
		return nil, err
	}
	if s.hostKeys, err = newHostKeys(o); err != nil {
		return nil, err
	}
	if s.files, err = openFiles(o.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.files.close())
		}
	}()
	if err = s.MkdirAll(s.home); err != nil {
		return nil, err
	}
	s.SetFaults(o.Faults)
	s.addr = "127.0.0.1:0"
	if err = s.Start(); err != nil {
		return nil, err
	}
	return s, nil
}

func (o *SFTPOptions) validate() error {
	switch {
	case o.Version != "" && !strings.HasPrefix(o.Version, "SSH-2.0-"):
		return fmt.Errorf("transfertest: SFTPOptions.Version %q has no right prefix (try \"SSH-2.0-%s\")", o.Version, o.Version)
	case o.MultiFactor && o.Password == "" && len(o.Prompts) == 0:
		return errors.New("transfertest: SFTPOptions.MultiFactor has no second factor (set Password or Prompts)")
	}
	return nil
}

func openFiles(dir string) (fileSystem, error) {
	if dir == "" {
		return newMemFS(), nil
	}
	return newDirFS(dir)
}

// Addr returns "127.0.0.1:" and the port. It stays the same over Stop and Start.
func (s *SFTPServer) Addr() string { return s.addr }

// Start listens again, at the same address, after Stop.
func (s *SFTPServer) Start() error {
	s.life.Lock()
	defer s.life.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("transfertest: the server is closed")
	}
	if s.listener != nil {
		return nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("transfertest: listen at %s: %w", s.addr, err)
	}
	s.listener, s.addr = listener, listener.Addr().String()
	s.wg.Add(1)
	go s.accept(listener)
	return nil
}

// Stop cuts all connections and stops listening, as a server does that crashes or is taken down. It returns when
// nothing of them is left; files stay. See Start.
func (s *SFTPServer) Stop() {
	s.life.Lock()
	defer s.life.Unlock()
	s.mu.Lock()
	if s.listener != nil {
		_ = s.listener.Close()
		s.listener = nil
	}
	s.mu.Unlock()
	s.CutConnections()
	s.wg.Wait()
}

// Close stops the server for good and frees what it holds. It may be called more than once.
func (s *SFTPServer) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	s.Stop()
	if !first {
		return nil
	}
	return s.files.close()
}

// CutConnections cuts all connections now. New ones are accepted.
func (s *SFTPServer) CutConnections() {
	s.mu.Lock()
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range conns {
		c.Cut()
	}
}

func (s *SFTPServer) accept(listener net.Listener) {
	defer s.wg.Done()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		s.admit(listener, conn)
	}
}

func (s *SFTPServer) admit(listener net.Listener, conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Accepted++
	f := s.faults
	full := f.MaxConnections > 0 && len(s.conns) >= f.MaxConnections
	if f.Refuse || full || s.listener != listener {
		_ = conn.Close()
		return
	}
	c := &serverConn{Conn: WrapConn(conn, ConnFaults{}), server: s}
	c.onStrike = s.mayStrike
	c.suffer(f)
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		c.serve()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
}

// mayStrike takes one of the limited connection faults.
func (s *SFTPServer) mayStrike() bool { return s.strike.Add(-1) >= 0 }

// Faults returns the faults that SetFaults has set.
func (s *SFTPServer) Faults() SFTPFaults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

// SetFaults replaces all faults, for new and live connections. SetFaults(SFTPFaults{}) heals the server: what was
// frozen or silent goes on.
func (s *SFTPServer) SetFaults(f SFTPFaults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.ExtraNames = slices.Clone(f.ExtraNames)
	s.faults = f
	s.space.Store(max(f.DiskSpace, 0))
	s.strike.Store(1 << 62)
	if f.ConnTimes > 0 {
		s.strike.Store(int64(f.ConnTimes))
	}
	for c := range s.conns {
		c.suffer(f)
	}
}

// Inject adds a rule.
func (s *SFTPServer) Inject(r SFTPRule) *Injection {
	rule := &sftpRule{r, newInjection(r.Nth, r.Times)}
	rule.remove = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rules = slices.DeleteFunc(slices.Clone(s.rules), func(x *sftpRule) bool { return x == rule })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(slices.Clone(s.rules), rule)
	return rule.Injection
}

// arrived counts a request and returns what may strike it.
func (s *SFTPServer) arrived(op SFTPOp) (SFTPFaults, []*sftpRule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Requests[op]++
	return s.faults, s.rules
}

// Stats returns all counters.
func (s *SFTPServer) Stats() SFTPStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Connections = len(s.conns)
	stats.Requests = maps.Clone(s.stats.Requests)
	return stats
}

// Connections returns how many connections are open.
func (s *SFTPServer) Connections() int { return s.Stats().Connections }

// OpenHandles returns how many files and directories clients hold open.
func (s *SFTPServer) OpenHandles() int { return s.Stats().Handles }

// Requests returns how many requests of any kind in op have arrived; 0 means all kinds.
func (s *SFTPServer) Requests(op SFTPOp) int {
	n := 0
	for one, count := range s.Stats().Requests {
		if op.matches(one) {
			n += count
		}
	}
	return n
}

// tally changes the counters.
func (s *SFTPServer) tally(change func(*SFTPStats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}

// Frozen returns how many connections are frozen or kept silent now.
func (s *SFTPServer) Frozen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for c := range s.conns {
		if c.Frozen() {
			n++
		}
	}
	return n
}
