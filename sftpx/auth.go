package sftpx

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// The methods of RFC 4252 and RFC 4256, by their names in the protocol.
const (
	methodPublicKey   = "publickey"
	methodPassword    = "password"
	methodInteractive = "keyboard-interactive"
)

// Auth is one way to log in; its constructors are PublicKey, Password, KeyboardInteractive, Agent and AgentSocket.
type Auth struct {
	method   string
	wrong    string // what validation says of it
	signers  func(context.Context) (signers []ssh.Signer, done func(), err error)
	password func(context.Context) (string, error)
	ask      Challenge
}

// Challenge answers the questions of a keyboard-interactive login (RFC 4256, section 3.2): as many answers as questions.
// All texts come from the server and are hostile input. echo tells questions whose answer may be shown.
type Challenge func(ctx context.Context, name, instruction string, questions []string, echo []bool) ([]string, error)

// PublicKey logs in with private keys, tried in order. Give few: many servers hang up after two that they do not know.
func PublicKey(signers ...ssh.Signer) Auth {
	a := Auth{method: methodPublicKey}
	if len(signers) == 0 || slices.Contains(signers, nil) {
		a.wrong = "is PublicKey without a key (try sftpx.ParsePrivateKey)"
	}
	a.signers = func(context.Context) ([]ssh.Signer, func(), error) { return signers, func() {}, nil }
	return a
}

// Password logs in with a password. secret is called when a server asks, once for each connection, and its result is not
// kept; it MUST return once ctx has ended. A server that has no password login, but asks one hidden question by
// keyboard-interactive, gets the password as its answer.
func Password(secret func(ctx context.Context) (string, error)) Auth {
	a := Auth{method: methodPassword, password: secret}
	if secret == nil {
		a.wrong = "is Password(nil) (give a function that returns the password)"
	}
	return a
}

// KeyboardInteractive logs in by answering the server's questions. ask MUST return once its ctx has ended.
func KeyboardInteractive(ask Challenge) Auth {
	a := Auth{method: methodInteractive, ask: ask}
	if ask == nil {
		a.wrong = "is KeyboardInteractive(nil) (give a function that answers)"
	}
	return a
}

// Agent logs in with the keys that an agent holds: all of them, or those named in only.
func Agent(keys agent.Agent, only ...ssh.PublicKey) Auth {
	a := Auth{method: methodPublicKey}
	if keys == nil {
		a.wrong = "is Agent(nil) (try sftpx.AgentSocket(\"\"))"
	}
	a.signers = func(context.Context) ([]ssh.Signer, func(), error) {
		signers, err := agentSigners(keys, only)
		return signers, func() {}, err
	}
	return a
}

// AgentSocket logs in with the keys of the agent that listens on a Unix socket: all of them, or those named in only. An
// empty path means $SSH_AUTH_SOCK. The socket is opened for each login and closed after it.
func AgentSocket(path string, only ...ssh.PublicKey) Auth {
	return Auth{method: methodPublicKey, signers: func(ctx context.Context) ([]ssh.Signer, func(), error) {
		socket := cmp.Or(path, os.Getenv("SSH_AUTH_SOCK"))
		if socket == "" {
			return nil, nil, errors.New("no ssh-agent: no path given, and $SSH_AUTH_SOCK is empty")
		}
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err != nil {
			return nil, nil, fmt.Errorf("reach ssh-agent: %w", err)
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		done := func() { stop(); _ = conn.Close() }
		signers, err := agentSigners(agent.NewClient(conn), only)
		if err != nil {
			done()
			return nil, nil, err
		}
		return signers, done, nil
	}}
}

func agentSigners(keys agent.Agent, only []ssh.PublicKey) ([]ssh.Signer, error) {
	signers, err := keys.Signers()
	if err != nil {
		return nil, fmt.Errorf("ask ssh-agent for its keys: %w", err)
	}
	if len(only) > 0 {
		signers = slices.DeleteFunc(slices.Clone(signers), func(s ssh.Signer) bool {
			return !slices.ContainsFunc(only, func(k ssh.PublicKey) bool {
				return bytes.Equal(k.Marshal(), s.PublicKey().Marshal())
			})
		})
	}
	if len(signers) == 0 {
		return nil, errors.New("ssh-agent holds none of the keys (ssh-add adds one)")
	}
	return signers, nil
}

// ParsePrivateKey reads a private key: OpenSSH's format, PKCS #1, PKCS #8 or SEC 1, as PEM. passphrase is nil for a key
// without one; neither it nor the file's content is kept.
func ParsePrivateKey(pem, passphrase []byte) (ssh.Signer, error) {
	var signer ssh.Signer
	var err error
	if len(passphrase) > 0 {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(pem, passphrase)
	} else {
		signer, err = ssh.ParsePrivateKey(pem)
	}
	missing := (*ssh.PassphraseMissingError)(nil)
	switch {
	case errors.As(err, &missing):
		return nil, errors.New("sftpx: private key is protected (give its passphrase)")
	case errors.Is(err, x509.IncorrectPasswordError):
		return nil, errors.New("sftpx: passphrase of private key is wrong")
	case err != nil:
		return nil, fmt.Errorf("sftpx: parse private key: %w", err)
	}
	return signer, nil
}

// Certificate joins a private key with the certificate that an authority issued for it: a line as in id_ed25519-cert.pub.
func Certificate(signer ssh.Signer, certificate []byte) (ssh.Signer, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey(certificate)
	if err != nil {
		return nil, fmt.Errorf("sftpx: parse certificate: %w", err)
	}
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		return nil, fmt.Errorf("sftpx: a %s key is no certificate (want the content of …-cert.pub)", key.Type())
	}
	both, err := ssh.NewCertSigner(cert, signer)
	if err != nil {
		return nil, fmt.Errorf("sftpx: certificate: %w", err)
	}
	return both, nil
}

func (a Auth) problem() string {
	if a.method == "" {
		return "is empty (try sftpx.PublicKey(signer))"
	}
	return a.wrong
}

// login logs in to one server once. It is used by one goroutine, that of the handshake.
type login struct {
	ctx      context.Context // of the handshake; x/crypto/ssh hands none to its callbacks
	user     string
	steps    []loginStep
	cleanups []func()

	broken   func() bool // whether the connection has failed meanwhile
	accepted []string    // what has succeeded, and behind it what was chosen last
	allowed  []string    // what the server last said that it accepts; nil before it said anything
	tried    []string
	refused  bool // it has said no to one of them, which x/crypto/ssh does not tell from a lost connection
}

type loginStep struct {
	name    string
	method  ssh.AuthMethod
	implied bool // answers a keyboard-interactive server with the password
}

// errSource is a failure to get a key or password on our side. No server has refused anything.
type errSource struct{ err error }

func (e errSource) Error() string { return e.err.Error() }
func (e errSource) Unwrap() error { return e.err }

// newLogin makes one step of each method, at the place of its first mention: x/crypto/ssh uses one per name.
func newLogin(ctx context.Context, c Credentials, algorithms Algorithms) *login {
	l := &login{ctx: ctx, user: c.User}
	done := map[string]bool{}
	for _, a := range c.Auth {
		if done[a.method] {
			continue
		}
		done[a.method] = true
		switch a.method {
		case methodPublicKey:
			keys := ssh.PublicKeysCallback(func() ([]ssh.Signer, error) { return l.signers(c, algorithms) })
			l.steps = append(l.steps, loginStep{name: a.method, method: keys})
		case methodPassword:
			password := ssh.PasswordCallback(func() (string, error) { return l.secret(a) })
			l.steps = append(l.steps, loginStep{name: a.method, method: password},
				loginStep{name: methodInteractive, method: ssh.KeyboardInteractive(l.answerWith(a)), implied: true})
		case methodInteractive:
			l.steps = append(l.steps, loginStep{name: a.method, method: ssh.KeyboardInteractive(l.ask(a))})
		}
	}
	if done[methodInteractive] {
		l.steps = slices.DeleteFunc(l.steps, func(s loginStep) bool { return s.implied })
	}
	return l
}

// signers collects the keys of all sources. One that fails matters only if no other has a key.
func (l *login) signers(c Credentials, algorithms Algorithms) ([]ssh.Signer, error) {
	var all []ssh.Signer
	var failed error
	for _, a := range c.Auth {
		if a.method != methodPublicKey {
			continue
		}
		signers, done, err := a.signers(l.ctx)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		l.cleanups = append(l.cleanups, done)
		for _, s := range signers {
			all = append(all, algorithms.signer(s))
		}
	}
	if len(all) == 0 && failed != nil {
		return nil, errSource{failed}
	}
	return all, nil
}

func (l *login) secret(a Auth) (string, error) {
	secret, err := a.password(l.ctx)
	if err != nil {
		return "", errSource{fmt.Errorf("get the password: %w", err)}
	}
	return secret, nil
}

func (l *login) ask(a Auth) ssh.KeyboardInteractiveChallenge {
	return func(name, instruction string, questions []string, echo []bool) ([]string, error) {
		answers, err := a.ask(l.ctx, name, instruction, questions, echo)
		if err != nil {
			return nil, errSource{fmt.Errorf("answer the server's questions: %w", err)}
		}
		return answers, nil
	}
}

// answerWith answers one hidden question with the password. Many servers ask so for lack of a password login.
func (l *login) answerWith(a Auth) ssh.KeyboardInteractiveChallenge {
	answered := false
	return func(_, _ string, questions []string, echo []bool) ([]string, error) {
		switch {
		case len(questions) == 0: // a server may end with a message
			return nil, nil
		case answered || len(questions) > 1 || echo[0]:
			return nil, fmt.Errorf("the server asks for more than a password, first %q (try sftpx.KeyboardInteractive)",
				shorten(questions[0], 80))
		}
		answered = true
		secret, err := l.secret(a)
		if err != nil {
			return nil, err
		}
		return []string{secret}, nil
	}
}

// next chooses the next step. It keeps the password from being refused twice in one login.
func (l *login) next(state *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	l.allowed = state.AllowedMethods
	l.tried = slices.DeleteFunc(state.TriedMethods, func(m string) bool { return m == "none" })
	broken := l.broken()
	l.refused = len(l.tried) > 0 && !broken
	for _, s := range l.steps {
		if !slices.Contains(l.allowed, s.name) || slices.Contains(l.tried, s.name) {
			continue
		}
		known := slices.Concat(l.allowed, l.tried, state.PartialSuccessMethods)
		if s.implied && slices.Contains(known, methodPassword) {
			continue
		}
		if broken {
			return nil, errLostAtLogin
		}
		l.accepted = append(slices.Clone(state.PartialSuccessMethods), s.name)
		return s.method, nil
	}
	return nil, nil
}

// end closes what logging in has opened.
func (l *login) end() {
	for _, done := range l.cleanups {
		done()
	}
}
