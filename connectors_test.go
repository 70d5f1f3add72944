package transfer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

const theSecret = "correct horse battery staple"

// vault is a Secrets whose content a test changes.
type vault struct {
	mu      sync.Mutex // guards secrets
	secrets map[string]string
}

func (v *vault) set(id, secret string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.secrets == nil {
		v.secrets = map[string]string{}
	}
	v.secrets[id] = secret
}

func (v *vault) Secret(_ context.Context, id string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	secret, ok := v.secrets[id]
	if !ok {
		return nil, fmt.Errorf("secret %q: %w", id, fs.ErrNotExist)
	}
	return []byte(secret), nil
}

// dynamic is a bench whose clients make connectors of definitions.
type dynamic struct {
	*bench
	protocol *transfertest.Protocol
	vault    *vault
	id       string // of the connector that setupDynamic has created
}

func setupDynamic(t *testing.T, change ...func(*transfer.Config)) *dynamic {
	t.Helper()
	d := &dynamic{vault: &vault{}}
	d.vault.set("acme", theSecret)
	d.bench = &bench{t: t, local: transfer.NewMemory(), remote: transfer.NewMemory(), store: store.NewMemory()}
	d.storage = transfertest.NewStorage(d.local)
	d.partner = transfertest.NewConnector(d.remote, transfertest.ConnectorOptions{URL: "sftp://alice@partner.example", MaxFiles: 4})
	d.protocol = transfertest.NewProtocol(d.partner)
	d.client = d.newDynamic(change...)
	require.NoError(t, d.client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() {
		d.requireClean()
		require.Zero(t, d.protocol.Opened(), "connectors that were not closed")
		require.Empty(t, d.protocol.Violations())
	})
	d.id = d.create(transfer.CreateConnectorInput{})
	return d
}

// newDynamic returns a client like the bench's, without connectors in Config.
func (d *dynamic) newDynamic(change ...func(*transfer.Config)) *transfer.Client {
	return d.newClient(append([]func(*transfer.Config){func(c *transfer.Config) {
		c.Connectors = nil
		c.Protocols = map[string]transfer.Protocol{"sftp": d.protocol, "as2": d.protocol}
		c.Secrets = d.vault
	}}, change...)...)
}

func (d *dynamic) create(in transfer.CreateConnectorInput) string {
	d.t.Helper()
	if in.URL == "" {
		in.URL = "sftp://partner.example"
	}
	if in.SftpConfig == nil && strings.HasPrefix(in.URL, "sftp:") {
		in.SftpConfig = &transfer.SftpConnectorConfig{UserSecretID: "acme"}
	}
	out, err := d.client.CreateConnector(d.t.Context(), &in)
	require.NoError(d.t, err)
	return out.ConnectorID
}

func (d *dynamic) send(client *transfer.Client, connector string, paths ...string) string {
	d.t.Helper()
	for i, p := range paths {
		d.local.WriteFile(p, content(uint64(i), 2500))
	}
	out, err := client.StartFileTransfer(d.t.Context(), &transfer.StartFileTransferInput{
		ConnectorID: connector, SendFilePaths: paths, RemoteDirectoryPath: "in",
	})
	require.NoError(d.t, err)
	return out.TransferID
}

func (d *dynamic) wait(id string) transfer.TransferSummary {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 30*time.Second)
	defer cancel()
	summary, err := d.client.Wait(ctx, id)
	require.NoError(d.t, err)
	return summary
}

func TestConfigOfProtocols(t *testing.T) {
	t.Parallel()
	_, err := transfer.New(transfer.Config{Protocols: map[string]transfer.Protocol{"sftp": nil, "SFTP": transfertest.NewProtocol(nil), "": transfertest.NewProtocol(nil)}})
	require.ErrorContains(t, err, `Config.Protocols["sftp"] is nil`)
	require.ErrorContains(t, err, `Config.Protocols has the scheme "SFTP"`)
	require.ErrorContains(t, err, `Config.Protocols has the scheme ""`)
}

func TestCreatedConnectorMovesFiles(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	require.Regexp(t, `^c-[0-9a-f]{17}$`, d.id)
	require.Equal(t, transfer.TransferSummary{Files: 3, Completed: 3}, d.wait(d.send(d.client, d.id, "a", "b", "c")))
	row := d.rowOf("in/a")
	require.Equal(t, d.id, row.Partner)
	require.Contains(t, d.protocol.Fetched(), theSecret)
}

func (d *dynamic) rowOf(target string) transfer.TransferRow {
	d.t.Helper()
	for row, err := range d.client.ListTransfers().Each(d.t.Context()) {
		require.NoError(d.t, err)
		if row.TargetPath == target {
			return row
		}
	}
	require.Fail(d.t, "no row", target)
	return transfer.TransferRow{}
}

func TestDescribeConnector(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	in := transfer.CreateConnectorInput{
		URL: "sftp://partner.example:2222", Partner: "ACME", Description: "the warehouse", Tags: map[string]string{"team": "b2b", "": ""},
		AccessRole: "arn:aws:iam::1:role/a", LoggingRole: "arn:aws:iam::1:role/l", SecurityPolicyName: "policy",
		SftpConfig: &transfer.SftpConnectorConfig{
			UserSecretID: "acme", TrustedHostKeys: []string{"ssh-rsa AAAA"}, MaxConcurrentConnections: 3, Profile: json.RawMessage(`{"MakeDirs":true}`),
		},
		Retry: &transfer.RetryPolicy{MaxAttempts: 3},
	}
	id := d.create(in)
	out, err := d.client.DescribeConnector(t.Context(), &transfer.DescribeConnectorInput{ConnectorID: id})
	require.NoError(t, err)
	c := out.Connector
	require.Equal(t, transfer.ConnectorDefinition(in), c.ConnectorDefinition)
	require.Equal(t, transfer.ConnectorActive, c.Status)
	require.Equal(t, 3, c.MaxFiles)
	require.Positive(t, c.Revision)
	require.WithinDuration(t, time.Now(), c.CreatedAt, time.Minute)
	require.False(t, c.InConfig)

	without := d.newDynamic(func(c *transfer.Config) { c.Protocols = nil })
	out, err = without.DescribeConnector(t.Context(), &transfer.DescribeConnectorInput{ConnectorID: id})
	require.NoError(t, err)
	require.Equal(t, transfer.ConnectorErrored, out.Connector.Status)
	require.Contains(t, out.Connector.ErrorMessage, "Config.Protocols has none")
	require.Equal(t, in.URL, out.Connector.URL)
}

func TestUpdateConnectorMerges(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	describe := func() transfer.ConnectorDefinition {
		t.Helper()
		out, err := d.client.DescribeConnector(t.Context(), &transfer.DescribeConnectorInput{ConnectorID: d.id})
		require.NoError(t, err)
		return out.Connector.ConnectorDefinition
	}
	update := func(in transfer.UpdateConnectorInput) {
		t.Helper()
		in.ConnectorID = d.id
		out, err := d.client.UpdateConnector(t.Context(), &in)
		require.NoError(t, err)
		require.Equal(t, d.id, out.ConnectorID)
	}
	want := describe()
	update(transfer.UpdateConnectorInput{})
	require.Equal(t, want, describe())
	update(transfer.UpdateConnectorInput{
		URL: "sftp://other.example", Partner: new("P"), Description: new("D"), AccessRole: new("A"), LoggingRole: new("L"), SecurityPolicyName: new("S"),
		Tags: map[string]string{"k": "v"}, Retry: &transfer.RetryPolicy{MaxAttempts: 7},
		SftpConfig: &transfer.SftpConnectorConfig{TrustedHostKeys: []string{"k1", "k2"}, MaxConcurrentConnections: 5, Profile: json.RawMessage(`{"a":1}`)},
	})
	want = transfer.ConnectorDefinition{
		URL: "sftp://other.example", Partner: "P", Description: "D", AccessRole: "A", LoggingRole: "L", SecurityPolicyName: "S",
		Tags: map[string]string{"k": "v"}, Retry: &transfer.RetryPolicy{MaxAttempts: 7},
		SftpConfig: &transfer.SftpConnectorConfig{
			UserSecretID: "acme", TrustedHostKeys: []string{"k1", "k2"}, MaxConcurrentConnections: 5, Profile: json.RawMessage(`{"a":1}`),
		},
	}
	require.Equal(t, want, describe())
	update(transfer.UpdateConnectorInput{
		Partner: new(""), Tags: map[string]string{}, Retry: &transfer.RetryPolicy{},
		SftpConfig: &transfer.SftpConnectorConfig{UserSecretID: "other", TrustedHostKeys: []string{}},
	})
	want.Partner, want.Tags, want.Retry = "", nil, nil
	want.SftpConfig.UserSecretID, want.SftpConfig.TrustedHostKeys = "other", nil
	require.Equal(t, want, describe())
}

func TestConcurrentUpdatesAreAllKept(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	var wg sync.WaitGroup
	errs := make([]error, 3)
	for i, in := range []transfer.UpdateConnectorInput{{Partner: new("P")}, {Description: new("D")}, {AccessRole: new("A")}} {
		wg.Go(func() {
			in.ConnectorID = d.id
			_, errs[i] = d.client.UpdateConnector(t.Context(), &in)
		})
	}
	wg.Wait()
	require.Equal(t, make([]error, 3), errs)
	out, err := d.client.DescribeConnector(t.Context(), &transfer.DescribeConnectorInput{ConnectorID: d.id})
	require.NoError(t, err)
	require.Equal(t, []string{"P", "D", "A"}, []string{out.Connector.Partner, out.Connector.Description, out.Connector.AccessRole})
}

func TestListConnectors(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t, func(c *transfer.Config) {
		other := transfertest.NewConnector(nil, transfertest.ConnectorOptions{URL: "sftp://z"})
		c.Connectors = map[string]transfer.Connector{"a-config": other, "z-config": other, "c-5": other}
	})
	want := map[string]string{d.id: "sftp://partner.example", "a-config": "sftp://z", "z-config": "sftp://z", "c-5": "sftp://z"}
	for i := range 6 {
		url := fmt.Sprintf("sftp://partner%d.example", i)
		want[d.create(transfer.CreateConnectorInput{URL: url})] = url
	}
	for _, size := range []int32{0, 1, 2, 3, 10} {
		got := map[string]string{}
		last := ""
		p := transfer.NewListConnectorsPaginator(d.client, &transfer.ListConnectorsInput{MaxResults: size})
		for p.HasMorePages() {
			page, err := p.NextPage(t.Context())
			require.NoError(t, err)
			require.LessOrEqual(t, len(page.Connectors), max(100*int(max(0, 1-size)), int(size)))
			for _, c := range page.Connectors {
				require.Greater(t, c.ConnectorID, last)
				last, got[c.ConnectorID] = c.ConnectorID, c.URL
			}
		}
		require.Equal(t, want, got, "pages of %d", size)
	}
	var bad *transfer.InvalidNextTokenException
	for _, token := range []string{"x", "AAAA", strings.Repeat("A", 7000)} {
		_, err := d.client.ListConnectors(t.Context(), &transfer.ListConnectorsInput{NextToken: token})
		require.ErrorAs(t, err, &bad)
	}
	var invalid *transfer.InvalidRequestException
	_, err := d.client.ListConnectors(t.Context(), &transfer.ListConnectorsInput{MaxResults: 1001})
	require.ErrorAs(t, err, &invalid)
}

// One error names each wrong field, with the fix.
func TestBadDefinitions(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	sftp := func(change func(*transfer.SftpConnectorConfig)) transfer.CreateConnectorInput {
		c := &transfer.SftpConnectorConfig{UserSecretID: "acme"}
		change(c)
		return transfer.CreateConnectorInput{URL: "sftp://host", SftpConfig: c}
	}
	many := map[string]string{}
	for i := range 51 {
		many[fmt.Sprint(i)] = ""
	}
	for field, in := range map[string]transfer.CreateConnectorInput{
		`URL  is empty (it is required)`:                                                    {},
		`URL "host" is not a URL of a server (give one`:                                     {URL: "host"},
		`URL "sftp:///x" is not a URL`:                                                      {URL: "sftp:///x"},
		`URL "sftp://h:0" has a port`:                                                       {URL: "sftp://h:0"},
		`URL "sftp://h:" has a port`:                                                        {URL: "sftp://h:"},
		`URL "sftp://h/in" has more than a scheme`:                                          {URL: "sftp://h/in"},
		`URL "sftp://h?" has more than a scheme`:                                            {URL: "sftp://h?"},
		`URL "ftp://h" has a scheme that is not known (Config.Protocols has "as2", "sftp")`: {URL: "ftp://h"},
		`URL names a user or has an @ (user and credentials belong into the secret)`:        {URL: "sftp://u:" + theSecret + "@h"},
		`has 256 characters, more than 255`:                                                 {URL: "sftp://" + strings.Repeat("h", 249)},
		`SftpConfig is required`:                                                            {URL: "sftp://h"},
		`SftpConfig is for URLs with the scheme sftp`:                                       {URL: "as2://h", SftpConfig: &transfer.SftpConnectorConfig{UserSecretID: "s"}},
		`ProtocolConfig is not for connectors with the scheme sftp`:                         {URL: "sftp://h", ProtocolConfig: json.RawMessage(`{}`)},
		`ProtocolConfig is not a JSON object`:                                               {URL: "as2://h", ProtocolConfig: json.RawMessage(`[]`)},
		`ProtocolConfig has 65540 bytes, more than 65536`:                                   {URL: "as2://h", ProtocolConfig: json.RawMessage(`{"a":"` + strings.Repeat("x", 65532) + `"}`)},
		`SftpConfig.UserSecretID is empty`:                                                  sftp(func(c *transfer.SftpConnectorConfig) { c.UserSecretID = "" }),
		`SftpConfig.UserSecretID is JSON (give the id`:                                      sftp(func(c *transfer.SftpConnectorConfig) { c.UserSecretID = ` {"Password":"` + theSecret + `"}` }),
		`SftpConfig.TrustedHostKeys has 11 keys, more than 10`:                              sftp(func(c *transfer.SftpConnectorConfig) { c.TrustedHostKeys = make([]string, 11) }),
		`SftpConfig.TrustedHostKeys[0] is a private key`: sftp(func(c *transfer.SftpConnectorConfig) {
			c.TrustedHostKeys = []string{"-----BEGIN PRIVATE KEY-----" + theSecret}
		}),
		`SftpConfig.MaxConcurrentConnections "-1" is negative`:    sftp(func(c *transfer.SftpConnectorConfig) { c.MaxConcurrentConnections = -1 }),
		`SftpConfig.Profile is not a JSON object`:                 sftp(func(c *transfer.SftpConnectorConfig) { c.Profile = json.RawMessage(`"` + theSecret + `"`) }),
		`Tags has 51 entries, more than 50`:                       {Tags: many},
		`has a wrong key (use up to 128`:                          {Tags: map[string]string{"a\nb": ""}},
		`Tags["k"] "` + strings.Repeat("v", 80) + `…" has 257`:    {Tags: map[string]string{"k": strings.Repeat("v", 257)}},
		`AccessRole "` + strings.Repeat("a", 80) + `…" has 2049`:  {AccessRole: strings.Repeat("a", 2049)},
		"Partner \"a\\nb\" contains a line break":                 {Partner: "a\nb"},
		`Description "` + strings.Repeat("a", 80) + `…" has 1025`: {Description: strings.Repeat("a", 1025)},
		`Retry.MaxAttempts is -2 (use 1 or more`:                  {Retry: &transfer.RetryPolicy{MaxAttempts: -2}},
	} {
		_, err := d.client.CreateConnector(t.Context(), &in)
		var invalid *transfer.InvalidRequestException
		require.ErrorAs(t, err, &invalid, field)
		require.Contains(t, strings.ReplaceAll(invalid.Message, "URL is empty", "URL  is empty"), field)
		require.NotContains(t, fmt.Sprintf("%v %+v", err, invalid.Fields), theSecret)
	}
	_, err := d.client.CreateConnector(t.Context(), &transfer.CreateConnectorInput{URL: "x", Partner: "\n", Description: "\n"})
	var invalid *transfer.InvalidRequestException
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid.Fields, 3)
	page, err := d.client.ListConnectors(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, page.Connectors, 1)
}

func TestUnknownConnectors(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t, func(c *transfer.Config) {
		c.Connectors = map[string]transfer.Connector{"fixed": transfertest.NewConnector(nil, transfertest.ConnectorOptions{})}
	})
	ctx := t.Context()
	calls := func(id string) map[string]error {
		errs := map[string]error{}
		_, errs["update"] = d.client.UpdateConnector(ctx, &transfer.UpdateConnectorInput{ConnectorID: id})
		_, errs["delete"] = d.client.DeleteConnector(ctx, &transfer.DeleteConnectorInput{ConnectorID: id})
		_, errs["describe"] = d.client.DescribeConnector(ctx, &transfer.DescribeConnectorInput{ConnectorID: id})
		_, errs["test"] = d.client.TestConnection(ctx, &transfer.TestConnectionInput{ConnectorID: id})
		_, errs["start"] = d.client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{ConnectorID: id, SendFilePaths: []string{"a"}})
		_, errs["list"] = d.client.StartDirectoryListing(ctx, &transfer.StartDirectoryListingInput{ConnectorID: id, RemoteDirectoryPath: "/", OutputDirectoryPath: "/"})
		_, errs["remove"] = d.client.StartRemoteDelete(ctx, &transfer.StartRemoteDeleteInput{ConnectorID: id, DeletePath: "a"})
		_, errs["move"] = d.client.StartRemoteMove(ctx, &transfer.StartRemoteMoveInput{ConnectorID: id, SourcePath: "a", TargetPath: "b"})
		return errs
	}
	for name, err := range calls("c-00000000000000000") {
		var unknown *transfer.ResourceNotFoundException
		require.ErrorAs(t, err, &unknown, name)
		require.Equal(t, "Connector", unknown.ResourceType, name)
		require.Equal(t, "c-00000000000000000", unknown.Resource, name)
	}
	for name, err := range calls("") {
		var invalid *transfer.InvalidRequestException
		require.ErrorAs(t, err, &invalid, name)
	}
	for _, name := range []string{"update", "delete"} {
		var invalid *transfer.InvalidRequestException
		require.ErrorAs(t, calls("fixed")[name], &invalid, name)
		require.Contains(t, invalid.Message, "Config.Connectors")
	}
}
