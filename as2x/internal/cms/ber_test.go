package cms_test

import (
	"bytes"
	"compress/zlib"
	"crypto"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// sample is a message of each kind over one content, and how to read it.
type sample struct {
	raw  []byte
	read func(r io.Reader, l cms.Limits) ([]byte, error)
}

var sampleContent = []byte("Content-Type: text/plain\r\n\r\nhello, this is a content of more than one block\r\n")

func samples(t testing.TB) map[string]sample {
	t.Helper()
	a, b := the(t, alice), the(t, bob)
	open := func(r io.Reader, l cms.Limits) ([]byte, error) {
		content, err := cms.Decrypt(r, []cms.KeyPair{a.pair()}, l)
		if err != nil {
			return nil, err
		}
		return readAll(content)
	}
	found := map[string]sample{}
	for _, c := range []cms.Cipher{cms.AES256CBC, cms.DESEDE3CBC, cms.AES128GCM} {
		found[string(c)] = sample{encrypt(t, sampleContent, cms.EncryptOptions{
			Cipher: c, Size: int64(len(sampleContent)),
			Recipients: []cms.Recipient{{Certificate: b.cert}, {Certificate: a.cert, ByKeyID: true}},
		}), open}
	}
	var data bytes.Buffer
	w := zlib.NewWriter(&data)
	_, _ = w.Write(sampleContent)
	require.NoError(t, w.Close())
	found["compressed"] = sample{append(cms.CompressedHeader(int64(data.Len())), data.Bytes()...), readCompressed}
	raw, err := cms.Sign(sum(crypto.SHA256, sampleContent), cms.SignOptions{
		Hash: crypto.SHA256, Signers: []cms.Signer{the(t, carol).signer(), a.signer()}, Time: time.Now(), AlgorithmProtection: true,
	})
	require.NoError(t, err)
	found["signed"] = sample{raw, func(r io.Reader, l cms.Limits) ([]byte, error) {
		return sampleContent, readSignature(r, l, a)
	}}
	return found
}

func readCompressed(r io.Reader, l cms.Limits) ([]byte, error) {
	content, err := cms.Decompress(r, l)
	if err != nil {
		return nil, err
	}
	return readAll(content)
}

func readSignature(r io.Reader, l cms.Limits, who identity) error {
	s, err := cms.ReadSigned(r, nil, l)
	if err != nil {
		return err
	}
	_, err = s.Verify(certificates(who), digest(sampleContent))
	return err
}

// TestReadsEveryForm reads messages in forms of BER that are equal to their DER, one byte at a time as well.
func TestReadsEveryForm(t *testing.T) {
	t.Parallel()
	for name, s := range samples(t) {
		for form, raw := range map[string][]byte{
			"DER":        s.raw,
			"indefinite": rewrite(s.raw, rewriting{indefinite: true}),
			"long":       rewrite(s.raw, rewriting{long: true}),
			"pieces":     rewrite(s.raw, rewriting{pieces: true}),
			"all":        rewrite(s.raw, rewriting{indefinite: true, pieces: true, long: true}),
			"line end":   append(bytes.Clone(s.raw), "\r\n"...),
		} {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				for _, r := range []io.Reader{bytes.NewReader(raw), iotest.OneByteReader(bytes.NewReader(raw))} {
					got, err := s.read(r, cms.Limits{})
					require.NoError(t, err)
					require.Equal(t, sampleContent, got)
				}
			})
		}
	}
}

// rewriting is what may be done to DER without a change of its meaning.
type rewriting struct {
	indefinite bool // lengths of constructed elements
	long       bool // lengths with zeros in front
	pieces     bool // octet strings in pieces, in one another
}

// rewrite rewrites well-formed DER.
func rewrite(raw []byte, how rewriting) []byte {
	var out []byte
	for len(raw) > 0 {
		tag, head, size := raw[0], 2, int(raw[1])
		if size >= 0x80 {
			n := size & 0x7f
			size = 0
			for _, b := range raw[2 : 2+n] {
				size = size<<8 | int(b)
			}
			head += n
		}
		body := raw[head : head+size]
		raw = raw[head+size:]
		switch {
		case how.pieces && (tag == 0x04 || tag == 0x80) && size > 1:
			half := size / 2
			inner := put(put(nil, 0x04, body[:half], how), 0x04, nil, how)
			inner = put(inner, 0x24, put(nil, 0x04, body[half:], how), how)
			out = put(out, tag|0x20, inner, how)
		case tag&0x20 != 0:
			out = put(out, tag, rewrite(body, how), how)
		default:
			out = put(out, tag, body, how)
		}
	}
	return out
}

func put(out []byte, tag byte, body []byte, how rewriting) []byte {
	n := len(body)
	switch {
	case how.indefinite && tag&0x20 != 0:
		return append(append(append(out, tag, 0x80), body...), 0, 0)
	case how.long:
		out = append(out, tag, 0x87, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	case n < 0x80:
		out = append(out, tag, byte(n))
	default:
		out = append(out, tag, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, body...)
}

// TestRefusesEveryCut cuts messages at each place.
func TestRefusesEveryCut(t *testing.T) {
	t.Parallel()
	for name, s := range samples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, raw := range [][]byte{s.raw, rewrite(s.raw, rewriting{indefinite: true, pieces: true})} {
				for n := range raw {
					_, err := s.read(bytes.NewReader(raw[:n]), cms.Limits{})
					require.ErrorIs(t, err, cms.ErrMalformed, "cut to %d of %d bytes", n, len(raw))
				}
			}
		})
	}
}

// TestSurvivesEveryChange changes each byte. The content must not come out other than it was where something can tell.
func TestSurvivesEveryChange(t *testing.T) {
	t.Parallel()
	for name, s := range samples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := bytes.Clone(s.raw)
			for i := range raw {
				change := byte(1) << (i % 8)
				raw[i] ^= change
				got, err := s.read(bytes.NewReader(raw), cms.Limits{})
				raw[i] ^= change
				if err == nil && (name == "compressed" || name == string(cms.AES128GCM)) {
					require.Equal(t, sampleContent, got, "byte %d ^ %#02x", i, change)
				}
			}
		})
	}
}

// TestPassesErrorsOn fails to read at each place.
func TestPassesErrorsOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection lost")
	for name, s := range samples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := range s.raw {
				r := io.MultiReader(bytes.NewReader(s.raw[:n]), iotest.ErrReader(broken))
				_, err := s.read(r, cms.Limits{})
				require.ErrorIs(t, err, broken, "after %d bytes", n)
				require.NotErrorIs(t, err, cms.ErrMalformed)
			}
			_, err := s.read(io.MultiReader(bytes.NewReader(s.raw), iotest.ErrReader(broken)), cms.Limits{})
			require.ErrorIs(t, err, broken, "at the end")
		})
	}
}

// TestLimits reads messages that are just beyond a limit.
func TestLimits(t *testing.T) {
	t.Parallel()
	for name, s := range samples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.read(bytes.NewReader(s.raw), cms.Limits{Depth: 3})
			require.ErrorIs(t, err, cms.ErrLimit)
			_, err = s.read(bytes.NewReader(s.raw), cms.Limits{Header: 20})
			require.ErrorIs(t, err, cms.ErrLimit)
			for _, form := range []rewriting{{}, {indefinite: true}, {indefinite: true, pieces: true}} {
				raw := rewrite(s.raw, form)
				_, err = s.read(bytes.NewReader(raw), cms.Limits{Content: int64(len(sampleContent))})
				require.NoError(t, err)
				_, err = s.read(bytes.NewReader(raw), cms.Limits{Content: -1})
				require.NoError(t, err)
				_, err = s.read(bytes.NewReader(raw), cms.Limits{Content: int64(len(sampleContent)) - 16})
				if name != "signed" { // detached
					require.ErrorIs(t, err, cms.ErrLimit)
				}
			}
		})
	}
	a := the(t, alice)
	err := readSignature(bytes.NewReader(samples(t)["signed"].raw), cms.Limits{Signers: 1}, a)
	require.ErrorIs(t, err, cms.ErrLimit)
}

// TestRefusesMalformed reads what only a hostile sender makes.
func TestRefusesMalformed(t *testing.T) {
	t.Parallel()
	signedData := []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02}
	head := append(append([]byte{0x30, 0x80}, signedData...), 0xa0, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01)
	for name, raw := range map[string][]byte{
		"nothing":                  {},
		"text":                     []byte("-----BEGIN CMS-----\r\n"),
		"primitive":                {0x10, 0x00},
		"a tag above 30":           {0x3f, 0x81, 0x01, 0x00},
		"an end at the start":      {0x00, 0x00},
		"an end too long":          {0x30, 0x80, 0x00, 0x01, 0x00},
		"an end in a definite":     {0x30, 0x02, 0x00, 0x00},
		"length 0xff":              {0x30, 0xff},
		"length beyond 64 bits":    {0x30, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0},
		"length of 2^63":           {0x30, 0x88, 0x80, 0, 0, 0, 0, 0, 0, 0},
		"length of 126 bytes":      append([]byte{0x30, 0xfe}, bytes.Repeat([]byte{0xff}, 126)...),
		"primitive and indefinite": {0x30, 0x80, 0x06, 0x80},
		"longer than its parent":   {0x30, 0x04, 0x06, 0x09, 0x2a, 0x86},
		"two elements too many":    append(bytes.Clone(head), 0x02, 0x01, 0x01, 0x02, 0x01, 0x01),
		"one set in another":       append(bytes.Clone(head), bytes.Repeat([]byte{0x31, 0x80}, 5)...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for kind, s := range samples(t) {
				_, err := s.read(bytes.NewReader(raw), cms.Limits{})
				require.ErrorIs(t, err, cms.ErrMalformed, kind)
			}
		})
	}
	// endless nesting ends at a limit
	_, err := cms.ReadSigned(io.MultiReader(bytes.NewReader(head), &endless{pattern: []byte{0x31, 0x80}}), nil, cms.Limits{})
	require.ErrorIs(t, err, cms.ErrLimit)
	// and endless elements at another
	head = append(head, 0x31, 0x80)
	_, err = cms.ReadSigned(io.MultiReader(bytes.NewReader(head), &endless{pattern: []byte{0x05, 0x00}}), nil, cms.Limits{})
	require.ErrorIs(t, err, cms.ErrLimit)
	// a length that nobody sends allocates nothing
	huge := append(bytes.Clone(head), 0x04, 0x84, 0x7f, 0xff, 0xff, 0xff)
	_, err = cms.ReadSigned(bytes.NewReader(huge), nil, cms.Limits{})
	require.ErrorIs(t, err, cms.ErrLimit)
}

// endless repeats a pattern.
type endless struct {
	pattern []byte
	at      int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.pattern[e.at%len(e.pattern)]
		e.at++
	}
	return len(p), nil
}

// TestRefusesMoreBytes reads messages with something behind them, or in their places for more.
func TestRefusesMoreBytes(t *testing.T) {
	t.Parallel()
	for name, s := range samples(t) {
		for _, more := range []string{"x", "\r\n\r\n.", "\x00\x00", string(bytes.Repeat([]byte("\n"), 17))} {
			_, err := s.read(bytes.NewReader(append(bytes.Clone(s.raw), more...)), cms.Limits{})
			require.ErrorIs(t, err, cms.ErrMalformed, "%s and %q", name, more)
		}
	}
}
