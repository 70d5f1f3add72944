package as2x

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"fmt"
	"mime/quotedprintable"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// requireRefused checks that nothing is to be seen of the file, and everything of the failure.
func requireRefused(t *testing.T, p *partnerSide, code transfer.Code) {
	t.Helper()
	require.Empty(t, p.payloads())
	file, mdn := resultFile(t, p.storage, "in/failed")
	require.Equal(t, code, file.FailureCode, file.FailureMessage)
	require.NotEmpty(t, mdn)
	rows := p.rows(t)
	require.Len(t, rows, 1)
	require.Equal(t, code, rows[0].FailureCode)
	require.Equal(t, transfer.TransferTableStatusFailed, rows[0].StatusCode)
}

// TestRefused sends what must not be accepted. Whatever is wrong with an encrypted message before its digest was found to
// be right gets one answer.
func TestRefused(t *testing.T) {
	t.Parallel()
	const decryption = "error: decryption-failed"
	data := random(7, 5000)
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-at] ^= 1; return b }
	}
	plain := func() built { return payload(t, "a.edi", data) }
	signed := func() built { return plain().sign(ourKey) }
	for name, test := range map[string]struct {
		message built
		said    string
		code    transfer.Code
	}{
		"unsigned":                   {plain().encrypt(partnerKey), decryption, transfer.InsufficientUnsigned},
		"unencrypted":                {signed(), "error: insufficient-message-security", transfer.InsufficientUnencrypted},
		"for another":                {signed().encrypt(otherKey), decryption, transfer.DecryptFailed},
		"truncated ciphertext":       {signed().encrypt(partnerKey).edited(cut(16)), decryption, transfer.DecryptFailed},
		"truncated in its header":    {signed().encrypt(partnerKey).edited(func(b []byte) []byte { return b[:100] }), decryption, transfer.DecryptFailed},
		"nothing at all":             {signed().encrypt(partnerKey).edited(func([]byte) []byte { return nil }), decryption, transfer.DecryptFailed},
		"wrong padding":              {signed().encrypt(partnerKey).edited(flip(17)), decryption, transfer.DecryptFailed},
		"garbled content":            {signed().encrypt(partnerKey).edited(flip(4000)), decryption, transfer.VerificationFailed},
		"garbled end":                {signed().encrypt(partnerKey).edited(flip(40)), decryption, transfer.DecryptFailed},
		"more behind the end":        {signed().edited(func(b []byte) []byte { return append(b, "0123456789"...) }).encrypt(partnerKey), decryption, transfer.DecryptFailed},
		"no end":                     {signed().edited(cut(10)).encrypt(partnerKey), decryption, transfer.DecryptFailed},
		"no MIME inside":             {built{t, entity{header{{"no field", ""}}, nil}}.encrypt(partnerKey), decryption, transfer.DecryptFailed},
		"another signer":             {plain().sign(otherKey).encrypt(partnerKey), "error: authentication-failed", transfer.VerificationKeyNotFound},
		"changed after signing":      {signed().edited(func(b []byte) []byte { b = bytes.Clone(b); b[2000] ^= 1; return b }), "error: integrity-check-failed", transfer.VerificationFailed},
		"encrypted twice":            {signed().encrypt(partnerKey).encrypt(partnerKey), decryption, transfer.InvalidRequest},
		"signed twice":               {signed().sign(ourKey).encrypt(partnerKey), "error: unexpected-processing-error", transfer.InvalidRequest},
		"compressed twice":           {plain().compress().compress().sign(ourKey).encrypt(partnerKey), "error: unexpected-processing-error", transfer.InvalidRequest},
		"encrypted in the signature": {plain().encrypt(partnerKey).sign(ourKey), "error: unexpected-processing-error", transfer.InvalidRequest},
		"broken compression":         {plain().compress().edited(flip(3)).sign(ourKey).encrypt(partnerKey), "error: decompression-failed", transfer.DecompressionFailed},
		"zip bomb":                   {payload(t, "a.edi", make([]byte, 12<<20)).compress().sign(ourKey).encrypt(partnerKey), "error: unexpected-processing-error", transfer.FileSizeTooLarge},
		"too large":                  {payload(t, "a.edi", make([]byte, 1<<20+1)).sign(ourKey).encrypt(partnerKey), "error: unexpected-processing-error", transfer.FileSizeTooLarge},
		"far too large":              {payload(t, "a.edi", make([]byte, 11<<20)).sign(ourKey).encrypt(partnerKey), decryption, transfer.FileSizeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPartner(t, func(c *ReceiverConfig) { c.Agreements[0].MaxSize = 1 << 20 })
			r := p.post(t, test.message, "1@us")
			require.Equal(t, test.said, r.said(t))
			_, has := r.mdn(t).receivedMIC()
			require.False(t, has)
			requireRefused(t, p, test.code)
		})
	}
}

// TestDecryptionFailuresLookAlike compares whole answers: whoever could tell them apart could decrypt messages.
func TestDecryptionFailuresLookAlike(t *testing.T) {
	t.Parallel()
	p := newPartner(t)
	m := usual(t, "a.edi", random(13, 3000))
	var first reply
	var fields header
	for i := range 40 {
		b := m.edited(func(b []byte) []byte {
			b = bytes.Clone(b)
			b[len(b)-1-i*37] ^= byte(1 + i) // padding, delimiters, signature, content
			return b[:len(b)-i%3*16]
		})
		r := p.post(t, b, "1@us")
		if i == 0 {
			first, fields = r, r.mdn(t).fields
		}
		require.Equal(t, "error: decryption-failed", r.said(t))
		require.Equal(t, fields, r.mdn(t).fields)
		require.Len(t, r.body, len(first.body))
		require.Equal(t, first.status, r.status)
		require.Equal(t, len(first.header), len(r.header))
	}
}

// TestAccepted sends what partners make of AS2.
func TestAccepted(t *testing.T) {
	t.Parallel()
	data := random(8, 100_000)
	plain := func() built { return payload(t, "a.edi", data) }
	wrapped := plain()
	wrapped.header = header{{"content-type", "application/edi-x12"}, {"content-transfer-encoding", "BASE64"}, {"Content-Disposition", `attachment; filename=a.edi`}}
	wrapped.pieces = []piece{{data: base64Lines(data)}}
	var text bytes.Buffer
	q := quotedprintable.NewWriter(&text)
	q.Binary = true
	_, err := q.Write(data)
	require.NoError(t, err)
	require.NoError(t, q.Close())
	printable := plain()
	printable.header = header{{"Content-Type", "text/plain; name=a.edi"}, {"Content-Transfer-Encoding", "quoted-printable"}}
	printable.pieces = []piece{{data: text.Bytes()}}
	folded := bytes.Replace(plain().sign(ourKey).bytes(), []byte("multipart/signed; "), []byte("multipart/signed;\r\n\t"), 1)
	for name, test := range map[string]struct {
		message built
		mic     []byte // what it is over
	}{
		"plain":                 {plain(), data},
		"quoted-printable":      {printable.sign(ourKey), printable.bytes()},
		"base64":                {wrapped, base64Lines(data)},
		"base64 and signed":     {wrapped.sign(ourKey), wrapped.bytes()},
		"signed":                {plain().sign(ourKey), plain().bytes()},
		"encrypted":             {plain().encrypt(partnerKey), plain().bytes()},
		"compressed":            {plain().compress(), plain().bytes()},
		"compressed, encrypted": {plain().compress().encrypt(partnerKey), plain().bytes()},
		"compressed, signed":    {plain().compress().sign(ourKey).encrypt(partnerKey), plain().compress().bytes()},
		"signed, compressed":    {plain().sign(ourKey).compress().encrypt(partnerKey), plain().bytes()},
		"folded inside":         {rawEntity(t, folded).encrypt(partnerKey), plain().bytes()},
		"encrypted in base64":   {inBase64(usual(t, "a.edi", data)), plain().bytes()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPartner(t, func(c *ReceiverConfig) { c.Agreements[0].AllowUnsigned, c.Agreements[0].AllowUnencrypted = true, true })
			r := p.post(t, test.message, "1@us")
			require.Equal(t, "processed", r.said(t))
			got, _ := r.mdn(t).receivedMIC()
			require.True(t, got.equal(mic{crypto.SHA256, sum(crypto.SHA256, test.mic)}))
			path, content := p.received(t)
			require.Equal(t, "in/a.1@us.edi", path)
			require.True(t, bytes.Equal(data, content))
			require.Equal(t, "1@us", r.mdn(t).originalID())
			require.Equal(t, "PARTNER", r.header.Get("AS2-From"))
		})
	}
}

// rawEntity is an entity whose header is not ours.
func rawEntity(t testing.TB, whole []byte) built {
	return built{t, entity{header{{"X-Ignored", "yes"}}, nil}}.withRaw(whole)
}

// withRaw makes the whole entity these bytes.
func (b built) withRaw(whole []byte) built {
	line, rest, _ := bytes.Cut(whole, []byte("\r\n"))
	name, value, _ := strings.Cut(string(line), ": ")
	head, body, _ := bytes.Cut(rest, []byte("\r\n\r\n"))
	b.header = header{{name, value + "\r\n" + string(head)}}
	b.pieces = []piece{{data: body}}
	return b
}

func inBase64(b built) built {
	h := append(header{}, b.header...)
	h[1].value = "base64"
	return built{b.t, entity{h, []piece{{data: []byte(base64.StdEncoding.EncodeToString(b.body()))}}}}
}

// TestAMessageThatComesAgain gets the answer of the first time, byte for byte, also when both come at once and when another
// node took the first.
func TestAMessageThatComesAgain(t *testing.T) {
	t.Parallel()
	p := newPartner(t)
	m := usual(t, "a.edi", []byte("orders"))
	first := p.post(t, m, "1@us")
	require.Equal(t, "processed", first.said(t))
	other, err := NewReceiver(p.receiver.cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close(t.Context())) }()
	node, server := newScript(t, other.ServeHTTP)
	again := do(t, usual(t, "a.edi", []byte("something else")).request(server.URL, "1@us"))
	require.Equal(t, 1, node.count())
	require.Equal(t, first.body, again.body)
	require.Equal(t, first.header["Message-Id"], again.header["Message-Id"])
	_, data := p.received(t)
	require.Equal(t, "orders", string(data))
	require.Len(t, p.rows(t), 1)

	var all sync.WaitGroup
	answers := make([][]byte, 8)
	for i := range answers {
		all.Go(func() { answers[i] = p.post(t, m, "2@us").body })
	}
	all.Wait()
	for _, a := range answers {
		require.Equal(t, answers[0], a)
	}
	require.Len(t, p.payloads(), 2)
	require.Len(t, p.rows(t), 2)
	require.Equal(t, "processed", p.post(t, usual(t, "a.edi", []byte("orders")), "3@us").said(t), "the id counts, not the content")
}

// TestARefusedMessageMayComeAgain accepts it once it is right.
func TestARefusedMessageMayComeAgain(t *testing.T) {
	t.Parallel()
	p := newPartner(t)
	require.Equal(t, "error: authentication-failed", p.post(t, payload(t, "a.edi", nil).sign(otherKey).encrypt(partnerKey), "1@us").said(t))
	require.Equal(t, "processed", p.post(t, usual(t, "a.edi", nil), "1@us").said(t))
	require.Len(t, p.payloads(), 1)
}

func TestMICAlgorithms(t *testing.T) {
	t.Parallel()
	p := newPartner(t, func(c *ReceiverConfig) { c.Agreements[0].AllowUnsigned = true })
	for i, test := range []struct{ options, said, hash string }{
		{"signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, md5, sha512", "processed", "sha-512"},
		{"signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, md5", "processed", "sha-256"},
		{"signed-receipt-protocol=optional, pkcs7-signature", "processed", "sha-256"},
		{"signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=required, SHA1", "processed", "sha1"},
		{"signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=required, md5", "failure: unsupported mic-algorithms", ""},
	} {
		r := p.post(t, payload(t, "a.edi", []byte("x")).encrypt(partnerKey), fmt.Sprintf("%d@us", i), func(h http.Header) {
			set(h, "Disposition-Notification-Options", test.options)
		})
		require.Equal(t, test.said, r.said(t))
		if got, ok := r.mdn(t).receivedMIC(); ok {
			require.Equal(t, test.hash, micNames[got.hash])
		}
	}
	r := p.post(t, usual(t, "a.edi", []byte("x")), "9@us", func(h http.Header) { h.Del("Disposition-Notification-Options") })
	m, err := parseMDN(headerOf(r.header), r.body)
	require.NoError(t, err)
	require.Nil(t, m.signature, "nobody asked for one")
}

// TestNames gives files names that lead elsewhere.
func TestNames(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"a.edi": "a.edi", "../../etc/passwd": "passwd", `C:\temp\b.edi`: "b.edi", "/abs": "abs", "..": "message", ".": "message", "": "message",
		".hidden": "hidden", "a\x00b\nc": "a_b_c", "a/": "message", "x<y>:|?*.edi": "x_y_____.edi", "größe.txt": "größe.txt", "dots...": "dots",
		"\u202egnp.exe": "_gnp.exe", "\xff\xfe": "_", "  spaced  ": "spaced", strings.Repeat("é", 200) + ".edi": strings.Repeat("é", 58) + ".edi",
		strings.Repeat("a", 300): strings.Repeat("a", 120), "a." + strings.Repeat("b", 300): "a." + strings.Repeat("b", 118),
	} {
		require.Equal(t, want, safeName(given), "%q", given)
	}
	p := newPartner(t)
	for i, name := range []string{"../../etc/passwd", "processed/x.json", strings.Repeat("n", 500), ""} {
		require.Equal(t, "processed", p.post(t, usual(t, name, []byte(name)), fmt.Sprintf("../%d/../x@us", i)).said(t))
	}
	require.Len(t, p.payloads(), 4)
	for _, path := range p.storage.Paths() {
		require.True(t, strings.HasPrefix(path, "in/"), path)
		require.LessOrEqual(t, strings.Count(path, "/"), 2, path)
	}
	require.NotEqual(t, safeID("a/b"), safeID("a-b"))
	require.NotEqual(t, safeID("a/b"), safeID("a:b"))
}

func TestPreservedNames(t *testing.T) {
	t.Parallel()
	p := newPartner(t, func(c *ReceiverConfig) { c.Agreements[0].PreserveFilename = true })
	require.Equal(t, "processed", p.post(t, usual(t, "a.edi", []byte("1")), "1@us").said(t))
	require.Equal(t, "processed", p.post(t, usual(t, "a.edi", []byte("2")), "2@us").said(t))
	path, data := p.received(t)
	require.Equal(t, "in/a.edi", path)
	require.Equal(t, "2", string(data))

	p = newPartner(t, func(c *ReceiverConfig) {
		c.Agreements[0].PreserveFilename, c.Agreements[0].Overwrite = true, transfer.OverwriteFail
	})
	require.Equal(t, "processed", p.post(t, usual(t, "a.edi", []byte("1")), "1@us").said(t))
	require.Equal(t, "error: duplicate-filename", p.post(t, usual(t, "a.edi", []byte("2")), "2@us").said(t))
	_, data = p.received(t)
	require.Equal(t, "1", string(data))
}

func TestDirectories(t *testing.T) {
	t.Parallel()
	p := newPartner(t, func(c *ReceiverConfig) {
		c.Agreements[0].Directories = Directories{Payload: "p", MDN: "m", Status: "s", Failed: "f"}
	})
	require.Equal(t, "processed", p.post(t, usual(t, "a.edi", nil), "1").said(t))
	require.Equal(t, "error: decryption-failed", p.post(t, usual(t, "a.edi", nil).edited(func([]byte) []byte { return nil }), "2").said(t))
	require.Equal(t, []string{"f/message.2.json", "f/message.2.mdn", "m/a.1.edi.mdn", "p/a.1.edi", "s/a.1.edi.json"}, p.storage.Paths())
}

// TestAStorageThatFails answers 503, and takes the message when it comes again: once, wherever the failure was.
func TestAStorageThatFails(t *testing.T) {
	t.Parallel()
	for n := range 5 { // the calls of the first request
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			faults := &faults{left: n + 1}
			p := newPartner(t, func(c *ReceiverConfig) {
				c.Storage = failing{c.Storage, faults}
				c.Records.Storage = failing{c.Records.Storage, faults}
			})
			m := usual(t, "a.edi", random(10, 1000))
			first := p.post(t, m, "1@us")
			if first.status != http.StatusOK {
				require.Equal(t, http.StatusServiceUnavailable, first.status)
				require.Empty(t, first.header["As2-From"], "no MDN")
			}
			again := p.post(t, m, "1@us")
			require.Equal(t, "processed", again.said(t))
			if first.status == http.StatusOK {
				require.Equal(t, first.body, again.body)
			}
			_, data := p.received(t)
			require.True(t, bytes.Equal(random(10, 1000), data))
			require.Len(t, p.rows(t), 1)
		})
	}
}

// faults fails one call of all that share it.
type faults struct {
	mu   sync.Mutex // guards left
	left int
}

func (f *faults) strike() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left--; f.left == 0 {
		return &transfer.Error{Op: "test", Code: transfer.NoSpace}
	}
	return nil
}

// failing is a storage with faults.
type failing struct {
	transfer.Storage
	*faults
}

func (f failing) Open(ctx context.Context, path string) (transfer.Source, error) {
	if err := f.strike(); err != nil {
		return nil, err
	}
	return f.Storage.Open(ctx, path)
}

func (f failing) Create(ctx context.Context, path string, o transfer.CreateOptions) (transfer.Sink, error) {
	if err := f.strike(); err != nil {
		return nil, err
	}
	return f.Storage.Create(ctx, path, o)
}
