package transfer_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// rule has the files of the rule "flow" changed on their way.
func rule(all ...transfer.Transform) func(*transfer.Config) {
	return func(c *transfer.Config) { c.Rules = map[string]transfer.Rule{"flow": {Transforms: all}} }
}

func sendByRule(paths ...string) transfer.StartFileTransferInput {
	return transfer.StartFileTransferInput{SendFilePaths: paths, RemoteDirectoryPath: "in", RuleName: "flow"}
}

func gunzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	plain, err := io.ReadAll(r)
	require.NoError(t, err)
	return plain
}

// remoteFile is the only file at the partner.
func (b *bench) remoteFile() []byte {
	b.t.Helper()
	paths := b.remote.Paths()
	require.Len(b.t, paths, 1)
	data, err := b.remote.ReadFile(paths[0])
	require.NoError(b.t, err)
	return data
}

func requireDelivered(t *testing.T, r transfer.ConnectorFileTransferResult, data []byte) {
	t.Helper()
	require.NoError(t, r.Err())
	require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode)
	sum := sha256.Sum256(data)
	require.Equal(t, hex.EncodeToString(sum[:]), r.SHA256)
	require.EqualValues(t, len(data), r.Size)
	require.EqualValues(t, len(data), r.BytesTransferred)
}

func TestTransformDelivers(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 700, 999, 1000, 1001, 5000, 60_000} {
		for name, set := range map[string]func(*testing.T, ...func(*transfer.Config)) *bench{"at once": setup, "in order": ordered} {
			t.Run(fmt.Sprintf("gzip %d bytes %s", size, name), func(t *testing.T) {
				t.Parallel()
				b := set(t, rule(transfer.Gzip(0)))
				data := content(uint64(size), size)
				b.local.WriteFile("a.csv", data)
				results := b.run(sendByRule("a.csv"))
				require.Len(t, results, 1)
				requireDelivered(t, results[0], b.remoteFile())
				require.Equal(t, data, gunzipped(t, b.remoteFile()))
				require.Empty(t, b.remote.Partials())
			})
			t.Run(fmt.Sprintf("gunzip %d bytes %s", size, name), func(t *testing.T) {
				t.Parallel()
				b := set(t, rule(transfer.Gunzip(transfer.GunzipOptions{})))
				data := content(uint64(size), size)
				b.local.WriteFile("a.csv.gz", gzipped(t, data))
				results := b.run(sendByRule("a.csv.gz"))
				require.Len(t, results, 1)
				requireDelivered(t, results[0], b.remoteFile())
				require.True(t, bytes.Equal(data, b.remoteFile()))
				require.Empty(t, b.remote.Partials())
			})
		}
	}
}

func TestTransformsName(t *testing.T) {
	t.Parallel()
	for name, made := range map[string]string{
		"a.csv.gz": "a.csv", "a.tgz": "a.tar", "A.GZ": "A", ".gz": ".gz", "..gz": "..gz", "...gz": "...gz", "a": "a", "a.tar.tgz": "a.tar.tar",
	} {
		b := setup(t, rule(transfer.Gunzip(transfer.GunzipOptions{})))
		b.local.WriteFile(name, gzipped(t, []byte("x")))
		results := b.run(sendByRule(name))
		require.Equal(t, "in/"+made, results[0].TargetPath)
		require.Equal(t, []string{"in/" + made}, b.remote.Paths())
	}
	b := setup(t, rule(transfer.Gzip(9), transfer.Zip()))
	b.local.WriteFile("a.csv", []byte("x"))
	require.Equal(t, "in/a.csv.gz.zip", b.run(sendByRule("a.csv"))[0].TargetPath)
}

func TestTransformsRetrieve(t *testing.T) {
	t.Parallel()
	b := setup(t, rule(transfer.Gunzip(transfer.GunzipOptions{})))
	data := content(3, 5500)
	b.remote.WriteFile("out/a.csv.gz", gzipped(t, data))
	results := b.run(transfer.StartFileTransferInput{RetrieveFilePaths: []string{"out/a.csv.gz"}, LocalDirectoryPath: "in", RuleName: "flow", Verify: transfer.VerifyReadBack})
	requireDelivered(t, results[0], data)
	got, err := b.local.ReadFile("in/a.csv")
	require.NoError(t, err)
	require.Equal(t, data, got)
}

func TestZip(t *testing.T) {
	t.Parallel()
	b := setup(t, rule(transfer.Zip()))
	data := content(3, 5500)
	b.local.WriteFile("out/a.csv", data)
	requireDelivered(t, b.run(sendByRule("out/a.csv"))[0], b.remoteFile())
	files := unzipped(t, b.remoteFile())
	require.Equal(t, map[string][]byte{"a.csv": data}, files)
}

func unzipped(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	files := make(map[string][]byte)
	for _, f := range z.File {
		r, err := f.Open()
		require.NoError(t, err)
		files[f.Name], err = io.ReadAll(r)
		require.NoError(t, errors.Join(err, r.Close()))
	}
	return files
}

// requireNothing fails the test unless the file failed with this cause and left nothing.
func (b *bench) requireNothing(r transfer.ConnectorFileTransferResult, cause transfer.Code) {
	b.t.Helper()
	require.Equal(b.t, transfer.TransferTableStatusFailed, r.StatusCode)
	require.Equal(b.t, cause, transfer.CodeOf(r.Err()), r.FailureMessage)
	require.Empty(b.t, b.remote.Paths())
	require.Empty(b.t, b.remote.Partials())
}

// TestGunzipCutOff cuts a file off at every byte: nothing may be published.
func TestGunzipCutOff(t *testing.T) {
	t.Parallel()
	b := setup(t, rule(transfer.Gunzip(transfer.GunzipOptions{})))
	whole := gzipped(t, content(1, 1500))
	var paths []string
	for cut := range len(whole) {
		if cut%9 == 0 || cut < 20 || cut > len(whole)-20 {
			paths = append(paths, fmt.Sprintf("%d.gz", cut))
			b.local.WriteFile(paths[len(paths)-1], whole[:cut])
		}
	}
	for _, r := range b.run(sendByRule(paths...)) {
		b.requireNothing(r, transfer.IntegrityError)
	}
}

func TestGunzipRefuses(t *testing.T) {
	t.Parallel()
	good := gzipped(t, content(1, 5000))
	damaged := bytes.Clone(good)
	damaged[len(damaged)-6] ^= 1 // its checksum
	bomb := gzipped(t, make([]byte, 40<<20))
	for _, test := range []struct {
		name    string
		data    []byte
		options transfer.GunzipOptions
		cause   transfer.Code
	}{
		{"no gzip", content(2, 3000), transfer.GunzipOptions{}, transfer.IntegrityError},
		{"another checksum", damaged, transfer.GunzipOptions{}, transfer.IntegrityError},
		{"more behind the end", append(bytes.Clone(good), "more"...), transfer.GunzipOptions{}, transfer.IntegrityError},
		{"too large", bomb, transfer.GunzipOptions{MaxSize: 1 << 20}, transfer.ReadFileError},
		{"by one byte", good, transfer.GunzipOptions{MaxSize: 4999}, transfer.ReadFileError},
		{"too dense", bomb, transfer.GunzipOptions{MaxRatio: 100}, transfer.ReadFileError},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, rule(transfer.Gunzip(test.options)))
			b.local.WriteFile("a.gz", test.data)
			b.requireNothing(b.run(sendByRule("a.gz"))[0], test.cause)
		})
	}
	b := setup(t, rule(transfer.Gunzip(transfer.GunzipOptions{MaxSize: 5000, MaxRatio: 1})))
	b.local.WriteFile("two.gz", append(gzipped(t, content(1, 2000)), gzipped(t, content(2, 3000))...))
	requireDelivered(t, b.run(sendByRule("two.gz"))[0], append(content(1, 2000), content(2, 3000)...))
}

// change is a Transform that is what its fields say, and otherwise leaves the content as it is.
type change struct {
	most   int64
	reader func(ctx context.Context, c transfer.Content) (io.ReadCloser, error)
}

func (change) Name() string                    { return "change" }
func (change) TargetName(source string) string { return source }
func (c change) MaxSize(size int64) int64      { return size + c.most }

func (c change) Reader(ctx context.Context, content transfer.Content) (io.ReadCloser, error) {
	if c.reader == nil {
		return io.NopCloser(content), nil
	}
	return c.reader(ctx, content)
}

// readerFunc is a Reader and its end.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func reads(f func(c transfer.Content, p []byte) (int, error)) change {
	return change{reader: func(_ context.Context, c transfer.Content) (io.ReadCloser, error) {
		return io.NopCloser(readerFunc(func(p []byte) (int, error) { return f(c, p) })), nil
	}}
}

func TestTransformsThatFail(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	early := func(c transfer.Content, p []byte) (int, error) {
		n, err := c.Read(p[:1])
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	atEnd := reads(func(c transfer.Content, p []byte) (int, error) {
		n, err := c.Read(p)
		if err == io.EOF {
			err = &transfer.Error{Code: transfer.IntegrityError, Err: broken}
		}
		return n, err
	})
	for _, test := range []struct {
		name  string
		all   []transfer.Transform
		cause transfer.Code
		says  string
	}{
		{"at once", []transfer.Transform{change{reader: func(context.Context, transfer.Content) (io.ReadCloser, error) { return nil, broken }}}, transfer.ReadFileError, "change: broken"},
		{"at the end", []transfer.Transform{atEnd}, transfer.IntegrityError, "broken"},
		{"at the end, before one that stops early", []transfer.Transform{atEnd, reads(early)}, transfer.IntegrityError, "behind the end"},
		{"stops early", []transfer.Transform{reads(early)}, transfer.IntegrityError, "behind the end"},
		{"stops early, before another", []transfer.Transform{reads(early), transfer.Gzip(0)}, transfer.IntegrityError, "behind the end"},
		{"panics", []transfer.Transform{reads(func(transfer.Content, []byte) (int, error) { panic("oh") })}, transfer.InternalError, "oh"},
		{"gives nothing", []transfer.Transform{reads(func(transfer.Content, []byte) (int, error) { return 0, nil })}, transfer.InternalError, "multiple Read calls"},
		{"wraps the end", []transfer.Transform{reads(func(transfer.Content, []byte) (int, error) { return 0, fmt.Errorf("header: %w", io.EOF) })}, transfer.ReadFileError, "header"},
		{"is cut off", []transfer.Transform{reads(func(transfer.Content, []byte) (int, error) { return 0, io.ErrUnexpectedEOF })}, transfer.ReadFileError, "unexpected EOF"},
		{"fails to close", []transfer.Transform{change{reader: func(_ context.Context, c transfer.Content) (io.ReadCloser, error) { return badCloser{c, broken}, nil }}}, transfer.ReadFileError, "broken"},
	} {
		for _, size := range []int{500, 5500} {
			t.Run(fmt.Sprint(test.name, ", ", size, " bytes"), func(t *testing.T) {
				t.Parallel()
				b := setup(t, rule(test.all...))
				b.local.WriteFile("a", content(1, size))
				r := b.run(sendByRule("a"))[0]
				b.requireNothing(r, test.cause)
				require.Contains(t, r.FailureMessage, test.says)
			})
		}
	}
}

type badCloser struct {
	io.Reader
	err error
}

func (b badCloser) Close() error { return b.err }

func TestTransformLongerThanItSays(t *testing.T) {
	t.Parallel()
	double := reads(func(c transfer.Content, p []byte) (int, error) {
		n, err := c.Read(p[:(len(p)+1)/2])
		return n + copy(p[n:], p[:n]), err
	})
	b := setup(t, rule(double))
	b.local.WriteFile("a", content(1, 400))
	b.requireNothing(b.run(sendByRule("a"))[0], transfer.InternalError)
	b.local.WriteFile("a", content(1, 4000)) // from a window on there is room for all of it
	require.NoError(t, b.run(sendByRule("a"))[0].Err())
}

func TestTransformsAreValidated(t *testing.T) {
	t.Parallel()
	_, err := transfer.New(transfer.Config{Rules: map[string]transfer.Rule{"flow": {Transforms: []transfer.Transform{
		nil, transfer.Gzip(10), transfer.Gunzip(transfer.GunzipOptions{MaxSize: -2}), transfer.Gunzip(transfer.GunzipOptions{MaxRatio: -1}), transfer.Zip(),
	}}}})
	for _, says := range []string{"Transforms[0] is nil", "Transforms[1] has the level 10", "Transforms[2] has the MaxSize -2", "Transforms[3] has the MaxRatio -1"} {
		require.ErrorContains(t, err, says)
	}
	require.NotContains(t, err.Error(), "Transforms[4]")
}
