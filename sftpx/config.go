package sftpx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/seed62b9dc43/transfer"
)

// Config describes one partner's server. Addr, User and Auth (or Credentials), and one of
// HostKeys and KnownHosts are required.
type Config struct {
	// Addr is the server: "sftp.example.com", "sftp.example.com:2222", "[2001:db8::1]:22". The default port is 22.
	Addr string
	// User is the account's name.
	User string
	// Partner is the server's name in rows and queries. Empty means the connector's id.
	Partner string

	// Auth is how to log in, in the order in which to try. Everything of one method (keys and agents; passwords) is
	// one step; a server that wants several methods gets them one after the other.
	Auth []Auth

	// Credentials, in place of User and Auth, fetches both for each connection: a password or key that was changed is used
	// from the next one on. Its result is not kept. It MUST return once ctx has ended.
	Credentials func(ctx context.Context) (Credentials, error)

	// HostKeys are the accepted keys of the server, each a line as ssh-keyscan prints it, with or without the host in
	// front and a comment behind. Give several while a partner changes theirs. The host in front is not compared.
	HostKeys []string
	// KnownHosts are paths of OpenSSH known_hosts files, read by New. Hashed hosts, patterns, @cert-authority and
	// @revoked work as in OpenSSH. A key is accepted if HostKeys or a file accepts it and no file revokes it.
	KnownHosts []string
	// Algorithms may be LegacyAlgorithms for an old server. 0 is DefaultAlgorithms.
	Algorithms Algorithms

	// MaxConnections is how many connections there are at most. 0 is 2: with two, a broken connection does not stop
	// everything, and distance costs half as much; few partners allow fewer (AWS: 1 unless raised, 5 at most).
	MaxConnections int
	// FilesPerConnection is how many files share a connection. 0 is 32: many files on one connection are faster than
	// many connections, and servers with a limit allow 100 and more. With Sequential 0 is 1.
	FilesPerConnection int

	// Retry says how this partner's files are tried again. Nil means transfer.Config.Retry.
	Retry *transfer.RetryPolicy

	// Limits bound what moves to and from this partner, and when. Nil means none. transfer.New checks them.
	Limits *transfer.Limits

	// ConnectTimeout limits dialling, handshake, logging in and starting SFTP together. 0 is 30 s, −1 no limit.
	ConnectTimeout time.Duration
	// OperationTimeout limits a request that moves no content: it fails if it is not answered, and nothing else came
	// on its connection, for so long. 0 is 60 s, −1 no limit.
	OperationTimeout time.Duration
	// StallTimeout limits how long nothing is acknowledged on a connection while content moves. 0 is 60 s, −1 no
	// limit.
	StallTimeout time.Duration
	// KeepAlive is how often a quiet connection is asked for a sign of life (keepalive@openssh.com). A connection
	// with nothing under way that gives none for three times as long is closed. 0 is 15 s, −1 never.
	KeepAlive time.Duration
	// IdleTimeout is how long a connection without files is kept. 0 is 60 s, −1 until Close.
	IdleTimeout time.Duration

	// Profile is how the partner's server differs from others. Its fields are Config's own: cfg.RenameMode = ….
	Profile

	// MakeDirs creates a target's missing directories. Without it a missing one is DirectoryNotFound.
	MakeDirs bool
	// Fsync asks the server to bring each file to its disk before it is renamed (fsync@openssh.com), where the
	// server can.
	Fsync bool

	// Dial makes connections. Nil means a net.Dialer; use it for proxies. It MUST return once ctx has ended.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Logger gets connections made and lost, at debug level. Nil is silent.
	Logger *slog.Logger

	unpinned bool // there need be no host keys: then no connection comes about
}

// Credentials are an account's name and how to log in with it, as Config.User and Config.Auth.
type Credentials struct {
	User string
	Auth []Auth
}

const (
	safePacket  = 32 << 10  // what every server must take
	largePacket = 255 << 10 // what OpenSSH takes since 8.5, and pkg/sftp with its 256 KiB of message
	smallPacket = 512       // the least to choose

	defaultPort = "22"
)

func (c Config) withDefaults() Config {
	setDefault(&c.MaxConnections, 2)
	if c.Sequential {
		setDefault(&c.FilesPerConnection, 1)
	}
	setDefault(&c.FilesPerConnection, 32)
	setDefault(&c.ConnectTimeout, 30*time.Second)
	setDefault(&c.OperationTimeout, 60*time.Second)
	setDefault(&c.StallTimeout, 60*time.Second)
	setDefault(&c.KeepAlive, 15*time.Second)
	setDefault(&c.IdleTimeout, 60*time.Second)
	setDefault(&c.TempName, ".transfer-%k.part")
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if addr, err := normalAddr(c.Addr); err == nil {
		c.Addr = addr
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate names every wrong field, with the fix.
func (c Config) validate() error {
	var problems []error
	wrong := func(field, format string, args ...any) {
		problems = append(problems, fmt.Errorf("sftpx: Config."+field+" "+format, args...))
	}
	if _, err := normalAddr(c.Addr); err != nil {
		wrong("Addr", `is %q: %w (try "sftp.example.com" or "sftp.example.com:22")`, shorten(c.Addr, 80), err)
	}
	if c.Credentials == nil {
		Credentials{c.User, c.Auth}.validate(wrong)
	} else if c.User != "" || len(c.Auth) > 0 {
		wrong("Credentials", "is given, and so is User or Auth (use one or the other)")
	}
	if c.Algorithms != DefaultAlgorithms && c.Algorithms != LegacyAlgorithms {
		wrong("Algorithms", "is %d (try sftpx.DefaultAlgorithms)", c.Algorithms)
	}
	c.validateLimits(wrong)
	c.Profile.validate(wrong)
	return errors.Join(problems...)
}

func (c Credentials) validate(wrong func(field, format string, args ...any)) {
	if c.User == "" {
		wrong("User", "is empty (the account's name at the partner)")
	} else if strings.ContainsFunc(c.User, unicode.IsControl) {
		wrong("User", "has control characters (is there a line end behind the name?)")
	}
	if len(c.Auth) == 0 {
		wrong("Auth", "is empty (try sftpx.PublicKey(signer) or sftpx.Password(…))")
	}
	for i, a := range c.Auth {
		if problem := a.problem(); problem != "" {
			wrong(fmt.Sprintf("Auth[%d]", i), "%s", problem)
		}
	}
}

func (c Config) validateLimits(wrong func(field, format string, args ...any)) {
	for _, f := range []struct {
		name       string
		value, max int
	}{{"MaxConnections", c.MaxConnections, 1000}, {"FilesPerConnection", c.FilesPerConnection, 1000}} {
		if f.value < 1 || f.value > f.max {
			wrong(f.name, "is %d (from 1 to %d; 0 is the default)", f.value, f.max)
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"ConnectTimeout", c.ConnectTimeout}, {"OperationTimeout", c.OperationTimeout}, {"StallTimeout", c.StallTimeout},
		{"KeepAlive", c.KeepAlive}, {"IdleTimeout", c.IdleTimeout},
	} {
		if f.value < -1 {
			wrong(f.name, "is %v (use more than 0, 0 for the default, or -1 for none)", f.value)
		}
		if f.value > 0 && f.value < time.Millisecond {
			wrong(f.name, "is %v, less than a millisecond (it is a time.Duration: 30*time.Second)", f.value)
		}
	}
}

// normalAddr returns addr as "host:port".
func normalAddr(addr string) (string, error) {
	switch {
	case addr == "":
		return "", errors.New("empty")
	case strings.Contains(addr, "://"):
		return "", errors.New("a URL, not a host")
	case strings.ContainsAny(addr, "@/ \t\r\n"):
		return "", errors.New("not a host with an optional port")
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]"), defaultPort
		if strings.Contains(host, ":") && net.ParseIP(strings.SplitN(host, "%", 2)[0]) == nil {
			return "", errors.New("not a host with an optional port")
		}
	}
	if host == "" {
		return "", errors.New("without a host")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", errors.New("with a port that is not a number from 1 to 65535")
	}
	return net.JoinHostPort(host, port), nil
}
