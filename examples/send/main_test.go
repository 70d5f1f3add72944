package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer/transfertest"
)

// asProgram tells this test's binary to be the program.
const asProgram = "TRANSFER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestReadme keeps the program in the README the one that is compiled and run here.
func TestReadme(t *testing.T) {
	t.Parallel()
	program, err := os.ReadFile("main.go")
	require.NoError(t, err)
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	require.True(t, strings.Contains(string(readme), "```go\n"+string(program)+"```\n"), "README.md does not hold examples/send/main.go as it is")
}

func TestSend(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(key, "")
	require.NoError(t, err)
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{AuthorizedKeys: []ssh.PublicKey{signer.PublicKey()}})
	require.NoError(t, server.MkdirAll("in"))
	for name, content := range map[string]string{
		"key":         string(pem.EncodeToMemory(block)),
		"known_hosts": strings.Join(server.HostKeys(), "\n") + "\n",
		"orders.csv":  "id;item\n1;bolt\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}

	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, server.Addr(), server.User(), "key", "known_hosts", "orders.csv", "missing.csv")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Regexp(t, `(?m)^orders\.csv COMPLETED 15 [0-9a-f]{64} +$`, string(out))
	require.Regexp(t, `(?m)^missing\.csv FAILED 0  SEND_FILE_NOT_FOUND `, string(out))
	content, err := server.ReadFile("in/orders.csv")
	require.NoError(t, err)
	require.Equal(t, "id;item\n1;bolt\n", string(content))
}
