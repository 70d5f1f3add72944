package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
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

// TestReadme keeps the code in the README the one that is compiled and run here.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme := readFile(t, filepath.Join("..", "..", "README.md"))
	require.True(t, strings.Contains(readme, "```go\n"+readFile(t, "main.go")+"```\n"), "README.md does not hold examples/send/main.go as it is")
	_, test, found := strings.Cut(readFile(t, "partner_test.go"), "\n// fullPartner")
	require.True(t, found)
	require.True(t, strings.Contains(readme, "```go\n// fullPartner"+test+"```\n"), "README.md does not hold fullPartner of examples/send/partner_test.go as it is")
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(content)
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

	for _, test := range []struct {
		files  []string
		status int
		out    string
	}{
		{[]string{"orders.csv"}, 0, `^orders\.csv 15 [0-9a-f]{64}\n$`},
		{[]string{"/orders.csv"}, 0, `^/orders\.csv 15 [0-9a-f]{64}\n$`},
		{
			[]string{"missing.csv", "orders.csv"}, 1,
			`^transfer missing\.csv: SEND_FILE_NOT_FOUND: .+\norders\.csv 15 [0-9a-f]{64}\n$`,
		},
	} {
		status, out := program(t, dir, append([]string{server.Addr(), server.User(), "key", "known_hosts"}, test.files...)...)
		require.Equal(t, test.status, status, out)
		require.Regexp(t, test.out, out)
		content, err := server.ReadFile("in/orders.csv")
		require.NoError(t, err)
		require.Equal(t, "id;item\n1;bolt\n", string(content))
		require.NoError(t, server.Remove("in/orders.csv"))
	}
}

// program runs the program in dir and returns its exit status and what it prints.
func program(t *testing.T, dir string, args ...string) (status int, out string) {
	t.Helper()
	itself, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), itself, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Dir = dir
	printed, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), string(printed)
}
