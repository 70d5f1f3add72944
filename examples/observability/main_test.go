package main

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const once = `Spans:
transfer submit
transfer send transfer.outcome=completed transfer.io=26 (linked to its submission)
  open
  connect
  create
  data
  finalize
transfer submit
transfer send transfer.outcome=completed transfer.io=17825792 (linked to its submission)
  open
  connect
  create
  data
  finalize
transfer submit
transfer retrieve transfer.outcome=completed transfer.io=17825792 (linked to its submission)
  open
    connect
  create
  data
  finalize
  verify
transfer submit
transfer retrieve transfer.outcome=failed transfer.io=0 error.type=RETRIEVE_FILE_NOT_FOUND (linked to its submission)
  open error.type=FILE_NOT_FOUND
    connect

Metrics:
transfer_file_finished_total{transfer_connector_id="acme",transfer_direction="retrieve",transfer_outcome="completed"} 1
transfer_file_finished_total{transfer_connector_id="acme",transfer_direction="send",transfer_outcome="completed"} 2
transfer_file_finished_total{error_type="RETRIEVE_FILE_NOT_FOUND",transfer_connector_id="acme",transfer_direction="retrieve",transfer_failure_code="RETRIEVE_FILE_NOT_FOUND",transfer_outcome="failed"} 1
transfer_file_submitted_total{transfer_connector_id="acme",transfer_direction="retrieve"} 2
transfer_file_submitted_total{transfer_connector_id="acme",transfer_direction="send"} 2
transfer_io_bytes_total{transfer_connector_id="acme",transfer_direction="retrieve"} 1.7825792e+07
transfer_io_bytes_total{transfer_connector_id="acme",transfer_direction="send"} 1.7825818e+07
`

func TestOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-once"}, &out))
	require.Equal(t, once, out.String())
}

// TestServes scrapes the program while it runs, and ends it.
func TestServes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, nil, w)
		ended <- err
		_ = w.CloseWithError(err)
	}()
	var printed strings.Builder
	url := readUntil(t, r, &printed, regexp.MustCompile(`metrics: (http://127\.0\.0\.1:\d+/metrics)`))
	require.Eventually(t, func() bool {
		lines, err := scrape(t.Context(), url)
		require.NoError(t, err)
		return len(lines) == 7
	}, 10*time.Second, 10*time.Millisecond)
	cancel()
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, <-ended)
	require.Contains(t, printed.String()+string(rest), `"Name": "transfer retrieve"`)
}

// readUntil reads until what was printed matches, and returns the first group.
func readUntil(t *testing.T, r io.Reader, printed *strings.Builder, want *regexp.Regexp) string {
	t.Helper()
	buf := make([]byte, 4096)
	for {
		if found := want.FindStringSubmatch(printed.String()); found != nil {
			return found[1]
		}
		n, err := r.Read(buf)
		require.NoError(t, err)
		printed.Write(buf[:n])
	}
}
