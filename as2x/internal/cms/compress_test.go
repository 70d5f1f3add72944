package cms_test

import (
	"bytes"
	"compress/zlib"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// zlibData compresses a content.
func zlibData(t *testing.T, content []byte) []byte {
	t.Helper()
	var data bytes.Buffer
	w := zlib.NewWriter(&data)
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return data.Bytes()
}

func wrapped(data []byte) []byte { return append(cms.CompressedHeader(int64(len(data))), data...) }

// TestDecompressBomb stops at the limit, before the end of what it would become.
func TestDecompressBomb(t *testing.T) {
	t.Parallel()
	bomb := wrapped(zlibData(t, make([]byte, 8<<20)))
	require.Less(t, len(bomb), 10<<10)
	r, err := cms.Decompress(bytes.NewReader(bomb), cms.Limits{Content: 1 << 20})
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, r)
	require.ErrorIs(t, err, cms.ErrLimit)
	require.LessOrEqual(t, n, int64(1<<20))
}

// TestDecompressExactLimit takes a content of the limit's size and refuses one of a byte more.
func TestDecompressExactLimit(t *testing.T) {
	t.Parallel()
	got, err := decompress(wrapped(zlibData(t, make([]byte, 5000))), cms.Limits{Content: 5000})
	require.NoError(t, err)
	require.Len(t, got, 5000)
	got, err = decompress(wrapped(zlibData(t, make([]byte, 5001))), cms.Limits{Content: 5000})
	require.ErrorIs(t, err, cms.ErrLimit)
	require.LessOrEqual(t, len(got), 5000)
}

func TestDecompressRefuses(t *testing.T) {
	t.Parallel()
	data := zlibData(t, sampleContent)
	for name, broken := range map[string][]byte{
		"nothing":         {},
		"no zlib":         []byte("hello, hello"),
		"cut":             data[:len(data)-5],
		"no checksum":     data[:len(data)-4],
		"wrong checksum":  append(bytes.Clone(data[:len(data)-1]), ^data[len(data)-1]),
		"corrupt":         append(bytes.Clone(data[:10]), bytes.Repeat([]byte{0xff}, 40)...),
		"more behind":     append(bytes.Clone(data), 0),
		"a dictionary":    append([]byte{0x78, 0xbb, 1, 2, 3, 4}, data[2:]...),
		"raw deflate":     data[2 : len(data)-4],
		"another one too": append(bytes.Clone(data), data...),
	} {
		for _, raw := range [][]byte{wrapped(broken), rewrite(wrapped(broken), rewriting{indefinite: true, pieces: true})} {
			_, err := decompress(raw, cms.Limits{})
			require.ErrorIs(t, err, cms.ErrMalformed, name)
		}
	}
	other := bytes.Replace(wrapped(data), []byte("\x09\x10\x03\x08"), []byte("\x09\x10\x03\x09"), 1)
	_, err := decompress(other, cms.Limits{})
	require.ErrorIs(t, err, cms.ErrUnsupported)
}

func TestCompressClosesOnce(t *testing.T) {
	t.Parallel()
	var made bytes.Buffer
	w, err := cms.Compress(&made)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	size := made.Len()
	require.NoError(t, w.Close())
	require.Equal(t, size, made.Len())
	_, err = w.Write([]byte("more"))
	require.ErrorContains(t, err, "after Close")
}
