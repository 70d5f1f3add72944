package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	awstransfer "github.com/aws/aws-sdk-go-v2/service/transfer"
	"github.com/aws/aws-sdk-go-v2/service/transfer/types"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	accessKey    = "AKIAEXAMPLE"
	secretKey    = "a secret key that nobody has seen"
	password     = "a password that nobody has seen"
	partnerLogin = "a password of the partner's"
)

// service is the program, running.
type service struct {
	t       *testing.T
	partner *transfertest.SFTPServer
	folder  string // has the directories files and secrets, and config.json
	args    []string

	url    string
	ended  chan int
	stop   context.CancelFunc
	stderr *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func prepare(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, folder: t.TempDir(), stderr: &lockedBuffer{}}
	s.partner = transfertest.StartSFTP(t, transfertest.SFTPOptions{User: "us", Password: partnerLogin})
	require.NoError(t, s.partner.MkdirAll("in"))
	config, err := json.Marshal(map[string]any{
		"connectors": map[string]any{"warehouse": map[string]any{"url": "sftp://" + s.partner.Addr(), "secret": "warehouse.json", "hostKeys": s.partner.HostKeys()}},
		"rules":      map[string]any{"orders": map[string]any{"direction": "send", "localDirectory": "/outbox", "remoteDirectory": "in"}},
	})
	require.NoError(t, err)
	for name, text := range map[string]string{
		"config.json":                     string(config),
		"secrets/partners/warehouse.json": fmt.Sprintf(`{"Username":"us","Password":%q}`, partnerLogin),
		"secrets/access-keys.json":        fmt.Sprintf(`{%q:%q}`, accessKey, secretKey),
		"secrets/users.json":              fmt.Sprintf(`{"alice":{"password":%q,"roles":["read","transfer","control"]}}`, password),
		"files/outbox/a.csv":              "content of a",
	} {
		path := filepath.Join(s.folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	s.args = []string{
		"-listen", "127.0.0.1:0", "-dir", filepath.Join(s.folder, "files"), "-store", filepath.Join(s.folder, "state.db"),
		"-secrets", filepath.Join(s.folder, "secrets"), "-config", filepath.Join(s.folder, "config.json"),
	}
	return s
}

// start runs the program until the test ends, or stop is called.
func (s *service) start(more ...string) {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	s.ended = make(chan int, 1)
	go func() {
		s.ended <- run(ctx, append(s.args, more...), in, s.stderr)
		_ = in.Close()
	}()
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			stop()
			require.Equal(s.t, exitDone, <-s.ended, s.stderr.String())
		})
	}
	s.t.Cleanup(s.stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(s.t, err, s.stderr.String())
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	require.True(s.t, ok, line)
	s.url = "http://" + address
}

func (s *service) aws() *awstransfer.Client {
	return awstransfer.New(awstransfer.Options{
		BaseEndpoint: &s.url, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
}

// waarp makes a request of Waarp's API and returns the answer.
func (s *service) waarp(method, path, body string) (status int, answer map[string]any) {
	s.t.Helper()
	q, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	require.NoError(s.t, err)
	q.SetBasicAuth("alice", password)
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	q.Close = true
	r, err := http.DefaultClient.Do(q)
	require.NoError(s.t, err)
	defer func() { _ = r.Body.Close() }()
	text, err := io.ReadAll(r.Body)
	require.NoError(s.t, err)
	if len(text) > 0 {
		require.NoError(s.t, json.Unmarshal(text, &answer), string(text))
	}
	return r.StatusCode, answer
}

// awaitDone waits until a transfer of AWS's API has all files in a final state.
func (s *service) awaitDone(connector, id string) []types.ConnectorFileTransferResult {
	s.t.Helper()
	var out *awstransfer.ListFileTransferResultsOutput
	require.Eventually(s.t, func() bool {
		var err error
		out, err = s.aws().ListFileTransferResults(s.t.Context(), &awstransfer.ListFileTransferResultsInput{ConnectorId: &connector, TransferId: &id})
		require.NoError(s.t, err)
		for _, r := range out.FileTransferResults {
			if r.StatusCode != types.TransferTableStatusCompleted && r.StatusCode != types.TransferTableStatusFailed {
				return false
			}
		}
		return true
	}, 20*time.Second, 10*time.Millisecond)
	return out.FileTransferResults
}

// A connector is created, trusted and used through AWS's SDK; Waarp's API sees the transfer; both outlive a restart.
func TestServer(t *testing.T) {
	t.Parallel()
	s := prepare(t)
	s.start()
	ctx := t.Context()
	created, err := s.aws().CreateConnector(ctx, &awstransfer.CreateConnectorInput{
		AccessRole: new("arn:aws:iam::123456789012:role/transfer"), Url: new("sftp://" + s.partner.Addr()),
		SftpConfig: &types.SftpConnectorConfig{UserSecretId: new("warehouse.json")},
	})
	require.NoError(t, err)
	id := *created.ConnectorId
	tested, err := s.aws().TestConnection(ctx, &awstransfer.TestConnectionInput{ConnectorId: &id})
	require.NoError(t, err)
	require.Equal(t, "ERROR", *tested.Status)
	_, err = s.aws().UpdateConnector(ctx, &awstransfer.UpdateConnectorInput{
		ConnectorId: &id, SftpConfig: &types.SftpConnectorConfig{TrustedHostKeys: []string{*tested.SftpConnectionDetails.HostKey}},
	})
	require.NoError(t, err)
	started, err := s.aws().StartFileTransfer(ctx, &awstransfer.StartFileTransferInput{
		ConnectorId: &id, SendFilePaths: []string{"/outbox/a.csv", "/outbox/none.csv"}, RemoteDirectoryPath: new("in"),
	})
	require.NoError(t, err)
	results := s.awaitDone(id, *started.TransferId)
	require.Equal(t, types.TransferTableStatusCompleted, results[0].StatusCode)
	require.Equal(t, "SEND_FILE_NOT_FOUND", *results[1].FailureCode)
	s.requireArrived("in/a.csv", "content of a")

	status, list := s.waarp("GET", "/v2/transfers?status=DONE", "")
	require.Equal(t, http.StatusOK, status)
	require.EqualValues(t, 1, list["totalResults"])
	s.stop()
	s.start()
	page, err := s.aws().ListConnectors(ctx, &awstransfer.ListConnectorsInput{})
	require.NoError(t, err)
	require.Len(t, page.Connectors, 2)
	require.Equal(t, id, *page.Connectors[0].ConnectorId)
	_, list = s.waarp("GET", "/v2/transfers", "")
	require.EqualValues(t, 2, list["totalResults"])
	_, err = s.aws().DeleteConnector(ctx, &awstransfer.DeleteConnectorInput{ConnectorId: &id})
	require.NoError(t, err)
	_, err = s.aws().StartFileTransfer(ctx, &awstransfer.StartFileTransferInput{ConnectorId: &id, SendFilePaths: []string{"/outbox/a.csv"}})
	var unknown *types.ResourceNotFoundException
	require.ErrorAs(t, err, &unknown)
	for _, secret := range []string{secretKey, password, partnerLogin} {
		require.NotContains(t, s.stderr.String(), secret)
	}
}

func (s *service) requireArrived(path, want string) {
	s.t.Helper()
	got, err := s.partner.ReadFile(path)
	require.NoError(s.t, err)
	require.Equal(s.t, want, string(got))
}

// A client of Waarp starts a transfer by the configuration's rule, with the configuration's connector.
func TestServerStartsByRule(t *testing.T) {
	t.Parallel()
	s := prepare(t)
	s.start()
	status, record := s.waarp("POST", "/v2/transfers", `{"requested":"warehouse","ruleName":"orders","filename":"a.csv"}`)
	require.Equal(t, http.StatusCreated, status, "%v", record)
	require.Eventually(t, func() bool {
		_, list := s.waarp("GET", "/v2/transfers?status=DONE", "")
		return list["totalResults"] == 1.0
	}, 20*time.Second, 10*time.Millisecond)
	s.requireArrived("in/a.csv", "content of a")
}

// AWS's JavaScript SDK creates a connector, sends files and reads results, knowing nothing of us but the endpoint.
func TestServerAndJavaScriptSDK(t *testing.T) {
	t.Parallel()
	s := prepare(t)
	for name, text := range map[string]string{"files/bucket/a.csv": "a", "files/bucket/b.csv": "b", "secrets/partners/acme": fmt.Sprintf(`{"Username":"us","Password":%q}`, partnerLogin)} {
		path := filepath.Join(s.folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	require.NoError(t, s.partner.WriteFile("/in/of yesterday.csv", nil))
	s.start()
	testenv.NodeScript(t, filepath.Join("..", "..", "awsapi", "testdata", "sdk.cjs"), "AWS_ENDPOINT_URL="+s.url, "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey, "PARTNER_URL=sftp://"+s.partner.Addr())
	s.requireArrived("/in/b.csv", "b")
}

func TestServerOverTLS(t *testing.T) {
	t.Parallel()
	s := prepare(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	cert, keyFile := filepath.Join(s.folder, "tls.crt"), filepath.Join(s.folder, "tls.key")
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	require.NoError(t, os.WriteFile(cert, public, 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	s.start("-cert", cert, "-key", keyFile)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(public))
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	r, err := c.Get("https" + strings.TrimPrefix(s.url, "http") + "/v2/transfers")
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, http.StatusUnauthorized, r.StatusCode)
}

// What is wrong is said, with the fix, and nothing is left behind.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	s := prepare(t)
	write := func(name, text string) string {
		path := filepath.Join(s.folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	require.NoError(t, os.MkdirAll(filepath.Join(s.folder, "empty"), 0o700))
	write("odd/users.json", `{"alice": {"password": "`+password+`", "roles": ["king"]}}`)
	write("broken/users.json", password)
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"-help"}, exitDone, ""},
		{nil, exitUsage, "-dir is missing"},
		{[]string{"-nonsense"}, exitUsage, "-nonsense"},
		{append(s.args, "file"), exitUsage, `"file" is not a flag`},
		{append(s.args, "-listen", ":80"), exitUsage, "without -cert and -key"},
		{append(s.args, "-listen", "x"), exitUsage, "not host:port"},
		{append(s.args, "-cert", "x"), exitUsage, "belong together"},
		{append(s.args, "-connections", "0"), exitUsage, "-connections"},
		{append(s.args, "-dir", s.folder+"/none"), exitFailed, "-dir"},
		{append(s.args, "-secrets", filepath.Join(s.folder, "empty")), exitUsage, "neither access-keys.json nor users.json"},
		{append(s.args, "-secrets", filepath.Join(s.folder, "odd")), exitFailed, `"king" is no role`},
		{append(s.args, "-secrets", filepath.Join(s.folder, "broken")), exitFailed, "users.json in -secrets is not what it should be"},
		{append(s.args, "-config", filepath.Join(s.folder, "none.json")), exitFailed, "-config"},
		{append(s.args, "-config", write("1.json", `{"conectors":{}}`)), exitFailed, `unknown field "conectors"`},
		{append(s.args, "-config", write("2.json", `{"connectors":{"a":{"url":"sftp://h","secret":"s","hostKeys":["x"]}}}`)), exitFailed, `connector "a"`},
		{append(s.args, "-config", write("3.json", `{"rules":{"a":{"direction":"up"}}}`)), exitFailed, `direction is "up"`},
		{append(s.args, "-cert", write("c", ""), "-key", write("k", "")), exitFailed, "-cert, -key"},
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, test.status, run(t.Context(), test.args, &stdout, &stderr), "%v: %s", test.args, &stderr)
		require.Contains(t, stderr.String(), test.want)
		require.NotContains(t, stderr.String(), password)
	}
}
