package as2x

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// testKey is a key with its self-signed certificate, made once: RSA keys take long.
type testKey struct {
	name string
	rsa  bool
	once sync.Once
	pair KeyPair
	der  []byte
}

var (
	ourKey     = &testKey{name: "us", rsa: true}
	ourNewKey  = &testKey{name: "us, next year", rsa: true}
	partnerKey = &testKey{name: "partner", rsa: true}
	otherKey   = &testKey{name: "somebody else", rsa: true}
	ecKey      = &testKey{name: "elliptic"}
	serials    = big.NewInt(time.Now().UnixNano())
	serialsMu  sync.Mutex // guards serials
)

func (k *testKey) get(t testing.TB) KeyPair {
	t.Helper()
	k.once.Do(func() {
		var key crypto.Signer
		var err error
		if k.rsa {
			key, err = rsa.GenerateKey(rand.Reader, 2048)
		} else {
			key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		}
		require.NoError(t, err)
		k.pair = certify(t, k.name, key, time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour))
		k.der = k.pair.Raw
	})
	return k.pair
}

func (k *testKey) certificate(t testing.TB) Certificate {
	return Certificate{Certificate: k.get(t).Certificate.Certificate}
}

// certify makes a self-signed certificate for 127.0.0.1, valid from and until.
func certify(t testing.TB, name string, key crypto.Signer, from, until time.Time) KeyPair {
	t.Helper()
	serialsMu.Lock()
	serial := new(big.Int).Add(serials, big.NewInt(1))
	serials = serial
	serialsMu.Unlock()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageEmailProtection},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return KeyPair{Certificate: Certificate{Certificate: cert}, Key: key}
}

func tlsPair(k KeyPair) tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{k.Raw}, PrivateKey: k.Key, Leaf: k.Certificate.Certificate}
}

// partnerSide is the partner as a Receiver of ours: good for what is about us; interop_test.go is about others.
type partnerSide struct {
	storage  *transfer.Memory
	records  *Records
	store    store.Store
	client   *transfer.Client
	receiver *Receiver
	server   *httptest.Server
}

// agreementOf is the partner's agreement with us.
func agreementOf(t testing.TB) Agreement {
	return Agreement{
		ID: "from-us", Directory: "in",
		Local:   Local{AS2ID: "PARTNER", Signing: []KeyPair{partnerKey.get(t)}, Decryption: []KeyPair{partnerKey.get(t)}},
		Partner: Partner{AS2ID: "US", Signing: []Certificate{ourKey.certificate(t)}, Encryption: []Certificate{ourKey.certificate(t)}},
	}
}

// newPartner starts the partner's server.
func newPartner(t *testing.T, change ...func(*ReceiverConfig)) *partnerSide {
	t.Helper()
	p := &partnerSide{storage: transfer.NewMemory(), records: &Records{Storage: transfer.NewMemory()}, store: store.NewMemory()}
	var err error
	p.client, err = transfer.New(transfer.Config{Storage: p.storage, Store: p.store})
	require.NoError(t, err)
	cfg := ReceiverConfig{
		Agreements: []Agreement{agreementOf(t)}, Storage: p.storage, Records: p.records, Client: p.client, SpoolDir: t.TempDir(),
		MDNDelay: 10 * time.Millisecond,
	}
	for _, f := range change {
		f(&cfg)
	}
	p.receiver, err = NewReceiver(cfg)
	require.NoError(t, err)
	p.server = httptest.NewServer(p.receiver)
	t.Cleanup(func() {
		p.server.Close()
		require.NoError(t, p.receiver.Close(context.Background()))
	})
	return p
}

// configOf is our connector to a partner at url.
func configOf(t testing.TB, url string) Config {
	return Config{
		URL:     url,
		Local:   Local{AS2ID: "US", Signing: []KeyPair{ourKey.get(t)}, Decryption: []KeyPair{ourKey.get(t)}},
		Partner: Partner{AS2ID: "PARTNER", Signing: []Certificate{partnerKey.certificate(t)}, Encryption: []Certificate{partnerKey.certificate(t)}},
		Retry:   &transfer.RetryPolicy{MaxAttempts: 1},
	}
}

// ourSide is a client that sends to one partner.
type ourSide struct {
	storage   *transfer.Memory
	connector *Connector
	client    *transfer.Client
}

func newSender(t *testing.T, cfg Config, change ...func(*transfer.Config)) *ourSide {
	t.Helper()
	s := &ourSide{storage: transfer.NewMemory()}
	if cfg.Results == nil {
		cfg.Results = s.storage
	}
	setDefault(&cfg.SpoolDir, t.TempDir())
	var err error
	s.connector, err = New(cfg)
	require.NoError(t, err)
	config := transfer.Config{
		Storage: s.storage, Connectors: map[string]transfer.Connector{"partner": s.connector}, WindowSize: 64 << 10,
		PollInterval: 10 * time.Millisecond, ProgressInterval: 10 * time.Millisecond,
	}
	for _, f := range change {
		f(&config)
	}
	s.client, err = transfer.New(config)
	require.NoError(t, err)
	require.NoError(t, s.client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		require.NoError(t, s.client.Shutdown(ctx))
		require.NoError(t, s.connector.Close())
	})
	return s
}

// start sends a file.
func (s *ourSide) start(t *testing.T, path string, data []byte) string {
	t.Helper()
	s.storage.WriteFile(path, data)
	out, err := s.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "partner", SendFilePaths: []string{path}})
	require.NoError(t, err)
	return out.TransferID
}

func (s *ourSide) result(t *testing.T, id string) transfer.ConnectorFileTransferResult {
	t.Helper()
	out, err := s.client.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{ConnectorID: "partner", TransferID: id})
	require.NoError(t, err)
	require.Len(t, out.FileTransferResults, 1)
	return out.FileTransferResults[0]
}

// send sends a file and returns its result.
func (s *ourSide) send(t *testing.T, path string, data []byte) transfer.ConnectorFileTransferResult {
	t.Helper()
	id := s.start(t, path, data)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := s.client.Wait(ctx, id)
	require.NoError(t, err)
	return s.result(t, id)
}

// resultFile returns the one JSON file in a folder, and the MDN beside it (nil if there is none).
func resultFile(t *testing.T, s *transfer.Memory, folder string) (r result, mdn []byte) {
	t.Helper()
	var found []string
	for _, p := range s.Paths() {
		if bytes.HasPrefix([]byte(p), []byte(folder+"/")) {
			found = append(found, p)
		}
	}
	for _, p := range found {
		data, err := s.ReadFile(p)
		require.NoError(t, err)
		if bytes.HasSuffix([]byte(p), []byte(".mdn")) {
			mdn = data
			continue
		}
		require.Empty(t, r.StatusCode, "two results: %v", found)
		require.NoError(t, json.Unmarshal(data, &r))
	}
	require.NotEmpty(t, r.StatusCode, "no result in %s: %v", folder, s.Paths())
	return r, mdn
}

// received returns the content of the one file in the partner's folder.
func (p *partnerSide) received(t *testing.T) (name string, data []byte) {
	t.Helper()
	for _, path := range p.payloads() {
		require.Empty(t, name, "two files: %v", p.storage.Paths())
		var err error
		data, err = p.storage.ReadFile(path)
		require.NoError(t, err)
		name = path
	}
	require.NotEmpty(t, name, "no file: %v", p.storage.Paths())
	return name, data
}

// payloads are the files that are no result files.
func (p *partnerSide) payloads() (paths []string) {
	for _, path := range p.storage.Paths() {
		if !bytes.Contains([]byte(path), []byte("/processed/")) && !bytes.Contains([]byte(path), []byte("/failed/")) {
			paths = append(paths, path)
		}
	}
	return paths
}

// rows are the partner's rows.
func (p *partnerSide) rows(t *testing.T) (rows []transfer.TransferRow) {
	t.Helper()
	for row, err := range p.client.ListTransfers().Each(context.WithoutCancel(t.Context())) {
		require.NoError(t, err)
		rows = append(rows, row)
	}
	return rows
}

// random returns n bytes that do not compress, with line ends of all kinds in them.
func random(seed uint64, n int) []byte {
	data := make([]byte, n)
	chacha := mathrand.NewChaCha8([32]byte{byte(seed)})
	_, _ = chacha.Read(data)
	return data
}

// script is a partner that does what a test says, one function for each request.
type script struct {
	mu       sync.Mutex // guards all below
	requests []*http.Request
	bodies   [][]byte
	steps    []http.HandlerFunc
}

// newScript starts a server that does one step after the other; the last one is repeated.
func newScript(t *testing.T, steps ...http.HandlerFunc) (*script, *httptest.Server) {
	t.Helper()
	s := &script{steps: steps}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := new(bytes.Buffer)
	if _, err := body.ReadFrom(r.Body); err != nil {
		panic(http.ErrAbortHandler) // a request that breaks off is none
	}
	r.Body = http.NoBody
	s.mu.Lock()
	s.requests, s.bodies = append(s.requests, r), append(s.bodies, body.Bytes())
	step := s.steps[min(len(s.requests), len(s.steps))-1]
	s.mu.Unlock()
	again := r.Clone(r.Context())
	again.Body = readCloser{bytes.NewReader(body.Bytes())}
	step(w, again)
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}
