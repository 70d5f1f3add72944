package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestQuickstart(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	for _, line := range []string{
		`(?m)^/outbox/photos\.tar +COMPLETED +17825792 +4 +1 +[0-9a-f]{12} +-$`,
		`(?m)^/in/photos\.tar +COMPLETED +17825792 +4 +1 +[0-9a-f]{12} +-$`,
		`(?m)^/in/missing\.csv +FAILED +0 +0 +1 +- +RETRIEVE_FILE_NOT_FOUND$`,
	} {
		require.Regexp(t, line, out.String())
	}
}
