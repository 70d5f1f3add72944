package as2x

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// TestSend sends with every algorithm, over sync MDNs, through the engine.
func TestSend(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{"empty": {}, "small": []byte("UNA:+.? '\nUNB+...\r\n"), "large": random(1, 300_000)}
	partner := newPartner(t, func(c *ReceiverConfig) { c.Agreements[0].AllowUnsigned = true })
	cfg := configOf(t, partner.server.URL)
	for _, compression := range []Compression{CompressionDisabled, CompressionZLIB} {
		for _, encryption := range []EncryptionAlgorithm{AES128CBC, AES192CBC, AES256CBC, DESEDE3CBC} {
			for _, signing := range []SigningAlgorithm{SHA1, SHA256, SHA384, SHA512, SigningNone} {
				t.Run(fmt.Sprintf("%s/%s/%s", compression, encryption, signing), func(t *testing.T) {
					t.Parallel()
					cfg := cfg
					cfg.Compression, cfg.EncryptionAlgorithm, cfg.SigningAlgorithm = compression, encryption, signing
					cfg.MDNSigningAlgorithm = SHA256
					sender := newSender(t, cfg)
					for name, data := range files {
						r := sender.send(t, "/out/"+name+".edi", data)
						require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
						require.Equal(t, fmt.Sprintf("%x", sha256.Sum256(data)), r.SHA256)
					}
				})
			}
		}
	}
	t.Cleanup(func() {
		for _, path := range partner.payloads() {
			data, err := partner.storage.ReadFile(path)
			require.NoError(t, err)
			known := false
			for _, f := range files {
				known = known || bytes.Equal(f, data)
			}
			require.True(t, known, path)
		}
		require.Len(t, partner.payloads(), 2*4*5*3)
		require.Len(t, partner.rows(t), 2*4*5*3)
	})
}
