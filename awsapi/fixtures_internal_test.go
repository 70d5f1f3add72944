package awsapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFixtures reads the requests that AWS's SDK ships, one for each operation with all of its members, as its own
// serializer writes them.
func TestFixtures(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/transfer").Output()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "serde_snapshot", "*.request.snap"))
	require.NoError(t, err)
	require.Greater(t, len(files), 70, "AWS has 71 operations")
	ours := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".request.snap")
		r, body := readFixture(t, file)
		routed, op, err := route(r)
		if _, known := operations[name]; !known {
			var refused failure
			require.True(t, errors.As(err, &refused), name)
			require.Equal(t, "UnknownOperationException", refused.code, name)
			continue
		}
		ours++
		require.NoError(t, err)
		require.Equal(t, name, routed)
		request := op.newRequest()
		require.NoError(t, decode(body, request), name)
		again, err := json.Marshal(request)
		require.NoError(t, err)
		require.JSONEq(t, string(body), string(again), "%s: every member with its value", name)
	}
	require.Equal(t, len(operations), ours)
}

// readFixture makes a request of "POST /", an empty line, the headers, an empty line, and the body.
func readFixture(t *testing.T, file string) (*http.Request, []byte) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	first, rest, ok := bytes.Cut(text, []byte("\n\n"))
	require.True(t, ok)
	r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(first), strings.NewReader(" HTTP/1.1\r\nHost: x\r\n"), bytes.NewReader(rest))))
	require.NoError(t, err)
	_, body, ok := bytes.Cut(rest, []byte("\n\n"))
	require.True(t, ok)
	return r, body
}
