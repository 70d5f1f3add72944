package testenv

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	sshdStartLimit = 10 * time.Second
	sshdStopLimit  = 5 * time.Second
)

// SSHDServer is a private OpenSSH server that speaks SFTP only.
type SSHDServer struct {
	Addr     string     // "127.0.0.1:port"
	User     string     // the one that runs the test
	Signer   ssh.Signer // of the key that may log in
	HostKeys []string   // of ed25519, ECDSA and RSA, in this order, as ssh-keyscan prints them
	Dir      string     // where sessions start; the server sees the whole file system

	folder string
	log    *lockedBuffer
}

// SSHD starts an OpenSSH server that ends with t. Its own settings are overridden by lines of sshd_config, such as
// "MaxSessions 1" or "HostKeyAlgorithms ssh-ed25519". t is skipped where there is no sshd (see RequireVariable).
func SSHD(t testing.TB, lines ...string) *SSHDServer {
	t.Helper()
	program := sshdProgram()
	if program == "" {
		missing(t, "sshd", "apt-get install openssh-server")
	}
	s := newSSHD(t)
	config := s.configure(t, lines)
	command := exec.Command(program, "-D", "-e", "-f", config)
	command.Stdout, command.Stderr = s.log, s.log
	if err := command.Start(); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(sshdStopLimit):
			_ = command.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("sshd said:\n%s", s.log.tail(8<<10))
		}
	})
	s.waitReady(t, ended)
	return s
}

// sshdProgram finds sshd, which wants to be started by its full path and is rarely in an ordinary user's PATH.
func sshdProgram() string {
	for _, name := range []string{"sshd", "/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if found, err := exec.LookPath(name); err == nil {
			if full, err := filepath.Abs(found); err == nil {
				return full
			}
		}
	}
	return ""
}

func newSSHD(t testing.TB) *SSHDServer {
	t.Helper()
	who, err := user.Current()
	if err != nil {
		t.Fatalf("who runs the test: %v", err)
	}
	if os.Geteuid() == 0 { // sshd insists on its folder when it runs as root
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatalf("make sshd's folder: %v", err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer func() { _ = listener.Close() }()
	folder := t.TempDir()
	s := &SSHDServer{
		Addr: listener.Addr().String(), User: who.Username,
		folder: folder, Dir: filepath.Join(folder, "files"), log: new(lockedBuffer),
	}
	if err := os.Mkdir(s.Dir, 0o755); err != nil {
		t.Fatalf("make the server's folder: %v", err)
	}
	return s
}

// configure writes keys and configuration, and returns the latter's path.
func (s *SSHDServer) configure(t testing.TB, lines []string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(s.Addr)
	settings := append([]string{}, lines...) // sshd takes the first value of each setting
	for _, key := range hostKeys(t) {
		path := filepath.Join(s.folder, "host_"+key.name)
		public := writeKey(t, path, key.private)
		settings = append(settings, "HostKey "+path)
		s.HostKeys = append(s.HostKeys, fmt.Sprintf("[%s]:%s %s", host, port, public))
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	if s.Signer, err = ssh.NewSignerFromKey(private); err != nil {
		t.Fatalf("make a signer: %v", err)
	}
	authorized := filepath.Join(s.folder, "authorized_keys")
	writeFile(t, authorized, ssh.MarshalAuthorizedKey(s.Signer.PublicKey()))
	settings = append(settings,
		"ListenAddress "+s.Addr,
		"AuthorizedKeysFile "+authorized,
		"PidFile none",
		"StrictModes no",
		"UsePAM no",
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"PermitRootLogin yes",
		"UseDNS no",
		"PrintMotd no",
		"LogLevel VERBOSE",
		"MaxStartups 1000",
		"MaxSessions 1000",
		"Subsystem sftp internal-sftp",
		"ForceCommand internal-sftp -d "+s.Dir,
	)
	config := filepath.Join(s.folder, "sshd_config")
	writeFile(t, config, []byte(strings.Join(settings, "\n")+"\n"))
	return config
}

type hostKey struct {
	name    string
	private crypto.PrivateKey
}

// rsaHostKey is made once: it takes long.
var rsaHostKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func hostKeys(t testing.TB) []hostKey {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("make a host key: %v", err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make a host key: %v", err)
	}
	r, err := rsaHostKey()
	if err != nil {
		t.Fatalf("make a host key: %v", err)
	}
	return []hostKey{{"ed25519", ed}, {"ecdsa", ec}, {"rsa", r}}
}

// writeKey writes a private key as sshd reads it and returns the public one, "type base64".
func writeKey(t testing.TB, path string, private crypto.PrivateKey) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatalf("write %s: %v", path, err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatalf("write %s: %v", path, err)
	}
	writeFile(t, path, pem.EncodeToMemory(block))
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

func writeFile(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatalf("write %s: %v", path, err)
	}
}

// waitReady waits until the server greets.
func (s *SSHDServer) waitReady(t testing.TB, ended <-chan struct{}) {
	t.Helper()
	for deadline := time.Now().Add(sshdStartLimit); time.Now().Before(deadline); {
		if s.greets() {
			return
		}
		select {
		case <-ended:
			t.Fatalf("sshd ended at once:\n%s", s.log.tail(8<<10))
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("sshd does not answer on %s after %v:\n%s", s.Addr, sshdStartLimit, s.log.tail(8<<10))
}

func (s *SSHDServer) greets() bool {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	greeting := make([]byte, 4)
	_, err = conn.Read(greeting)
	return err == nil && string(greeting) == "SSH-"
}

// lockedBuffer keeps what a program says.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) tail(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.buf.String()
	return text[max(0, len(text)-n):]
}
