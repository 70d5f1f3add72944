package testenv

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// NodeScript runs a CommonJS script with Node.js and the npm packages of `make tools`, and returns what it writes to
// stdout; t fails if the script does. Variables are added to the environment, which is otherwise of PATH only.
// Without Node.js 20 or the packages t is skipped, visibly, and under RequireVariable too: not every system has them.
func NodeScript(t testing.TB, script string, variables ...string) []byte {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil || !recentNode(t, node) {
		t.Skip("skipped: no Node.js 20 on this machine")
	}
	packages := filepath.Join(s3ModuleRoot(), "bin", "node", "node_modules")
	if _, err := os.Stat(packages); err != nil {
		t.Skip("skipped: no package of AWS's JavaScript SDK (run `make tools`, which needs npm)")
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), node, script)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "NODE_PATH=" + packages}, variables...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("node %s: %v\n%s", script, err, stderr.String())
	}
	return stdout.Bytes()
}

// recentNode reports whether a Node.js can run the packages.
func recentNode(t testing.TB, node string) bool {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), node, "--version").Output()
	major, _, _ := strings.Cut(strings.TrimPrefix(string(out), "v"), ".")
	n, notNumber := strconv.Atoi(major)
	return err == nil && notNumber == nil && n >= 20
}
