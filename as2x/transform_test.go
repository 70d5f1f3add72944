package as2x

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// TestSendTransformed sends files whose size is known only at the end.
func TestSendTransformed(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{"empty": {}, "small": []byte("UNB+"), "window": random(3, 64<<10), "large": random(1, 300_000)}
	for _, compression := range []Compression{CompressionDisabled, CompressionZLIB} {
		t.Run(string(compression), func(t *testing.T) {
			t.Parallel()
			partner := newPartner(t)
			cfg := configOf(t, partner.server.URL)
			cfg.Compression = compression
			sender := newSender(t, cfg, byGzip)
			for name, data := range files {
				r := sender.sendByRule(t, "/out/"+name, data)
				require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
				requireReceived(t, partner.storage, partner.payloads(), name, r, data)
			}
		})
	}
}

// byGzip has the files of the rule "flow" compressed.
func byGzip(c *transfer.Config) {
	c.Rules = map[string]transfer.Rule{"flow": {Transforms: []transfer.Transform{transfer.Gzip(1)}}}
}

func (s *ourSide) sendByRule(t *testing.T, path string, data []byte) transfer.ConnectorFileTransferResult {
	t.Helper()
	s.storage.WriteFile(path, data)
	out, err := s.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "partner", SendFilePaths: []string{path}, RuleName: "flow"})
	require.NoError(t, err)
	_, err = s.client.Wait(t.Context(), out.TransferID)
	require.NoError(t, err)
	return s.result(t, out.TransferID)
}

func requireReceived(t *testing.T, storage *transfer.Memory, paths []string, name string, r transfer.ConnectorFileTransferResult, data []byte) {
	t.Helper()
	for _, path := range paths {
		if !strings.Contains(path, name) {
			continue
		}
		there, err := storage.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, r.SHA256, fmt.Sprintf("%x", sha256.Sum256(there)))
		require.EqualValues(t, len(there), r.Size)
		z, err := gzip.NewReader(bytes.NewReader(there))
		require.NoError(t, err)
		plain, err := io.ReadAll(z)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, plain))
		return
	}
	require.Failf(t, "nothing was received", "%s: %v", name, paths)
}

func TestTransformedFilesHaveALimit(t *testing.T) {
	t.Parallel()
	partner := newPartner(t)
	cfg := configOf(t, partner.server.URL)
	cfg.MaxFileSize = 100_000
	r := newSender(t, cfg, byGzip).sendByRule(t, "/out/large", random(1, 150_000))
	require.Equal(t, transfer.FileSizeTooLarge, r.FailureCode, r.FailureMessage)
	require.Empty(t, partner.payloads())
}
