// Package testenv starts the real programs that tests run against: OpenSSH's sshd, an S3 server and PostgreSQL. Each
// listens on a free loopback port, or a socket of its own, has its data in a temporary folder, and is stopped when the
// tests end. It finds those that tests start themselves: openssl and Java with Bouncy Castle.
package testenv

import (
	"fmt"
	"os"
	"testing"
)

// RequireVariable names the environment variable that turns a skip for want of a program into a failure, so that a
// complete run cannot pass by leaving something out. `make test` sets it.
const RequireVariable = "TRANSFER_TEST_REQUIRE"

// Skip skips t, visibly, for want of something on this machine, or fails it where RequireVariable is set.
func Skip(t testing.TB, want string) {
	t.Helper()
	if os.Getenv(RequireVariable) != "" {
		t.Fatal(want)
	}
	t.Skip("skipped: " + want)
}

// missing skips t for want of a program.
func missing(t testing.TB, program, fix string) {
	t.Helper()
	Skip(t, fmt.Sprintf("no %s on this machine (%s)", program, fix))
}
