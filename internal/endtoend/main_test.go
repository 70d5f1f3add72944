// Package endtoend tests the whole way of a file: client, engine, S3 and SFTP together.
package endtoend

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
