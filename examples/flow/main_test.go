package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFlow(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, t.TempDir()))
	require.Equal(t, `RETRIEVE acme /drop/orders.csv.gz -> inbox/orders.csv.gz, 56 bytes
SEND     bank inbox/orders.csv -> /in/orders.csv, 36 bytes
acme has ["/archive/1/orders.csv.gz"], bank has ["/in/orders.csv"]
`, out.String())
}
