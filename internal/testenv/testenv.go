// Package testenv starts the real programs that tests run against: OpenSSH's sshd and an S3 server. Each runs on a
// free loopback port with its data in a temporary folder, and is stopped when the test ends.
package testenv

import (
	"os"
	"testing"
)

// RequireVariable names the environment variable that turns a skip for want of a program into a failure, so that a
// complete run cannot pass by leaving something out. `make test` sets it.
const RequireVariable = "TRANSFER_TEST_REQUIRE"

// missing skips t, visibly, because a program is not on this machine, or fails it where RequireVariable is set.
func missing(t testing.TB, program, fix string) {
	t.Helper()
	if os.Getenv(RequireVariable) != "" {
		t.Fatalf("no %s on this machine (%s)", program, fix)
	}
	t.Skipf("skipped: no %s on this machine (%s)", program, fix)
}
