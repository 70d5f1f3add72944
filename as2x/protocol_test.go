package as2x

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// vault is a Secrets with one secret, which a test changes.
type vault struct {
	mu   sync.Mutex // guards text
	text string
}

func (v *vault) set(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.text = text
}

func (v *vault) Secret(_ context.Context, id string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if id != "as2/partner" {
		return nil, fs.ErrNotExist
	}
	return []byte(v.text), nil
}

// gate lets those through who know the password, and keeps the subjects and routes of their messages.
type gate struct {
	receiver http.Handler

	mu       sync.Mutex // guards password and subjects
	password string
	subjects []string
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	_, password, _ := r.BasicAuth()
	right := password == g.password
	if right {
		g.subjects = append(g.subjects, r.Header.Get("Subject")+r.Header.Get("X-Route"))
	}
	g.mu.Unlock()
	if !right {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	g.receiver.ServeHTTP(w, r)
}

func (g *gate) change(password string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.password = password
}

func (g *gate) seen() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.subjects
}

// profilesOf are ours, and the partner's with a server that has this certificate.
func profilesOf(t testing.TB, pinned ...*x509.Certificate) Profiles {
	cfg := configOf(t, "")
	cfg.Partner.TLS = pinned
	return Profiles{
		Local:   map[string]Local{"p-us": cfg.Local, "p-keyless": {AS2ID: "US"}},
		Partner: map[string]Partner{"p-partner": cfg.Partner, "p-bare": {AS2ID: "PARTNER"}},
	}
}

// newStored returns a client that knows only connectors of its store.
func newStored(t *testing.T, base Config, profiles Profiles, secrets transfer.Secrets) *ourSide {
	t.Helper()
	p := Protocol(base, profiles)
	return newSender(t, configOf(t, "https://unused.example/"), func(c *transfer.Config) {
		c.Connectors, c.Store, c.Secrets = nil, store.NewMemory(), secrets
		c.Protocols = map[string]transfer.Protocol{"https": p, "http": p}
		c.Retry = transfer.RetryPolicy{MaxAttempts: 1}
	})
}

func (s *ourSide) create(t *testing.T, url, config string) string {
	t.Helper()
	out, err := s.client.CreateConnector(t.Context(), &transfer.CreateConnectorInput{URL: url, ProtocolConfig: json.RawMessage(config)})
	require.NoError(t, err)
	return out.ConnectorID
}

// sendWith sends a file by a connector of the store and returns its result.
func (s *ourSide) sendWith(t *testing.T, connector, path string, headers ...transfer.CustomHTTPHeader) transfer.ConnectorFileTransferResult {
	t.Helper()
	s.storage.WriteFile(path, []byte("x"))
	out, err := s.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{
		ConnectorID: connector, SendFilePaths: []string{path}, CustomHTTPHeaders: headers,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = s.client.Wait(ctx, out.TransferID)
	require.NoError(t, err)
	results, err := s.client.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{ConnectorID: connector, TransferID: out.TransferID})
	require.NoError(t, err)
	require.Len(t, results.FileTransferResults, 1)
	return results.FileTransferResults[0]
}

// TestProtocol is the life of a connector in the store: each message asks for the secret, an update is for the next one.
func TestProtocol(t *testing.T) {
	t.Parallel()
	partner := newPartner(t)
	door := &gate{receiver: partner.receiver, password: "first"}
	server := httptest.NewTLSServer(door)
	t.Cleanup(server.Close)
	secrets := &vault{text: `{"Username":"us","Password":"first"}`}
	s := newStored(t, Config{}, profilesOf(t, server.Certificate()), secrets)
	id := s.create(t, server.URL+"/as2", `{"LocalProfileId":"p-us","PartnerProfileId":"p-partner","MessageSubject":"one","BasicAuthSecretId":"as2/partner"}`)
	described, err := s.client.DescribeConnector(t.Context(), &transfer.DescribeConnectorInput{ConnectorID: id})
	require.NoError(t, err)
	require.Equal(t, transfer.ConnectorActive, described.Connector.Status, described.Connector.ErrorMessage)
	require.Equal(t, 4, described.Connector.MaxFiles)

	r := s.sendWith(t, id, "/a.edi", transfer.CustomHTTPHeader{Key: "X-Route", Value: "7"})
	require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
	_, data := partner.received(t)
	require.Equal(t, "x", string(data))

	door.change("second")
	r = s.sendWith(t, id, "/b.edi")
	require.Equal(t, transfer.HTTPErrorResponse, r.FailureCode)
	secrets.set(`{"Username":"us","Password":"second"}`)
	r = s.sendWith(t, id, "/c.edi")
	require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
	secrets.set(`not JSON`)
	r = s.sendWith(t, id, "/d.edi")
	require.Equal(t, transfer.CredentialsFailed, r.FailureCode)
	require.NotContains(t, r.FailureMessage, "not JSON")

	door.change("")
	_, err = s.client.UpdateConnector(t.Context(), &transfer.UpdateConnectorInput{
		ConnectorID: id, ProtocolConfig: json.RawMessage(`{"LocalProfileId":"p-us","PartnerProfileId":"p-partner","MessageSubject":"two"}`),
	})
	require.NoError(t, err)
	r = s.sendWith(t, id, "/e.edi")
	require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
	require.Equal(t, []string{"one7", "one", "two"}, door.seen())

	_, err = s.client.DeleteConnector(t.Context(), &transfer.DeleteConnectorInput{ConnectorID: id})
	require.NoError(t, err)
	_, err = s.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: id, SendFilePaths: []string{"/a.edi"}})
	var missing *transfer.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)
}

// TestProtocolWithoutTheProfile: a node that does not have it says so.
func TestProtocolWithoutTheProfile(t *testing.T) {
	t.Parallel()
	shared := store.NewMemory()
	clientOf := func(profiles Profiles) *transfer.Client {
		client, err := transfer.New(transfer.Config{
			Storage: transfer.NewMemory(), Store: shared, Protocols: map[string]transfer.Protocol{"https": Protocol(Config{}, profiles)},
		})
		require.NoError(t, err)
		return client
	}
	has, lacks := &ourSide{client: clientOf(profilesOf(t))}, clientOf(Profiles{})
	id := has.create(t, "https://partner.example", `{"LocalProfileId":"p-us","PartnerProfileId":"p-partner"}`)
	out, err := lacks.DescribeConnector(t.Context(), &transfer.DescribeConnectorInput{ConnectorID: id})
	require.NoError(t, err)
	require.Equal(t, transfer.ConnectorErrored, out.Connector.Status)
	require.Contains(t, out.Connector.ErrorMessage, `ProtocolConfig.LocalProfileId "p-us" is not known`)
	_, err = lacks.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{
		ConnectorID: id, SendFilePaths: []string{"/a"}, CustomHTTPHeaders: []transfer.CustomHTTPHeader{{Key: "X-Route"}},
	})
	require.ErrorContains(t, err, "CustomHTTPHeaders are for a connector that this client cannot work with")
}

// TestProtocolChecks names what is wrong as the definition has it.
func TestProtocolChecks(t *testing.T) {
	t.Parallel()
	p := Protocol(Config{MaxFiles: -1}, profilesOf(t))
	good := Protocol(Config{}, profilesOf(t))
	const ids = `"LocalProfileId":"p-us","PartnerProfileId":"p-partner"`
	for name, test := range map[string]struct {
		protocol transfer.Protocol
		d        transfer.ConnectorDefinition
		wrong    []string // the beginning of each
	}{
		"nothing":          {good, transfer.ConnectorDefinition{ProtocolConfig: json.RawMessage(`{` + ids + `}`)}, nil},
		"none":             {good, transfer.ConnectorDefinition{}, []string{"ProtocolConfig is required"}},
		"unknown member":   {good, transfer.ConnectorDefinition{ProtocolConfig: json.RawMessage(`{"Compresion":"ZLIB"}`)}, []string{`ProtocolConfig cannot be read: read As2ConnectorConfig: json: unknown field "Compresion"`}},
		"unknown profiles": {good, transfer.ConnectorDefinition{ProtocolConfig: json.RawMessage(`{"LocalProfileId":"p-1"}`)}, []string{`ProtocolConfig.LocalProfileId "p-1" is not known`, `ProtocolConfig.PartnerProfileId "" is not known`}},
		"profiles without keys": {good, transfer.ConnectorDefinition{ProtocolConfig: json.RawMessage(`{"LocalProfileId":"p-keyless","PartnerProfileId":"p-bare"}`)}, []string{
			"ProtocolConfig.PartnerProfileId names a profile whose Encryption is empty", "ProtocolConfig.LocalProfileId names a profile whose Signing is empty",
			"ProtocolConfig.PartnerProfileId names a profile whose Signing is empty",
		}},
		"values": {good, transfer.ConnectorDefinition{ProtocolConfig: json.RawMessage(`{` + ids + `,"Compression":"ZIP","EncryptionAlgorithm":"ROT13","MdnResponse":"LATER","PreserveContentType":"YES"}`)}, []string{
			`ProtocolConfig.PreserveContentType is "YES"`, `ProtocolConfig.Compression is "ZIP"`, `ProtocolConfig.EncryptionAlgorithm is "ROT13"`, `ProtocolConfig.MdnResponse is "LATER"`,
		}},
		"http":        {good, transfer.ConnectorDefinition{URL: "http://partner.example/", ProtocolConfig: json.RawMessage(`{` + ids + `,"BasicAuthSecretId":"x","EncryptionAlgorithm":"NONE"}`)}, []string{"ProtocolConfig.EncryptionAlgorithm is NONE with an URL", "ProtocolConfig.BasicAuthSecretId is given with an URL that is not https"}},
		"a secret":    {good, transfer.ConnectorDefinition{ProtocolConfig: json.RawMessage(`{` + ids + `,"BasicAuthSecretId":"{\"Username\":\"us\"}"}`)}, []string{"ProtocolConfig.BasicAuthSecretId is JSON"}},
		"no records":  {good, transfer.ConnectorDefinition{ProtocolConfig: json.RawMessage(`{` + ids + `,"MdnResponse":"ASYNC"}`)}, []string{`ProtocolConfig.AsyncMdnConfig.Url "" is no URL`, "ProtocolConfig does not go with the Config that the program gives to as2x.Protocol: Records is nil"}},
		"bad program": {p, transfer.ConnectorDefinition{ProtocolConfig: json.RawMessage(`{` + ids + `}`)}, []string{"ProtocolConfig does not go with the Config that the program gives to as2x.Protocol: MaxFiles is -1"}},
		"SFTP's":      {good, transfer.ConnectorDefinition{SecurityPolicyName: "TransferSFTPConnectorSecurityPolicy-2024-03", ProtocolConfig: json.RawMessage(`{` + ids + `}`)}, []string{"SecurityPolicyName is not for AS2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			setDefault(&test.d.URL, "https://partner.example/")
			wrong := test.protocol.Check(&test.d)
			require.Len(t, wrong, len(test.wrong), "%v", wrong)
			for i, f := range wrong {
				require.True(t, strings.HasPrefix(f.Name+" "+f.Problem, test.wrong[i]), "%s %s", f.Name, f.Problem)
			}
			opened, err := test.protocol.Open(&test.d, &vault{})
			if len(wrong) > 0 {
				require.ErrorContains(t, err, "as2x: "+wrong[0].Name)
				return
			}
			require.NoError(t, err)
			require.NoError(t, opened.Close())
		})
	}
	err := transfer.CheckDefinition(&transfer.ConnectorDefinition{URL: "https://a.example", ProtocolConfig: json.RawMessage(`{}`)}, map[string]transfer.Protocol{"https": good})
	var invalid *transfer.InvalidRequestException
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid.Fields, 2)
}

// TestTestPartner connects, and sends nothing.
func TestTestPartner(t *testing.T) {
	t.Parallel()
	script, plain := newScript(t, func(http.ResponseWriter, *http.Request) {})
	secure := secureServer(t, plain.Config.Handler)
	right := func(c *Config) {
		c.Local.TLS, c.Partner.TLS = []tls.Certificate{tlsPair(ourKey.get(t))}, []*x509.Certificate{partnerKey.certificate(t).Certificate}
	}
	for name, test := range map[string]struct {
		url    string
		change func(*Config)
		want   transfer.Code
	}{
		"http":           {plain.URL, func(*Config) {}, ""},
		"https":          {secure.URL, func(*Config) {}, ""},
		"another pin":    {secure.URL, func(c *Config) { c.Partner.TLS = []*x509.Certificate{otherKey.certificate(t).Certificate} }, transfer.TLSCertificateRefused},
		"no certificate": {secure.URL, func(c *Config) { c.Local.TLS = nil }, transfer.TLSCertificateRefused},
		"nobody there":   {"http://127.0.0.1:1/", func(*Config) {}, transfer.UnableToConnect},
	} {
		cfg := configOf(t, test.url)
		right(&cfg)
		test.change(&cfg)
		c, err := New(cfg)
		require.NoError(t, err)
		require.Equal(t, test.want, transfer.CodeOf(c.TestPartner(t.Context()).Err), name)
	}
	require.Zero(t, script.count())
}

// TestProtocolAwaitsMDNs: a file that awaits its MDN gets it from the next revision of its connector.
func TestProtocolAwaitsMDNs(t *testing.T) {
	t.Parallel()
	late := make(chan *note, 1)
	_, server := newScript(t, func(w http.ResponseWriter, r *http.Request) {
		late <- mdnFor(t, r, partnerKey, nil)
		w.WriteHeader(http.StatusNoContent)
	})
	o := newOurReceiver(t, nil)
	s := newStored(t, Config{Records: o.records, MDNPoll: 10 * time.Millisecond}, profilesOf(t), nil)
	config := `{"LocalProfileId":"p-us","PartnerProfileId":"p-partner","MdnResponse":"ASYNC","AsyncMdnConfig":{"Url":"` + o.server.URL + `"}}`
	id := s.create(t, server.URL, config)
	s.storage.WriteFile("/a.edi", []byte("x"))
	out, err := s.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: id, SendFilePaths: []string{"/a.edi"}})
	require.NoError(t, err)
	mdn := <-late
	_, err = s.client.UpdateConnector(t.Context(), &transfer.UpdateConnectorInput{
		ConnectorID: id, URL: server.URL + "/new", ProtocolConfig: json.RawMessage(config),
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, o.post(t, mdn))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	summary, err := s.client.Wait(ctx, out.TransferID)
	require.NoError(t, err)
	require.Equal(t, 1, summary.Completed)
}
