package as2x

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

func TestAWSConfig(t *testing.T) {
	t.Parallel()
	secret := `{"Username":"us","Password":"secret"}`
	full := configOf(t, "https://partner.example/")
	profiles := Profiles{
		Local: map[string]Local{"p-1": full.Local}, Partner: map[string]Partner{"p-2": full.Partner},
		Secret: func(_ context.Context, id string) (string, error) {
			if id != "aws/transfer/acme" {
				return "", errors.New("no such secret")
			}
			return secret, nil
		},
	}
	a, err := ParseAWSConfig([]byte(`{
		"LocalProfileId": "p-1", "PartnerProfileId": "p-2", "MessageSubject": "orders", "Compression": "ZLIB",
		"EncryptionAlgorithm": "AES192_CBC", "SigningAlgorithm": "SHA384", "MdnSigningAlgorithm": "DEFAULT", "MdnResponse": "ASYNC",
		"BasicAuthSecretId": "aws/transfer/acme", "PreserveContentType": "ENABLED",
		"AsyncMdnConfig": {"Url": "https://us.example/mdn", "ServerIds": ["s-0123456789abcdef0"]}
	}`))
	require.NoError(t, err)
	c, err := a.Apply(Config{URL: full.URL, Records: &Records{Storage: transfer.NewMemory()}, MaxFiles: 7}, profiles)
	require.NoError(t, err)
	connector, err := New(c)
	require.NoError(t, err)
	got := connector.cfg
	require.Equal(t, full.Local, got.Local)
	require.Equal(t, full.Partner, got.Partner)
	require.Equal(t, []any{"orders", CompressionZLIB, AES192CBC, SHA384, SHA384, MDNAsync, true, "https://us.example/mdn", 7},
		[]any{got.MessageSubject, got.Compression, got.EncryptionAlgorithm, got.SigningAlgorithm, got.MDNSigningAlgorithm, got.MDNResponse, got.PreserveContentType, got.AsyncMDNURL, got.MaxFiles})
	user, password, err := got.BasicAuth(t.Context())
	require.NoError(t, err)
	require.Equal(t, "us secret", user+" "+password)

	for _, bad := range []string{"", "{}", `"secret"`, `{"Password":"secret"}`} {
		secret = bad
		_, _, err = got.BasicAuth(t.Context())
		require.ErrorIs(t, err, transfer.CredentialsFailed)
		require.NotContains(t, err.Error(), "secret\"")
	}
	text, err := json.Marshal(a)
	require.NoError(t, err)
	again, err := ParseAWSConfig(text)
	require.NoError(t, err)
	require.Equal(t, a, again)
}

func TestAWSConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := ParseAWSConfig([]byte(`{"Compresion": "ZLIB"}`))
	require.ErrorContains(t, err, "Compresion")
	base := Config{PreserveContentType: true, Compression: CompressionZLIB, BasicAuth: func(context.Context) (string, string, error) { return "", "", nil }}
	c, err := AWSConfig{LocalProfileID: "p-1", PreserveContentType: "YES", BasicAuthSecretID: "x"}.Apply(base, Profiles{})
	for _, part := range []string{`LocalProfileId "p-1" is not known`, `PartnerProfileId "" is not known`, `PreserveContentType is "YES"`, "Profiles.Secret is nil"} {
		require.ErrorContains(t, err, part)
	}
	require.Equal(t, CompressionZLIB, c.Compression)
	c, _ = AWSConfig{PreserveContentType: "DISABLED"}.Apply(base, Profiles{})
	require.False(t, c.PreserveContentType)
	require.Nil(t, c.BasicAuth)
}
