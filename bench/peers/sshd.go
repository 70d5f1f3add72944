//go:build linux

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

const serverPatience = 10 * time.Second

// sshd is a private OpenSSH server on a loopback port, with its own settings but for those that let one key in.
type sshd struct {
	*server
	addr, user  string
	key         string // path of the private key that may log in
	hostKey     string // path of the server's public key
	opensshConf string // for ssh and sftp: key, host key, no questions
}

// startSSHD starts a server with its keys in a folder of its own below parent.
func startSSHD(ctx context.Context, parent string) (*sshd, error) {
	program, err := findSSHD()
	if err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 { // sshd insists on its folder when it runs as root
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, err
		}
	}
	who, err := user.Current()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(parent, "ssh")
	s := &sshd{addr: addr, user: who.Username, key: filepath.Join(folder, "id"), hostKey: filepath.Join(folder, "host.pub"), opensshConf: filepath.Join(folder, "ssh_config")}
	if err := s.configure(folder); err != nil {
		return nil, err
	}
	s.server, err = startServer(exec.Command(program, "-D", "-e", "-f", filepath.Join(folder, "sshd_config")), addr)
	return s, err
}

// findSSHD finds sshd, which wants to be started by its full path and is rarely in an ordinary user's PATH.
func findSSHD() (string, error) {
	for _, name := range []string{"sshd", "/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if found, err := exec.LookPath(name); err == nil {
			return filepath.Abs(found)
		}
	}
	return "", errors.New("no sshd on this machine (try apt-get install openssh-server)")
}

// configure writes keys and the configurations of the server and of OpenSSH's clients.
func (s *sshd) configure(folder string) error {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	host, err := writeKey(filepath.Join(folder, "host"))
	if err != nil {
		return err
	}
	client, err := writeKey(s.key)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"authorized_keys": client,
		"known_hosts":     "bench " + host,
		"sshd_config":     s.serverConfig(folder),
		"ssh_config":      s.clientConfig(folder),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// serverConfig leaves the shell open, with which rclone asks for hashes, but without what its owner has it do first.
func (s *sshd) serverConfig(folder string) string {
	return strings.Join([]string{
		"ListenAddress " + s.addr,
		"HostKey " + filepath.Join(folder, "host"),
		"AuthorizedKeysFile " + filepath.Join(folder, "authorized_keys"),
		"PidFile none",
		"StrictModes no",
		"UsePAM no",
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"PermitRootLogin yes",
		"UseDNS no",
		"PrintMotd no",
		"MaxStartups 1000",
		"MaxSessions 1000",
		"Subsystem sftp internal-sftp",
		"SetEnv HOME=" + folder,
	}, "\n") + "\n"
}

func (s *sshd) clientConfig(folder string) string {
	return strings.Join([]string{
		"Host *",
		"User " + s.user,
		"IdentityFile " + s.key,
		"IdentitiesOnly yes",
		"UserKnownHostsFile " + filepath.Join(folder, "known_hosts"),
		"HostKeyAlias bench",
		"BatchMode yes",
	}, "\n") + "\n"
}

// writeKey makes a key pair, writes both as OpenSSH does, and returns the public one's line.
func writeKey(path string) (string, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		return "", err
	}
	public, err := gossh.NewPublicKey(private.Public())
	if err != nil {
		return "", err
	}
	line := gossh.MarshalAuthorizedKey(public)
	return string(line), errors.Join(
		os.WriteFile(path, pem.EncodeToMemory(block), 0o600),
		os.WriteFile(path+".pub", line, 0o600))
}

// freeAddress finds a loopback port that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
