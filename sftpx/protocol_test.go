package sftpx_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

const secretID = "partners/acme"

// vault is a Secrets whose content a test changes.
type vault struct {
	mu      sync.Mutex // guards secret, err
	secret  string
	err     error
	fetched int
}

func (v *vault) set(secret string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.secret, v.err = secret, err
}

func (v *vault) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.fetched
}

func (v *vault) Secret(_ context.Context, id string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fetched++
	if v.err != nil {
		return nil, v.err
	}
	if id != secretID {
		return nil, fs.ErrNotExist
	}
	return []byte(v.secret), nil
}

func secretText(t testing.TB, fields map[string]string) string {
	t.Helper()
	text, err := json.Marshal(fields)
	require.NoError(t, err)
	return string(text)
}

// newKey returns a private key as PEM, protected if there is a passphrase, and its public key.
func newKey(t testing.TB, passphrase string) (string, ssh.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	require.NoError(t, err)
	key, err := ssh.NewPublicKey(public)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(block)), key
}

func definition(addr string, hostKeys ...string) *transfer.ConnectorDefinition {
	return &transfer.ConnectorDefinition{
		URL: "sftp://" + addr, SftpConfig: &transfer.SftpConnectorConfig{UserSecretID: secretID, TrustedHostKeys: hostKeys},
	}
}

func open(t testing.TB, d *transfer.ConnectorDefinition, secrets transfer.Secrets) *sftpx.Connector {
	t.Helper()
	p := sftpx.Protocol(sftpx.Config{})
	require.Empty(t, p.Check(d))
	opened, err := p.Open(d, secrets)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened.(*sftpx.Connector)
}

func login(t testing.TB, c *sftpx.Connector) error {
	t.Helper()
	r, err := c.Connect(t.Context())
	if err != nil {
		return err
	}
	return r.Close()
}

// The secret is fetched whenever somebody logs in, and a new one is used from the next time on.
func TestSecretIsFetchedForEachLogin(t *testing.T) {
	t.Parallel()
	pem, public := newKey(t, "")
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{User: "alice", Password: "new password", AuthorizedKeys: []ssh.PublicKey{public}})
	v := &vault{}
	c := open(t, definition(server.Addr(), server.HostKeys()...), v)
	require.Equal(t, "sftp://"+server.Addr(), c.Info().URL)
	require.Zero(t, v.count(), "nothing was fetched yet")
	v.set(secretText(t, map[string]string{"Username": "alice", "Password": "old password"}), nil)
	require.ErrorIs(t, login(t, c), transfer.AuthenticationFailed)
	v.set(secretText(t, map[string]string{"Username": "alice", "Password": "new password"}), nil)
	require.NoError(t, login(t, c))
	fetched := v.count()
	require.NoError(t, login(t, c))
	require.Equal(t, fetched, v.count(), "the connection is still there")
	server.CutConnections()
	v.set(secretText(t, map[string]string{"Username": "alice", "PrivateKey": pem}), nil)
	require.Eventually(t, func() bool { return login(t, c) == nil && v.count() > fetched }, eventually, often)
	require.Equal(t, 2, server.Stats().Logins)
}

// Errors say what is wrong with a secret, and hold nothing of it.
func TestBadSecrets(t *testing.T) {
	t.Parallel()
	const part = "hunter2hunter2"
	pem, public := newKey(t, part)
	plain, _ := newKey(t, "")
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{AuthorizedKeys: []ssh.PublicKey{public}})
	v := &vault{}
	c := open(t, definition(server.Addr(), server.HostKeys()...), v)
	certificate := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
	for text, want := range map[string]string{
		"":                 "not a JSON object",
		part:               "not a JSON object",
		`{"` + part:        "not a JSON object",
		`["` + part + `"]`: "not a JSON object",
		`{"Username": 5, "Password": "` + part + `"}`:                                                            "not a JSON object of texts",
		secretText(t, map[string]string{"Password": part}):                                                       "it has no Username",
		secretText(t, map[string]string{"Username": "u\n", "Password": part}):                                    "User has control characters",
		secretText(t, map[string]string{"Username": "u"}):                                                        "neither Password nor PrivateKey",
		secretText(t, map[string]string{"Username": "u", "Password": part, "PrivateKeyPassphrase": part}):        "but no PrivateKey",
		secretText(t, map[string]string{"Username": "u", "PrivateKey": part}):                                    "its PrivateKey cannot be read (want a PEM",
		secretText(t, map[string]string{"Username": "u", "PrivateKey": pem}):                                     "its PrivateKey is protected",
		secretText(t, map[string]string{"Username": "u", "PrivateKey": pem, "PrivateKeyPassphrase": part + "?"}): "is the PrivateKeyPassphrase the right one?",
		secretText(t, map[string]string{"Username": "u", "PrivateKey": plain, "Certificate": certificate}):       "its Certificate is none",
	} {
		v.set(text, nil)
		err := login(t, c)
		require.ErrorIs(t, err, transfer.AuthenticationFailed, text)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), part)
		require.NotContains(t, err.Error(), strings.Split(plain, "\n")[1])
	}
	require.Zero(t, server.Stats().Accepted, "nobody was bothered")
	for _, test := range []struct {
		err  error
		want transfer.Code
	}{
		{fs.ErrNotExist, transfer.AuthenticationFailed}, {fs.ErrPermission, transfer.AuthenticationFailed},
		{fmt.Errorf("the vault is sealed"), transfer.ConnectionError}, {context.DeadlineExceeded, transfer.TimeoutError},
	} {
		v.set("", test.err)
		require.Equal(t, test.want, transfer.CodeOf(login(t, c)), "%v", test.err)
	}
	v.set(secretText(t, map[string]string{"Username": "u", "PrivateKey": strings.ReplaceAll(pem, "\n", `\n`), "PrivateKeyPassphrase": part}), nil)
	require.NoError(t, login(t, c), "a key that was escaped twice")
}

func TestProtocolTellsHostKeys(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Password: "p"})
	other := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	v := &vault{}
	v.set(secretText(t, map[string]string{"Username": "u", "Password": "p"}), nil)
	key := strings.Join(strings.Fields(server.HostKeys()[0])[:2], " ")
	if strings.HasPrefix(server.HostKeys()[0], "127.") || strings.HasPrefix(server.HostKeys()[0], "[") {
		key = strings.Join(strings.Fields(server.HostKeys()[0])[1:3], " ")
	}
	for name, pins := range map[string][]string{"none is trusted yet": nil, "another is trusted": other.HostKeys()} {
		c := open(t, definition(server.Addr(), pins...), v)
		test := c.TestPartner(t.Context())
		require.ErrorIs(t, test.Err, transfer.HostKeyMismatch, name)
		require.Equal(t, key, test.HostKey, name)
		require.ErrorIs(t, login(t, c), transfer.HostKeyMismatch, name)
	}
	require.Zero(t, server.Stats().Logins, "a server that is not trusted gets no credentials")
	c := open(t, definition(server.Addr(), key), v)
	test := c.TestPartner(t.Context())
	require.NoError(t, test.Err)
	require.Equal(t, key, test.HostKey)
	require.Equal(t, "SSH-2.0-transfertest", test.Server)
	require.NoError(t, login(t, c))
}

// The whole way, with OpenSSH: a connector that is created, tested, trusted and used.
func TestConnectorOnOpenSSH(t *testing.T) {
	t.Parallel()
	pem, public := newKey(t, "")
	folder := t.TempDir()
	keys := filepath.Join(folder, "authorized_keys")
	require.NoError(t, os.WriteFile(keys, ssh.MarshalAuthorizedKey(public), 0o600))
	server := testenv.SSHD(t, "AuthorizedKeysFile "+keys)
	require.NoError(t, os.Mkdir(filepath.Join(folder, "partners"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, secretID), []byte(secretText(t, map[string]string{"Username": server.User, "PrivateKey": pem})), 0o600))
	local := transfer.NewMemory()
	client, err := transfer.New(transfer.Config{
		Storage: local, Protocols: map[string]transfer.Protocol{"sftp": sftpx.Protocol(sftpx.Config{})}, Secrets: transfer.SecretsDir(folder),
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	defer func() { require.NoError(t, client.Shutdown(context.Background())) }()
	d := definition(server.Addr)
	created, err := client.CreateConnector(t.Context(), (*transfer.CreateConnectorInput)(d))
	require.NoError(t, err)
	id := created.ConnectorID
	test, err := client.TestConnection(t.Context(), &transfer.TestConnectionInput{ConnectorID: id})
	require.NoError(t, err)
	require.Equal(t, "ERROR", test.Status)
	require.Contains(t, test.StatusMessage, "no host key is trusted yet")
	_, err = client.UpdateConnector(t.Context(), &transfer.UpdateConnectorInput{ConnectorID: id, SftpConfig: &transfer.SftpConnectorConfig{
		TrustedHostKeys: []string{test.SftpConnectionDetails.HostKey},
	}})
	require.NoError(t, err)
	test, err = client.TestConnection(t.Context(), &transfer.TestConnectionInput{ConnectorID: id})
	require.NoError(t, err)
	require.Equal(t, []string{"OK", "Connection succeeded"}, []string{test.Status, test.StatusMessage})

	local.WriteFile("out/a.csv", []byte("content"))
	started, err := client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{
		ConnectorID: id, SendFilePaths: []string{"out/a.csv"}, RemoteDirectoryPath: server.Dir,
	})
	require.NoError(t, err)
	summary, err := client.Wait(within(t, eventually), started.TransferID)
	require.NoError(t, err)
	require.Equal(t, transfer.TransferSummary{Files: 1, Completed: 1}, summary)

	operation := func(id string) *transfer.DescribeRemoteOperationOutput {
		t.Helper()
		var out *transfer.DescribeRemoteOperationOutput
		require.Eventually(t, func() bool {
			out, err = client.DescribeRemoteOperation(t.Context(), &transfer.DescribeRemoteOperationInput{OperationID: id})
			require.NoError(t, err)
			return out.StatusCode != transfer.TransferTableStatusInProgress
		}, eventually, often)
		require.Empty(t, out.FailureMessage)
		return out
	}
	moved, err := client.StartRemoteMove(t.Context(), &transfer.StartRemoteMoveInput{ConnectorID: id, SourcePath: server.Dir + "/a.csv", TargetPath: server.Dir + "/b.csv"})
	require.NoError(t, err)
	operation(moved.MoveID)
	listing, err := client.StartDirectoryListing(t.Context(), &transfer.StartDirectoryListingInput{ConnectorID: id, RemoteDirectoryPath: server.Dir, OutputDirectoryPath: "lists"})
	require.NoError(t, err)
	require.Equal(t, 1, operation(listing.ListingID).Items)
	text, err := local.ReadFile("lists/" + listing.OutputFileName)
	require.NoError(t, err)
	require.Contains(t, string(text), fmt.Sprintf(`{"files":[{"filePath":%q,"modifiedTimestamp":"`, server.Dir+"/b.csv"))
	removed, err := client.StartRemoteDelete(t.Context(), &transfer.StartRemoteDeleteInput{ConnectorID: id, DeletePath: server.Dir + "/b.csv"})
	require.NoError(t, err)
	operation(removed.DeleteID)
	require.Empty(t, filesIn(t, server.Dir))
}

func TestProtocolNamesWrongFields(t *testing.T) {
	t.Parallel()
	p := sftpx.Protocol(sftpx.Config{})
	with := func(change func(*transfer.ConnectorDefinition)) []transfer.InvalidField {
		d := definition("host")
		change(d)
		return p.Check(d)
	}
	profile := func(text string) []transfer.InvalidField {
		return with(func(d *transfer.ConnectorDefinition) { d.SftpConfig.Profile = json.RawMessage(text) })
	}
	for _, test := range []struct {
		fields        []transfer.InvalidField
		name, problem string
	}{
		{with(func(d *transfer.ConnectorDefinition) { d.SftpConfig.TrustedHostKeys = []string{"x"} }), "SftpConfig.TrustedHostKeys[0]", `"x", not a host key`},
		{with(func(d *transfer.ConnectorDefinition) { d.SftpConfig.MaxConcurrentConnections = 1001 }), "SftpConfig.MaxConcurrentConnections", "from 1 to 1000"},
		{with(func(d *transfer.ConnectorDefinition) {
			d.SecurityPolicyName = "TransferSFTPConnectorSecurityPolicy-FIPS-2024-10"
		}), "SecurityPolicyName", "use TransferSFTP"},
		{profile(`{"Password":"hunter2"}`), "SftpConfig.Profile", "a field that is none of sftpx.Settings"},
		{profile(`{"MaxPacket":"many"}`), "SftpConfig.Profile", "a string for MaxPacket"},
		{profile(`{"MaxPacket":1}`), "SftpConfig.Profile.MaxPacket", "from 512"},
		{profile(`{"RenameMode":"fast"}`), "SftpConfig.Profile", `"fast", which is no RenameMode (try RenameAuto)`},
		{profile(`{"Verify":"fast"}`), "SftpConfig.Profile", `no Verify`},
		{profile(`{"Algorithms":"fast"}`), "SftpConfig.Profile", `no Algorithms`},
		{profile(`{"FileMode":"rw"}`), "SftpConfig.Profile.FileMode", `"rw", not octal`},
		{profile(`{"FileMode":"7777"}`), "SftpConfig.Profile.FileMode", `only permissions`},
		{profile(`{"StallTimeout":"soon"}`), "SftpConfig.Profile.StallTimeout", `"soon", not a time`},
		{profile(`{"StallTimeout":"5ns"}`), "SftpConfig.Profile.StallTimeout", `less than a millisecond`},
		{profile(`{"TempName":"x"}`), "SftpConfig.Profile.TempName", `%k`},
	} {
		require.Len(t, test.fields, 1, test.name)
		require.Equal(t, test.name, test.fields[0].Name)
		require.Contains(t, test.fields[0].Problem, test.problem)
		require.NotContains(t, test.fields[0].Problem, "hunter2")
	}
	two := profile(`{"MaxPacket":1,"TempName":"x"}`)
	require.Len(t, two, 2)
	_, err := p.Open(&transfer.ConnectorDefinition{URL: "sftp://h", SftpConfig: &transfer.SftpConnectorConfig{Profile: json.RawMessage(`{"x":1}`)}}, &vault{})
	require.ErrorContains(t, err, "SftpConfig.Profile has a field")
}

func TestSettings(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Password: "p"})
	require.NoError(t, server.MkdirAll("in"))
	v := &vault{}
	v.set(secretText(t, map[string]string{"Username": "u", "Password": "p"}), nil)
	d := definition(server.Addr(), server.HostKeys()...)
	d.SecurityPolicyName, d.Partner, d.SftpConfig.MaxConcurrentConnections = "TransferSFTPConnectorSecurityPolicy-2023-07", "ACME", 3
	d.SftpConfig.Profile = sftpx.Settings{
		RenameMode: new(sftpx.RenameDirect), Verify: new(sftpx.VerifyStrict), Algorithms: new(sftpx.LegacyAlgorithms),
		MakeDirs: new(true), FilesPerConnection: 5, FileMode: "0640", ConnectTimeout: "5s", KeepAlive: "-1ns",
	}.JSON()
	require.JSONEq(t, `{"RenameMode":"RenameDirect","Verify":"VerifyStrict","Algorithms":"LegacyAlgorithms","MakeDirs":true,"FilesPerConnection":5,
		"FileMode":"0640","ConnectTimeout":"5s","KeepAlive":"-1ns"}`, string(d.SftpConfig.Profile))
	c := open(t, d, v)
	require.Equal(t, 15, c.Info().MaxFiles)
	require.Equal(t, "ACME", c.Info().Partner)
	require.NoError(t, upload(t, c, "in/new/a", []byte("x")), "MakeDirs")
	require.Zero(t, server.Requests(transfertest.SFTPRename|transfertest.SFTPPosixRename), "RenameDirect")
	stat, err := server.Stat("in/new/a")
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o640), stat.Mode().Perm())
}
