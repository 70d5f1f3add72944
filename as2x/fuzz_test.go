package as2x

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/x509"
	"io"
	"path"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzHeader reads headers. What was read is a prefix of the input, and reads the same again from its own form.
func FuzzHeader(f *testing.F) {
	for _, seed := range []string{
		"Content-Type: text/plain\r\n\r\nbody", "A: b\n c\n\n", "A:\r\n\r\n", ": x\r\n\r\n", " folded\r\n\r\n", "A b: c\r\n\r\n", "", "\r\n",
		"Content-Type: multipart/signed;\r\n\tboundary=\"a b\"; micalg=sha256\r\nContent-Disposition: attachment; filename*=UTF-8''%C3%A9\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, raw, err := readHeader(bufio.NewReaderSize(bytes.NewReader(data), readBuffer))
		if err != nil {
			return
		}
		require.True(t, bytes.HasPrefix(data, raw))
		again, _, err := splitFields(h.bytes())
		require.NoError(t, err)
		require.Equal(t, h, again)
		m := parseMediaType(h.get("Content-Type"))
		if b, err := m.boundary(); err == nil {
			require.LessOrEqual(t, len(b), 70)
		}
		require.True(t, isSafe(safeName(fileName(h))))
	})
}

func isSafe(name string) bool {
	return utf8.ValidString(name) && name != "" && len(name) <= maxName && path.Base(name) == name && !strings.HasPrefix(name, ".") &&
		!strings.ContainsAny(name, "\\/:\x00\r\n") && quotable(asciiOnly(name))
}

// FuzzName makes names harmless, and sends them.
func FuzzName(f *testing.F) {
	for _, seed := range []string{"a.edi", "../../etc/passwd", `..\..\x`, "CON", ".", "é\x00\n", "a\u202eb", strings.Repeat("x", 300) + ".edi"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		safe := safeName(name)
		require.True(t, isSafe(safe), "%q", safe)
		require.Equal(t, safe, safeName(safe))
		h := header{{"Content-Disposition", disposition(safe)}}
		require.True(t, quotable(h[0].value))
		require.Equal(t, safe, fileName(h))
		require.True(t, isSafe(safeID(name)) || name == "" || strings.HasPrefix(safeID(name), "."), safeID(name))
		require.Equal(t, asciiOnly(name), parseAS2Name(as2Name(asciiOnly(name))))
	})
}

// FuzzMultipart reads parts. Parts that are put together again read the same.
func FuzzMultipart(f *testing.F) {
	for _, seed := range []string{
		"--b\r\none\r\n--b\r\ntwo\r\n--b--\r\n", "preamble\r\n--b\n\n--b--", "--b\r\r\n--b--", "--b--", "--bb\r\n--b \t\r\nx\r\n--b--rest", "", "--b\r\n\r\n\r\n--b--",
		"--b\r\n" + strings.Repeat("x", 70_000) + "\r\n--b--",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parts, err := readParts(data)
		if err != nil {
			return
		}
		var b bytes.Buffer
		for _, p := range parts {
			b.WriteString("--b\r\n")
			b.Write(p)
			b.WriteString("\r\n")
		}
		b.WriteString("--b--\r\n")
		again, err := readParts(b.Bytes())
		require.NoError(t, err)
		require.Equal(t, parts, again)
	})
}

func readParts(data []byte) (parts [][]byte, err error) {
	m, err := newMultipart(bytes.NewReader(data), mediaType{params: map[string]string{"boundary": "b"}})
	if err != nil {
		return nil, err
	}
	for {
		p, err := m.nextSmall(1 << 20)
		if err == io.EOF {
			return parts, nil
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, append([]byte{}, p...))
	}
}

// FuzzMDN reads MDNs, and verifies none that was not signed by the partner.
func FuzzMDN(f *testing.F) {
	r := report{from: "PARTNER", to: "US", originalID: "1@us", messageID: "2@partner", mic: mic{crypto.SHA256, make([]byte, 32)}.String(), now: time.Unix(1e9, 0)}
	signed, err := r.signed(partnerKey.get(f), crypto.SHA256)
	require.NoError(f, err)
	plain, err := r.plain()
	require.NoError(f, err)
	f.Add(signed.bytes())
	f.Add(plain.bytes())
	e := expected{messageID: "1@us", signed: true, signers: []*x509.Certificate{otherKey.certificate(f).Certificate}}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := parseNote(data)
		if err != nil {
			return
		}
		m, err := parseMDN(n.header, n.body)
		if err != nil {
			return
		}
		kind, _ := m.disposition()
		require.Contains(t, []string{"", dispositionProcessed, dispositionWarning, dispositionError, dispositionFailure}, kind)
		require.Error(t, e.verify(m))
		e := e
		e.signed, m.signature = false, nil
		if e.verify(m) == nil {
			require.Equal(t, "1@us", m.originalID())
			require.Contains(t, []string{dispositionProcessed, dispositionWarning}, kind)
		}
	})
}

// FuzzUnwrap takes messages apart. Nothing is taken for signed or encrypted that is not.
func FuzzUnwrap(f *testing.F) {
	p := payload(f, "a.edi", []byte("orders"))
	for _, seed := range []built{p, p.sign(ourKey), p.compress(), p.compress().sign(ourKey), p.encrypt(partnerKey), p.sign(ourKey).encrypt(partnerKey)} {
		f.Add(seed.bytes())
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := parseNote(data)
		if err != nil {
			return
		}
		u := &unwrapper{
			keys: Local{Decryption: []KeyPair{partnerKey.get(t)}}.keys(), signers: []*x509.Certificate{otherKey.certificate(t).Certificate},
			dir: dir, limit: 1 << 20, micHash: crypto.SHA256,
		}
		defer u.close()
		if u.unwrap(n.header, bytes.NewReader(n.body)) != nil || u.mdn != nil {
			return
		}
		require.False(t, u.signed, "with a key that signed nothing")
		require.LessOrEqual(t, u.file.size-u.offset, int64(1<<20))
		require.NotEmpty(t, u.digest.sum)
	})
}

// FuzzReceipt reads what is to be known of the MDN that a partner wants.
func FuzzReceipt(f *testing.F) {
	f.Add("signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, sha1, md5", "https://a/")
	f.Add("signed-receipt-micalg=required", "http://[::1]:80/")
	f.Add(";=,;", "file:///etc/passwd")
	a := Agreement{AsyncMDNHosts: []string{"as2.example.com", "10.0.0.1:8080"}}
	f.Fuzz(func(t *testing.T, options, url string) {
		r := parseReceipt(map[string][]string{"Disposition-Notification-To": {"x"}, "Disposition-Notification-Options": {options}})
		require.NotZero(t, r.hash)
		if a.mayAnswerTo(url) {
			lower := strings.ToLower(url)
			require.True(t, strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://"))
			require.True(t, strings.Contains(lower, "as2.example.com") || strings.Contains(lower, "10.0.0.1:8080"), url)
		}
	})
}
