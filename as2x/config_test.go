package as2x

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// TestHeaders looks at what goes over the wire.
func TestHeaders(t *testing.T) {
	t.Parallel()
	script, server := newScript(t, confirm(t, partnerKey, nil))
	cfg := configOf(t, server.URL)
	cfg.Local.AS2ID = `U "S"`
	cfg.Headers = http.Header{"X-Gateway": {"a", "b"}}
	sender := newSender(t, cfg)
	sender.storage.WriteFile("/out/größe 1.txt", []byte("x"))
	out, err := sender.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{
		ConnectorID: "partner", SendFilePaths: []string{"/out/größe 1.txt"},
		CustomHTTPHeaders: []transfer.CustomHTTPHeader{{Key: "X-Route", Value: "7"}, {Key: "As2-From", Value: "EVIL"}},
	})
	require.NoError(t, err)
	_, err = sender.client.Wait(t.Context(), out.TransferID)
	require.NoError(t, err)
	h := script.requests[0].Header
	require.Equal(t, "US", parseAS2Name("US"))
	for name, want := range map[string]string{
		"AS2-Version": "1.2", "AS2-From": `"U \"S\""`, "AS2-To": "PARTNER", "Subject": "gr__e 1.txt", "Mime-Version": "1.0", "X-Route": "7",
		"Content-Type":                     `application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"`,
		"Disposition-Notification-Options": "signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, sha-256",
	} {
		require.Equal(t, want, h.Get(name), name)
	}
	require.Equal(t, `U "S"`, parseAS2Name(h.Get("AS2-From")))
	require.Equal(t, []string{"a", "b"}, h["X-Gateway"])
	require.Regexp(t, `^<[0-9a-f]{32}@U--S->$`, h.Get("Message-ID"))
	require.EqualValues(t, len(script.bodies[0]), script.requests[0].ContentLength)
	require.Empty(t, script.requests[0].TransferEncoding)
	u := opened(t, h, readCloser{bytes.NewReader(script.bodies[0])})
	require.Equal(t, "größe 1.txt", fileName(u.header))
	require.Equal(t, "application/octet-stream", u.header.get("Content-Type"))
}

// typed is a storage that keeps content types.
type typed struct {
	transfer.Storage
	kind string
}

type typedSource struct {
	transfer.Source
	kind string
}

func (s typed) Open(ctx context.Context, path string) (transfer.Source, error) {
	src, err := s.Storage.Open(ctx, path)
	return typedSource{src, s.kind}, err
}

func (s typedSource) Info() transfer.FileInfo {
	i := s.Source.Info()
	i.ContentType = s.kind
	return i
}

func TestPreserveContentType(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		preserve   bool
		kind, want string
	}{
		{true, "application/vnd.own", "application/vnd.own"},
		{true, "text/csv; charset=utf-8", "text/csv; charset=utf-8"},
		{true, "binary/octet-stream", "application/edi-x12"},
		{true, "text/plain\r\nX: y", "application/edi-x12"},
		{true, "multipart/mixed", "application/edi-x12"},
		{false, "application/vnd.own", "application/edi-x12"},
	} {
		script, server := newScript(t, confirm(t, partnerKey, nil))
		cfg := configOf(t, server.URL)
		cfg.PreserveContentType = test.preserve
		var memory transfer.Storage
		sender := newSender(t, cfg, func(c *transfer.Config) { memory = c.Storage; c.Storage = typed{memory, test.kind} })
		require.NoError(t, sender.send(t, "/a.x12", []byte("x")).Err())
		u := opened(t, script.requests[0].Header, bytes.NewReader(script.bodies[0]))
		require.Equal(t, test.want, u.header.get("Content-Type"), test.kind)
	}
}

// secureServer starts a TLS server that wants a client certificate of ours.
func secureServer(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	clients := x509.NewCertPool()
	clients.AddCert(ourKey.certificate(t).Certificate)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{tlsPair(partnerKey.get(t))}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	server.TLS.MaxVersion = tls.VersionTLS12 // 1.3 refuses a client only after the handshake, while it sends
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestTLS(t *testing.T) {
	t.Parallel()
	authorized := func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "us" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		confirm(t, partnerKey, nil)(w, r)
	}
	_, plain := newScript(t, authorized)
	server := secureServer(t, plain.Config.Handler)
	right := func(c *Config) {
		c.Local.TLS = []tls.Certificate{tlsPair(ourKey.get(t))}
		c.Partner.TLS = []*x509.Certificate{otherKey.certificate(t).Certificate, partnerKey.certificate(t).Certificate}
		c.BasicAuth = func(context.Context) (string, string, error) { return "us", "secret", nil }
		c.EncryptionAlgorithm = EncryptionNone
	}
	for name, test := range map[string]struct {
		change       func(*Config)
		code, detail transfer.Code
	}{
		"pinned and mutual": {func(*Config) {}, "", ""},
		"neither signed":    {func(c *Config) { c.SigningAlgorithm, c.MDNSigningAlgorithm = SigningNone, SHA256 }, "", ""},
		"compressed only": {func(c *Config) {
			c.SigningAlgorithm, c.MDNSigningAlgorithm, c.Compression = SigningNone, SHA256, CompressionZLIB
		}, "", ""},
		"another pin":    {func(c *Config) { c.Partner.TLS = c.Partner.TLS[:1] }, transfer.UnableToConnect, transfer.TLSCertificateRefused},
		"no pin":         {func(c *Config) { c.Partner.TLS = nil }, transfer.UnableToConnect, transfer.TLSCertificateRefused},
		"no certificate": {func(c *Config) { c.Local.TLS = nil }, transfer.UnableToConnect, transfer.TLSCertificateRefused},
		"wrong password": {func(c *Config) { c.BasicAuth = func(context.Context) (string, string, error) { return "us", "?", nil } }, transfer.HTTPErrorResponse, ""},
		"password is out": {func(c *Config) {
			c.BasicAuth = func(context.Context) (string, string, error) { return "", "", errors.New("vault is shut") }
		}, transfer.CredentialsFailed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configOf(t, server.URL)
			right(&cfg)
			test.change(&cfg)
			r := newSender(t, cfg).send(t, "/a.edi", []byte("x"))
			require.Equal(t, test.code, r.FailureCode, r.FailureMessage)
			require.Equal(t, test.detail, r.FailureDetail, r.FailureMessage)
			require.NotContains(t, r.FailureMessage, "secret")
		})
	}
}

// TestRotation lets both sides change their keys while messages are on their way.
func TestRotation(t *testing.T) {
	t.Parallel()
	now := time.Now()
	old, next := ourKey.get(t), ourNewKey.get(t)
	old.Inactive = now.Add(time.Hour)
	next.Active = now.Add(-time.Minute)
	partner := newPartner(t, func(c *ReceiverConfig) {
		a := &c.Agreements[0]
		a.Partner.Signing = []Certificate{ourKey.certificate(t), ourNewKey.certificate(t)}
		a.Local.Signing = []KeyPair{partnerKey.get(t), otherKey.get(t)} // the certificates are equally old
		a.Local.Decryption = []KeyPair{otherKey.get(t), partnerKey.get(t)}
	})
	cfg := configOf(t, partner.server.URL)
	cfg.Local.Signing = []KeyPair{old, next}
	cfg.Partner.Signing = []Certificate{partnerKey.certificate(t), otherKey.certificate(t)}
	for _, encryption := range []*testKey{partnerKey, otherKey} {
		cfg.Partner.Encryption = []Certificate{encryption.certificate(t)}
		require.NoError(t, newSender(t, cfg).send(t, "/a.edi", []byte("x")).Err())
	}
	signer, ok := cfg.Local.signer(now)
	require.True(t, ok)
	require.True(t, next.Equal(signer.Certificate.Certificate), "the one that became current last signs")
	signer, ok = cfg.Local.signer(now.Add(-2 * time.Minute))
	require.True(t, ok)
	require.True(t, old.Equal(signer.Certificate.Certificate))

	cfg.Local.Signing = []KeyPair{old}
	cfg.Local.Signing[0].Inactive = now.Add(-time.Second)
	require.Equal(t, transfer.SigningKeyNotFound, newSender(t, cfg).send(t, "/a.edi", []byte("x")).FailureCode)
	cfg.Partner.Encryption[0].Active = now.Add(time.Hour)
	require.Equal(t, transfer.EncryptKeyNotFound, newSender(t, cfg).send(t, "/a.edi", []byte("x")).FailureCode)
}

// TestLargeFilesHaveNoLengths compresses as for a file of more than 2 GiB.
func TestLargeFilesHaveNoLengths(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("UNH+1"), 200_000)
	heads := make(map[bool][]byte)
	for _, large := range []bool{false, true} {
		script, server := newScript(t, confirm(t, partnerKey, nil))
		cfg := configOf(t, server.URL)
		cfg.Compression = CompressionZLIB
		sender := newSender(t, cfg)
		if large {
			sender.connector.indefinite = int64(len(data))
		}
		require.NoError(t, sender.send(t, "/a.edi", data).Err())
		u := opened(t, script.requests[0].Header, bytes.NewReader(script.bodies[0]))
		got, err := io.ReadAll(u.file.reader(u.offset))
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		signed, err := io.ReadAll(u.spools[0].reader(0))
		require.NoError(t, err)
		_, raw, err := splitFields(signed)
		require.NoError(t, err)
		heads[large] = signed[len(raw) : len(raw)+2]
	}
	require.Equal(t, []byte{0x30, 0x80}, heads[true])
	require.NotEqual(t, heads[true], heads[false])
}

func TestLargestFile(t *testing.T) {
	t.Parallel()
	cfg := configOf(t, "http://127.0.0.1:1/")
	cfg.MaxFileSize = 3
	require.Equal(t, transfer.FileSizeTooLarge, newSender(t, cfg).send(t, "/a.edi", []byte("four")).FailureCode)
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := New(Config{})
	for _, part := range []string{"Config.URL", "Config.Local.AS2ID is empty", "Config.Partner.AS2ID is empty", "Config.Partner.Encryption is empty", "Config.Local.Signing is empty", "Config.Partner.Signing is empty"} {
		require.ErrorContains(t, err, part)
	}
	for part, change := range map[string]func(*Config){
		"Config.URL \"ftp://x\" is neither":            func(c *Config) { c.URL = "ftp://x" },
		"Config.URL \"https://u:p@x/\" holds a user":   func(c *Config) { c.URL = "https://u:p@x/" },
		"Config.EncryptionAlgorithm is NONE with":      func(c *Config) { c.EncryptionAlgorithm = EncryptionNone },
		"Config.EncryptionAlgorithm is \"ROT13\"":      func(c *Config) { c.EncryptionAlgorithm = "ROT13" },
		"Config.SigningAlgorithm is \"MD5\"":           func(c *Config) { c.SigningAlgorithm = "MD5" },
		"Config.SigningAlgorithm is \"DEFAULT\"":       func(c *Config) { c.SigningAlgorithm = SigningDefault },
		"Config.Compression is \"LZMA\"":               func(c *Config) { c.Compression = "LZMA" },
		"Config.MDNResponse is \"LATER\"":              func(c *Config) { c.MDNResponse = "LATER" },
		"Config.AsyncMDNURL \"\" is no URL":            func(c *Config) { c.MDNResponse = MDNAsync },
		"Config.Records is nil":                        func(c *Config) { c.MDNResponse, c.AsyncMDNURL = MDNAsync, "https://us/" },
		"Config.BasicAuth is given":                    func(c *Config) { c.BasicAuth = func(context.Context) (string, string, error) { return "", "", nil } },
		"Config.Headers has \"as2-from\"":              func(c *Config) { c.Headers = http.Header{"as2-from": {"x"}} },
		"Config.MessageSubject is not":                 func(c *Config) { c.MessageSubject = "a\nb" },
		"Config.MaxFiles is -1":                        func(c *Config) { c.MaxFiles = -1 },
		"Config.MaxFileSize is -1":                     func(c *Config) { c.MaxFileSize = -1 },
		"Config.StallTimeout is 1ns":                   func(c *Config) { c.StallTimeout = 1 },
		"Config.OAEP is unknown hash value 99":         func(c *Config) { c.OAEP = 99 },
		"Config.Partner.TLS has a nil":                 func(c *Config) { c.Partner.TLS = []*x509.Certificate{nil} },
		"Config.Local.Signing[0].Key is not the key":   func(c *Config) { c.Local.Signing[0].Key = otherKey.get(t).Key },
		"Config.Local.Signing[0].Key is nil":           func(c *Config) { c.Local.Signing[0].Key = nil },
		"Config.Local.AS2ID \"é\" has characters":      func(c *Config) { c.Local.AS2ID = "é" },
		"Config.Local.Decryption[0].Key cannot":        func(c *Config) { c.Local.Decryption = []KeyPair{ecKey.get(t)} },
		"Config.Partner.Encryption[0] has a key of":    func(c *Config) { c.Partner.Encryption = []Certificate{ecKey.certificate(t)} },
		"Config.Partner.Signing[0].Certificate is nil": func(c *Config) { c.Partner.Signing = []Certificate{{}} },
	} {
		cfg := configOf(t, "http://partner.example/")
		change(&cfg)
		_, err := New(cfg)
		require.ErrorContains(t, err, part)
	}
	_, err = New(configOf(t, "http://partner.example/"))
	require.NoError(t, err)
}
