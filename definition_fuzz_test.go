package transfer

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// nowhere is a Protocol that finds nothing wrong.
type nowhere struct{}

func (nowhere) Check(*ConnectorDefinition) []InvalidField { return nil }
func (nowhere) Open(*ConnectorDefinition, Secrets) (OpenedConnector, error) {
	return nil, UnsupportedOperationError
}

// A URL that is taken has a host, a known scheme and no credentials; one that is refused is not shown if it may have some.
func FuzzDefinitionURL(f *testing.F) {
	for _, text := range []string{
		"sftp://h", "sftp://h:22", "sftp://[::1]:22", "sftp://[fe80::1%25eth0]", "sftp://u:p@h", "SFTP://h", "sftp:h", "sftp://", "//h", "sftp://h:99999", "sftp://h/%2e", "sftp://h%40x",
		"as2://h/path?q", "sftp://h#", "sftp://\x00", "sftp://h\n",
	} {
		f.Add(text)
	}
	cfg := &Config{Protocols: map[string]Protocol{"sftp": nowhere{}, "as2": nowhere{}}}
	f.Fuzz(func(t *testing.T, text string) {
		d := ConnectorDefinition{URL: text}
		if strings.HasPrefix(strings.ToLower(text), "sftp:") {
			d.SftpConfig = &SftpConnectorConfig{UserSecretID: "s"}
		}
		_, err := cfg.checkDefinition(&d)
		if err != nil {
			if _, secret, ok := strings.Cut(text, ":"); ok && strings.Contains(text, "@") && len(secret) > 8 {
				require.NotContains(t, err.Error(), secret)
			}
			return
		}
		u, err := url.Parse(text)
		require.NoError(t, err)
		require.NotEmpty(t, u.Hostname())
		require.Nil(t, u.User)
		require.Contains(t, cfg.Protocols, u.Scheme)
		require.False(t, u.Scheme == "sftp" && len(u.Path) > 1)
	})
}
