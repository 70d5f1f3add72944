package testenv

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

// GPG runs GnuPG with a home folder of its own, which ends with the test.
type GPG struct {
	program, home string
}

// NewGPG returns a GPG without any keys. t is skipped where there is no GnuPG (see RequireVariable).
func NewGPG(t testing.TB) *GPG {
	t.Helper()
	program, err := exec.LookPath("gpg")
	if err != nil {
		missing(t, "gpg", "apt-get install gnupg")
	}
	home, err := os.MkdirTemp("", "gpg") // short: the agent's socket is in it
	if err != nil {
		t.Fatal(err)
	}
	g := &GPG{program: program, home: home}
	t.Cleanup(func() {
		stop := exec.Command("gpgconf", "--homedir", home, "--kill", "all")
		if out, err := stop.CombinedOutput(); err != nil {
			t.Errorf("stop gpg-agent: %v: %s", err, out)
		}
		if err := os.RemoveAll(home); err != nil {
			t.Errorf("remove %s: %v", home, err)
		}
	})
	return g
}

// Try runs gpg with this input, and returns its output.
func (g *GPG) Try(input []byte, args ...string) ([]byte, error) {
	args = append([]string{"--homedir", g.home, "--batch", "--yes", "--no-tty", "--trust-model", "always", "--pinentry-mode", "loopback"}, args...)
	cmd := exec.Command(g.program, args...)
	cmd.Stdin = bytes.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, &gpgError{err, errs.String()}
	}
	return out.Bytes(), nil
}

// Run is Try of what must not fail.
func (g *GPG) Run(t testing.TB, input []byte, args ...string) []byte {
	t.Helper()
	out, err := g.Try(input, args...)
	if err != nil {
		t.Fatalf("gpg %q: %v", args, err)
	}
	return out
}

type gpgError struct {
	err  error
	said string
}

func (e *gpgError) Error() string { return e.err.Error() + ": " + e.said }
func (e *gpgError) Unwrap() error { return e.err }
