package cms_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

const (
	bigSize = 256 << 20
	// bigMemory is what may be allocated for all of it, in bytes: buffers, and zlib's tables.
	bigMemory = 4 << 20
)

// compressedSize is that of the content that is compressed, which takes minutes under the race detector.
func compressedSize() int {
	if raceDetector {
		return 32 << 20
	}
	return bigSize
}

// TestMemory streams contents out and in again, and measures all that is allocated on the way. It does not run beside
// other tests, whose allocations would count.
func TestMemory(t *testing.T) {
	a := the(t, alice)
	opener := func(r io.Reader) (io.Reader, error) {
		return cms.Decrypt(r, []cms.KeyPair{a.pair()}, cms.Limits{})
	}
	encrypter := func(c cms.Cipher, indefinite bool) func(io.Writer) (io.WriteCloser, error) {
		return func(w io.Writer) (io.WriteCloser, error) {
			return cms.Encrypt(w, cms.EncryptOptions{
				Cipher: c, Size: bigSize, Indefinite: indefinite, Recipients: []cms.Recipient{{Certificate: a.cert}},
			})
		}
	}
	for name, way := range map[string]struct {
		out func(io.Writer) (io.WriteCloser, error)
		in  func(io.Reader) (io.Reader, error)
		n   int
	}{
		"CBC":            {encrypter(cms.AES256CBC, false), opener, bigSize},
		"CBC indefinite": {encrypter(cms.AES128CBC, true), opener, bigSize},
		"GCM":            {encrypter(cms.AES256GCM, false), opener, bigSize},
		"zlib and CBC": {compressAndEncrypt(a), func(r io.Reader) (io.Reader, error) {
			compressed, err := opener(r)
			if err != nil {
				return nil, err
			}
			return cms.Decompress(compressed, cms.Limits{})
		}, compressedSize()},
		"signed": {signedAround, readSignedAround, bigSize},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			require.NoError(t, outAndIn(way.out, way.in, way.n))
			runtime.ReadMemStats(&after)
			allocated := after.TotalAlloc - before.TotalAlloc
			t.Logf("%d KiB allocated for %d MiB", allocated>>10, way.n>>20)
			require.Less(t, allocated, uint64(bigMemory))
		})
	}
}

// compressAndEncrypt opens one writer into the other.
func compressAndEncrypt(to identity) func(io.Writer) (io.WriteCloser, error) {
	return func(w io.Writer) (io.WriteCloser, error) {
		encrypted, err := cms.Encrypt(w, cms.EncryptOptions{
			Cipher: cms.AES128CBC, Size: -1, Recipients: []cms.Recipient{{Certificate: to.cert}},
		})
		if err != nil {
			return nil, err
		}
		compressed, err := cms.Compress(encrypted)
		return both{compressed, encrypted}, err
	}
}

// both closes the inner writer and then the outer.
type both struct {
	io.WriteCloser
	outer io.Closer
}

func (b both) Close() error { return errors.Join(b.WriteCloser.Close(), b.outer.Close()) }

// outAndIn writes a content through one and reads it through the other.
func outAndIn(out func(io.Writer) (io.WriteCloser, error), in func(io.Reader) (io.Reader, error), n int) error {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := writePattern(out, w, n)
		_ = w.CloseWithError(err)
		written <- err
	}()
	content, err := in(r)
	if err == nil {
		err = readPattern(content, n)
	}
	_ = r.CloseWithError(err)
	return errors.Join(err, <-written)
}

// pattern is 64 KiB of lines.
var pattern = bytes.Repeat([]byte("0123456789abcdef"), 4<<10)

func writePattern(out func(io.Writer) (io.WriteCloser, error), to io.Writer, n int) error {
	w, err := out(to)
	if err != nil {
		return err
	}
	for range n / len(pattern) {
		if _, err := w.Write(pattern); err != nil {
			return err
		}
	}
	return w.Close()
}

func readPattern(r io.Reader, n int) error {
	p := make([]byte, len(pattern))
	for range n / len(pattern) {
		if _, err := io.ReadFull(r, p); err != nil {
			return err
		}
		if !bytes.Equal(p, pattern) {
			return errors.New("another content")
		}
	}
	if more, err := r.Read(p); more > 0 || !errors.Is(err, io.EOF) {
		return errors.Join(errors.New("no end"), err)
	}
	return nil
}

// signedAround writes a SignedData around its content, in the form that servers stream, signed by nobody.
func signedAround(w io.Writer) (io.WriteCloser, error) {
	_, err := io.WriteString(w, "\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80\x30\x80\x02\x01\x01"+
		"\x31\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00"+
		"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x80\x24\x80")
	return &signedWriter{w}, err
}

type signedWriter struct{ w io.Writer }

func (s *signedWriter) Write(p []byte) (int, error) {
	header := []byte{0x04, 0x83, byte(len(p) >> 16), byte(len(p) >> 8), byte(len(p))}
	if _, err := s.w.Write(header); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

func (s *signedWriter) Close() error {
	_, err := io.WriteString(s.w, "\x00\x00\x00\x00\x00\x00\x31\x00\x00\x00\x00\x00\x00\x00")
	return err
}

// readSignedAround reads the content that ReadSigned writes.
func readSignedAround(r io.Reader) (io.Reader, error) {
	content, w := io.Pipe()
	go func() {
		_, err := cms.ReadSigned(r, w, cms.Limits{})
		_ = w.CloseWithError(err)
	}()
	return content, nil
}
