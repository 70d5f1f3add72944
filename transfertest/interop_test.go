package transfertest_test

import (
	"bytes"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"crypto/ed25519"
	"crypto/rand"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// OpenSSH's own client finds nothing to complain about.
func TestOpenSSHClient(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("sftp")
	if err != nil {
		testenv.Skip(t, "no sftp on this machine (apt-get install openssh-client)")
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	authorized, err := ssh.NewPublicKey(public)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	require.NoError(t, err)

	for name, dir := range map[string]string{"memory": "", "directory": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := transfertest.StartSFTP(t, transfertest.SFTPOptions{
				AuthorizedKeys: []ssh.PublicKey{authorized}, Dir: dir, Home: "/home",
			})
			local := t.TempDir()
			write := func(name string, data []byte) string {
				name = filepath.Join(local, name)
				require.NoError(t, os.WriteFile(name, data, 0o600))
				return name
			}
			data := random(t, 1<<20+5)
			require.NoError(t, srv.WriteFile("in/half", data[:len(data)/2]))
			identity := write("id", pem.EncodeToMemory(block))
			hosts := write("known_hosts", []byte(strings.Join(srv.HostKeys(), "\n")+"\n"))
			up := write("up", data)
			down := filepath.Join(local, "down")
			host, port, err := net.SplitHostPort(srv.Addr())
			require.NoError(t, err)

			script := strings.Join([]string{
				"pwd", "cd in", "put -fp " + up + " a.tmp", "rename a.tmp a", "ls -l", "df .",
				"get a " + down, "chmod 600 a", "put " + up + " b", "rm b", "mkdir d", "rmdir d", "reput " + up + " half",
			}, "\n")
			cmd := exec.CommandContext(t.Context(), program, "-b", "-", "-F", "none", "-P", port, "-i", identity,
				"-o", "UserKnownHostsFile="+hosts, "-o", "StrictHostKeyChecking=yes", "partner@"+host)
			cmd.Stdin = strings.NewReader(script)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			require.Contains(t, string(out), "Remote working directory: /home")
			require.Equal(t, []string{"/home/in/a", "/home/in/half"}, srv.Files())
			got, err := os.ReadFile(down)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
			for _, name := range srv.Files() {
				got, err := srv.ReadFile(name)
				require.NoError(t, err)
				require.True(t, bytes.Equal(data, got), name)
			}
			info, err := srv.Stat("in/a")
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		})
	}
}
