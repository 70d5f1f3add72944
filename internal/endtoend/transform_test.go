//go:build unix

package endtoend

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/pgpx"
	"github.com/seed62b9dc43/transfer/s3x"
	"github.com/seed62b9dc43/transfer/sftpx"
)

// changingClient moves files between a bucket of versitygw and OpenSSH, by rules that change them.
func changingClient(t *testing.T, rules map[string]transfer.Rule) (*transfer.Client, bucket, string) {
	t.Helper()
	sshd, server := testenv.SSHD(t), testenv.S3(t)
	b := bucket{server.Client(t), server.NewBucket(t)}
	storage, err := s3x.New(b.client, s3x.Options{Bucket: b.name})
	require.NoError(t, err)
	connector, err := sftpx.New(sftpx.Config{
		Addr: sshd.Addr, User: sshd.User, HostKeys: sshd.HostKeys, Auth: []sftpx.Auth{sftpx.PublicKey(sshd.Signer)}, ConnectTimeout: 10 * time.Second,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, connector.Close()) })
	client, err := transfer.New(transfer.Config{
		Storage: storage, Connectors: map[string]transfer.Connector{"acme": connector}, WindowSize: window, PollInterval: 20 * time.Millisecond, Rules: rules,
		Retry: transfer.RetryPolicy{MaxAttempts: 1},
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, client.Shutdown(t.Context())) })
	return client, b, sshd.Dir
}

// newPGPKey returns an armored pair of keys.
func newPGPKey(t *testing.T) (public, private string) {
	t.Helper()
	e, err := openpgp.NewEntity("us", "", "us@example.com", nil)
	require.NoError(t, err)
	text := func(kind string, write func(io.Writer) error) string {
		var b bytes.Buffer
		w, err := armor.Encode(&b, kind, nil)
		require.NoError(t, err)
		require.NoError(t, write(w))
		require.NoError(t, w.Close())
		return b.String()
	}
	public = text(openpgp.PublicKeyType, e.Serialize)
	return public, text(openpgp.PrivateKeyType, func(w io.Writer) error { return e.SerializePrivateWithoutSigning(w, nil) })
}

func newPGP(t *testing.T) []transfer.Transform {
	t.Helper()
	public, private := newPGPKey(t)
	encrypt, err := pgpx.Encrypt(pgpx.EncryptOptions{Recipients: []string{public}, Signer: private})
	require.NoError(t, err)
	decrypt, err := pgpx.Decrypt(pgpx.DecryptOptions{Keys: []string{private}, Signers: []string{public}})
	require.NoError(t, err)
	return []transfer.Transform{encrypt, decrypt}
}

// TestChangedFilesBetweenS3AndOpenSSH compresses and encrypts on the way out, and the other way round on the way back, in
// one window and in several.
func TestChangedFilesBetweenS3AndOpenSSH(t *testing.T) {
	t.Parallel()
	pgp := newPGP(t)
	client, b, dir := changingClient(t, map[string]transfer.Rule{
		"out": {Transforms: []transfer.Transform{transfer.Gzip(1), pgp[0]}},
		"in":  {Transforms: []transfer.Transform{pgp[1], transfer.Gunzip(transfer.GunzipOptions{})}},
	})
	for name, size := range map[string]int{"empty": 0, "small": 5000, "window": window, "large": 5*window + 17} {
		data := content(1, size)
		b.put(t, "out/"+name, data)
		r := run(t, client, transfer.StartFileTransferInput{SendFilePaths: []string{"out/" + name}, RemoteDirectoryPath: dir, RuleName: "out", Verify: transfer.VerifyReadBack})[0]
		require.NoError(t, r.Err())
		require.Equal(t, filepath.Join(dir, name+".gz.pgp"), r.TargetPath)
		r = run(t, client, transfer.StartFileTransferInput{RetrieveFilePaths: []string{r.TargetPath}, LocalDirectoryPath: "in", RuleName: "in", Verify: transfer.VerifyReadBack})[0]
		require.NoError(t, r.Err())
		require.EqualValues(t, size, r.Size)
		require.True(t, bytes.Equal(data, b.get(t, "in/"+name)), name)
	}
	b.requireNothingOpen(t)

	// The last byte of a large message is another: nothing of it may come to S3.
	path := filepath.Join(dir, "large.gz.pgp")
	secret, err := os.ReadFile(path)
	require.NoError(t, err)
	secret[len(secret)-1] ^= 1
	require.NoError(t, os.WriteFile(path, secret, 0o600))
	r := run(t, client, transfer.StartFileTransferInput{RetrieveFilePaths: []string{path}, LocalDirectoryPath: "never", RuleName: "in"})
	require.Equal(t, transfer.IntegrityError, transfer.CodeOf(r[0].Err()), r[0].FailureMessage)
	b.requireNothingOpen(t)
	requireNoKeys(t, b, "never/")
}

func TestBundleFromS3ToOpenSSH(t *testing.T) {
	t.Parallel()
	client, b, dir := changingClient(t, nil)
	data := map[string][]byte{"a": content(1, 10), "b": content(2, 2*window+3), "c": {}}
	for name, d := range data {
		b.put(t, "out/"+name, d)
	}
	r := run(t, client, transfer.StartFileTransferInput{SendFilePaths: []string{"out/a", "out/b", "out/c"}, RemoteDirectoryPath: dir, BundleName: "all.zip"})[0]
	require.NoError(t, r.Err())
	z, err := zip.OpenReader(filepath.Join(dir, "all.zip"))
	require.NoError(t, err)
	defer func() { require.NoError(t, z.Close()) }()
	require.Len(t, z.File, len(data))
	for _, f := range z.File {
		in, err := f.Open()
		require.NoError(t, err)
		got, err := io.ReadAll(in)
		require.NoError(t, err)
		require.NoError(t, in.Close())
		require.True(t, bytes.Equal(data[f.Name], got), f.Name)
	}
}

// requireNoKeys fails the test if anything was published under prefix.
func requireNoKeys(t *testing.T, b bucket, prefix string) {
	t.Helper()
	out, err := b.client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &prefix})
	require.NoError(t, err)
	require.Empty(t, out.Contents)
}
