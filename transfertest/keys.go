package transfertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// HostKeyType is a kind of host key.
type HostKeyType string

// Kinds of host key.
const (
	Ed25519 HostKeyType = "ed25519"
	ECDSA   HostKeyType = "ecdsa" // P-256
	RSA     HostKeyType = "rsa"   // 2048 bits
)

func newKey(kind HostKeyType) (ssh.Signer, error) {
	var key crypto.Signer
	var err error
	switch kind {
	case Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case ECDSA:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RSA:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		err = fmt.Errorf("transfertest: host key type %q is unknown (try Ed25519, ECDSA or RSA)", kind)
	}
	if err != nil {
		return nil, err
	}
	return ssh.NewSignerFromSigner(key)
}

func newHostKeys(o SFTPOptions) ([]ssh.Signer, error) {
	types := o.HostKeyTypes
	if len(types) == 0 && len(o.HostKeys) == 0 {
		types = []HostKeyType{Ed25519}
	}
	keys := append([]ssh.Signer(nil), o.HostKeys...)
	for _, kind := range types {
		key, err := newKey(kind)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// RotateHostKeys replaces all host keys by new ones of the same kinds, for connections to come: pins made before no
// longer fit. Keys given in SFTPOptions.HostKeys are replaced by those of HostKeyTypes, or by an Ed25519 key.
func (s *SFTPServer) RotateHostKeys() error {
	o := s.opts
	o.HostKeys = nil
	keys, err := newHostKeys(o)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hostKeys = keys
	return nil
}

// HostKeys returns the host keys as ssh-keyscan prints them and known_hosts files hold them, one line each:
// "[127.0.0.1]:2222 ssh-ed25519 AAAA…".
func (s *SFTPServer) HostKeys() []string {
	var lines []string
	for _, key := range s.HostPublicKeys() {
		lines = append(lines, knownhosts.Line([]string{s.addr}, key))
	}
	return lines
}

// HostPublicKeys returns the host keys.
func (s *SFTPServer) HostPublicKeys() []ssh.PublicKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []ssh.PublicKey
	for _, k := range s.hostKeys {
		keys = append(keys, k.PublicKey())
	}
	return keys
}

// Signer returns a client key that the server lets in. It is made anew for each server.
func (s *SFTPServer) Signer() ssh.Signer { return s.signer }

// User returns a user name that the server lets in: SFTPOptions.User, or "partner".
func (s *SFTPServer) User() string {
	if s.opts.User != "" {
		return s.opts.User
	}
	return "partner"
}

// ClientConfig returns a configuration for ssh.Dial that logs in (with Signer, and with the password and the prompts'
// answers where there are any) and accepts the present host keys only.
func (s *SFTPServer) ClientConfig() *ssh.ClientConfig {
	keys := s.HostPublicKeys()
	var algorithms []string
	for _, key := range keys {
		if key.Type() == ssh.KeyAlgoRSA {
			algorithms = append(algorithms, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			continue
		}
		algorithms = append(algorithms, key.Type())
	}
	config := &ssh.ClientConfig{
		User:              s.User(),
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(s.signer), ssh.Password(s.opts.Password), s.answers()},
		HostKeyAlgorithms: algorithms,
		HostKeyCallback:   pin(keys),
	}
	config.Config = s.opts.SSH
	return config
}

func (s *SFTPServer) answers() ssh.AuthMethod {
	return ssh.KeyboardInteractive(func(_, _ string, texts []string, _ []bool) (answers []string, err error) {
		for _, p := range s.opts.Prompts[:min(len(texts), len(s.opts.Prompts))] {
			answers = append(answers, p.Answer)
		}
		return answers, nil
	})
}

var errDenied = errors.New("transfertest: denied")

// serverConfig is made for each connection, so that keys may rotate.
func (s *SFTPServer) serverConfig() *ssh.ServerConfig {
	c := &ssh.ServerConfig{Config: s.opts.SSH, ServerVersion: s.opts.Version, PublicKeyCallback: s.checkKey}
	if c.ServerVersion == "" {
		c.ServerVersion = "SSH-2.0-transfertest"
	}
	if !s.opts.MultiFactor {
		c.PasswordCallback, c.KeyboardInteractiveCallback = s.passwordCallbacks()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range s.hostKeys {
		c.AddHostKey(key)
	}
	return c
}

type (
	passwordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error)
	promptCallback   = func(ssh.ConnMetadata, ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error)
)

func (s *SFTPServer) passwordCallbacks() (password passwordCallback, prompts promptCallback) {
	if s.opts.Password != "" {
		password = s.checkPassword
	}
	if len(s.opts.Prompts) > 0 {
		prompts = s.checkPrompts
	}
	return password, prompts
}

func (s *SFTPServer) welcome(user string) bool {
	return (s.opts.User == "" || s.opts.User == user) && !s.Faults().RefuseLogin
}

func (s *SFTPServer) checkPassword(meta ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
	if !s.welcome(meta.User()) || string(password) != s.opts.Password {
		return nil, errDenied
	}
	return &ssh.Permissions{}, nil
}

func (s *SFTPServer) checkPrompts(meta ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	var texts []string
	var echos []bool
	for _, p := range s.opts.Prompts {
		texts, echos = append(texts, p.Text), append(echos, p.Echo)
	}
	answers, err := ask("", "", texts, echos)
	if err != nil {
		return nil, err
	}
	right := s.welcome(meta.User()) && len(answers) == len(texts)
	for i, p := range s.opts.Prompts {
		right = right && answers[i] == p.Answer
	}
	if !right {
		return nil, errDenied
	}
	return &ssh.Permissions{}, nil
}

func (s *SFTPServer) checkKey(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	if !s.welcome(meta.User()) {
		return nil, errDenied
	}
	checker := &ssh.CertChecker{
		IsUserAuthority: func(ca ssh.PublicKey) bool { return contains(s.opts.TrustedUserCAs, ca) },
		UserKeyFallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if contains(s.opts.AuthorizedKeys, key) || contains([]ssh.PublicKey{s.signer.PublicKey()}, key) {
				return &ssh.Permissions{}, nil
			}
			return nil, errDenied
		},
	}
	permissions, err := checker.Authenticate(meta, key)
	if err == nil && s.opts.MultiFactor {
		password, prompts := s.passwordCallbacks()
		next := ssh.ServerAuthCallbacks{PasswordCallback: password, KeyboardInteractiveCallback: prompts}
		return nil, &ssh.PartialSuccessError{Next: next}
	}
	return permissions, err
}

func contains(keys []ssh.PublicKey, key ssh.PublicKey) bool {
	for _, k := range keys {
		if string(k.Marshal()) == string(key.Marshal()) {
			return true
		}
	}
	return false
}

func pin(keys []ssh.PublicKey) ssh.HostKeyCallback {
	return func(host string, _ net.Addr, key ssh.PublicKey) error {
		if contains(keys, key) {
			return nil
		}
		return fmt.Errorf("transfertest: host key of %s is not the server's: %s", host, key.Type())
	}
}
