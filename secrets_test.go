package transfer_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

func TestSecretsDir(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "secrets")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sftp"), 0o700))
	for path, text := range map[string]string{"secrets/acme": "one", "secrets/sftp/acme": "two", "outside": "not this", "secrets/big": string(make([]byte, 65537)), "secrets/max": string(make([]byte, 65536))} {
		require.NoError(t, os.WriteFile(filepath.Join(root, path), []byte(text), 0o600))
	}
	require.NoError(t, os.Symlink(filepath.Join(root, "outside"), filepath.Join(dir, "link")))
	secrets := transfer.SecretsDir(dir)
	for id, want := range map[string]string{"acme": "one", "sftp/acme": "two", "/acme": "one"} {
		got, err := secrets.Secret(t.Context(), id)
		require.NoError(t, err, id)
		require.Equal(t, want, string(got), id)
	}
	_, err := secrets.Secret(t.Context(), "max")
	require.NoError(t, err)
	for _, id := range []string{"", "missing", "../outside", "sftp/../../outside", "link", "sftp", "big"} {
		got, err := secrets.Secret(t.Context(), id)
		require.Error(t, err, id)
		require.Empty(t, got, id)
		require.NotContains(t, err.Error(), "not this", id)
	}
	_, err = secrets.Secret(t.Context(), "missing")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "acme"), []byte("rotated"), 0o600))
	got, err := secrets.Secret(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, "rotated", string(got))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = secrets.Secret(ctx, "acme")
	require.ErrorIs(t, err, context.Canceled)
}

func TestSecretsEnv(t *testing.T) {
	t.Setenv("TEST_SECRET_SFTP_ACME_1", "one")
	secrets := transfer.SecretsEnv("TEST_SECRET_")
	for _, id := range []string{"sftp/acme-1", "SFTP.ACME 1", "sftp_acme_1"} {
		got, err := secrets.Secret(t.Context(), id)
		require.NoError(t, err, id)
		require.Equal(t, "one", string(got), id)
	}
	_, err := secrets.Secret(t.Context(), "sftp/other")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "no environment variable TEST_SECRET_SFTP_OTHER")
}
