package awsapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/transfer"
	"github.com/aws/aws-sdk-go-v2/service/transfer/types"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/awsapi"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

const (
	role    = "arn:aws:iam::123456789012:role/transfer"
	hostKey = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTY="
)

// protocol opens every definition as the partner of the service, where there is no network.
type protocol struct{ partner *transfertest.Connector }

func (protocol) Check(d *transfer.ConnectorDefinition) []transfer.InvalidField {
	if d.SecurityPolicyName == "TransferSFTPConnectorSecurityPolicy-none" {
		return []transfer.InvalidField{{Name: "SecurityPolicyName", Problem: "is not known"}}
	}
	return nil
}

func (p protocol) Open(d *transfer.ConnectorDefinition, _ transfer.Secrets) (transfer.OpenedConnector, error) {
	return opened{p.partner, d}, nil
}

type opened struct {
	*transfertest.Connector
	definition *transfer.ConnectorDefinition
}

func (opened) Close() error { return nil }

func (o opened) TestPartner(ctx context.Context) transfer.ConnectionTest {
	remote, err := o.Connect(ctx)
	if err != nil {
		return transfer.ConnectionTest{HostKey: hostKey, Err: err}
	}
	return transfer.ConnectionTest{HostKey: hostKey, Err: remote.Close()}
}

func createSFTP(t *testing.T, s *service, change ...func(*sdk.CreateConnectorInput)) *string {
	t.Helper()
	in := &sdk.CreateConnectorInput{
		AccessRole: aws.String(role), Url: aws.String("sftp://partner.example"),
		SftpConfig: &types.SftpConnectorConfig{UserSecretId: aws.String("acme"), TrustedHostKeys: []string{hostKey}},
	}
	for _, f := range change {
		f(in)
	}
	out, err := s.sdk.CreateConnector(t.Context(), in)
	require.NoError(t, err)
	require.Regexp(t, `^c-[0-9a-f]{17}$`, *out.ConnectorId)
	return out.ConnectorId
}

func describe(t *testing.T, s *service, id *string) types.DescribedConnector {
	t.Helper()
	out, err := s.sdk.DescribeConnector(t.Context(), &sdk.DescribeConnectorInput{ConnectorId: id})
	require.NoError(t, err)
	return *out.Connector
}

// TestLifeOfAConnector creates, describes, changes, uses and deletes one, with AWS's SDK and AWS's limits.
func TestLifeOfAConnector(t *testing.T) {
	t.Parallel()
	s := setup(t, func(c *awsapi.Config) { c.Strict, c.Region, c.AccountID = true, "us-east-1", "123456789012" })
	id := createSFTP(t, s, func(in *sdk.CreateConnectorInput) {
		in.LoggingRole, in.SecurityPolicyName = aws.String(role+"-log"), aws.String("TransferSFTPConnectorSecurityPolicy-2024-03")
		in.SftpConfig.MaxConcurrentConnections = aws.Int32(5)
		in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("edi")}, {Key: aws.String("env"), Value: aws.String("")}}
		in.IpAddressType = types.ConnectorsIpAddressTypeIpv4
	})
	want := types.DescribedConnector{
		Arn: aws.String("arn:aws:transfer:us-east-1:123456789012:connector/" + *id), ConnectorId: id, Url: aws.String("sftp://partner.example"),
		AccessRole: aws.String(role), LoggingRole: aws.String(role + "-log"), SecurityPolicyName: aws.String("TransferSFTPConnectorSecurityPolicy-2024-03"),
		SftpConfig: &types.SftpConnectorConfig{UserSecretId: aws.String("acme"), TrustedHostKeys: []string{hostKey}, MaxConcurrentConnections: aws.Int32(5)},
		EgressType: types.ConnectorEgressTypeServiceManaged, Status: types.ConnectorStatusActive,
		Tags: []types.Tag{{Key: aws.String("env"), Value: aws.String("")}, {Key: aws.String("team"), Value: aws.String("edi")}},
	}
	require.Equal(t, want, describe(t, s, id))

	updated, err := s.sdk.UpdateConnector(t.Context(), &sdk.UpdateConnectorInput{
		ConnectorId: id, SftpConfig: &types.SftpConnectorConfig{TrustedHostKeys: []string{}}, LoggingRole: aws.String(role),
	})
	require.NoError(t, err)
	require.Equal(t, id, updated.ConnectorId)
	want.SftpConfig.TrustedHostKeys, want.LoggingRole = []string{}, aws.String(role)
	require.Equal(t, want, describe(t, s, id), "what an update does not name stays")

	s.local.WriteFile("/bucket/a.csv", []byte("a"))
	started, err := s.sdk.StartFileTransfer(t.Context(), &sdk.StartFileTransferInput{ConnectorId: id, SendFilePaths: []string{"/bucket/a.csv"}})
	require.NoError(t, err)
	s.wait(t, started.TransferId)
	results, err := s.sdk.ListFileTransferResults(t.Context(), &sdk.ListFileTransferResultsInput{ConnectorId: id, TransferId: started.TransferId})
	require.NoError(t, err)
	require.Equal(t, types.TransferTableStatusCompleted, results.FileTransferResults[0].StatusCode)

	_, err = s.sdk.DeleteConnector(t.Context(), &sdk.DeleteConnectorInput{ConnectorId: id})
	require.NoError(t, err)
	_, err = s.sdk.DescribeConnector(t.Context(), &sdk.DescribeConnectorInput{ConnectorId: id})
	var missing *types.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)
	require.Equal(t, *id, *missing.Resource)
	require.Equal(t, "Connector", *missing.ResourceType)
	_, err = s.sdk.DeleteConnector(t.Context(), &sdk.DeleteConnectorInput{ConnectorId: id})
	require.ErrorAs(t, err, &missing)
}

// TestListConnectors goes through all pages with the SDK's own paginator. One connector is that of the Config.
func TestListConnectors(t *testing.T) {
	t.Parallel()
	s := setup(t)
	want := map[string]string{acme: "sftp://alice@partner.example"}
	for i := range 12 {
		url := fmt.Sprintf("sftp://partner-%d.example", i)
		want[*createSFTP(t, s, func(in *sdk.CreateConnectorInput) { in.Url = aws.String(url) })] = url
	}
	for _, limit := range []int32{0, 1, 5, 13, 1000} {
		pages := sdk.NewListConnectorsPaginator(s.sdk, &sdk.ListConnectorsInput{}, func(o *sdk.ListConnectorsPaginatorOptions) { o.Limit = limit })
		listed := make(map[string]string)
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			require.NoError(t, err)
			for _, c := range page.Connectors {
				require.NotContains(t, listed, *c.ConnectorId)
				require.Equal(t, "arn:aws:transfer:us-east-1:000000000000:connector/"+*c.ConnectorId, *c.Arn)
				listed[*c.ConnectorId] = *c.Url
			}
		}
		require.Equal(t, want, listed, "pages of %d", limit)
	}

	_, err := s.sdk.ListConnectors(t.Context(), &sdk.ListConnectorsInput{NextToken: aws.String("bad")})
	var bad *types.InvalidNextTokenException
	require.ErrorAs(t, err, &bad)
	requireStatus(t, err, http.StatusBadRequest)
	require.Contains(t, *bad.Message, "NextToken")
}

// TestConnection: a failed test is an answer, and no exception.
func TestConnection(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := createSFTP(t, s)
	out, err := s.sdk.TestConnection(t.Context(), &sdk.TestConnectionInput{ConnectorId: id})
	require.NoError(t, err)
	require.Equal(t, *id, *out.ConnectorId)
	require.Equal(t, "OK", *out.Status)
	require.Equal(t, "Connection succeeded", *out.StatusMessage)
	require.Equal(t, hostKey, *out.SftpConnectionDetails.HostKey)

	s.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Err: &transfer.Error{Op: "dial", Path: "partner.example:22", Code: transfer.HostNotFound}})
	out, err = s.sdk.TestConnection(t.Context(), &sdk.TestConnectionInput{ConnectorId: id})
	require.NoError(t, err)
	require.Equal(t, "ERROR", *out.Status)
	require.Contains(t, *out.StatusMessage, "HOST_NOT_FOUND")
	require.Equal(t, hostKey, *out.SftpConnectionDetails.HostKey)
}

// TestAs2Config: it goes to the Protocol in AWS's shape, and members that an update does not name stay.
func TestAs2Config(t *testing.T) {
	t.Parallel()
	s := setup(t)
	out, err := s.sdk.CreateConnector(t.Context(), &sdk.CreateConnectorInput{
		AccessRole: aws.String(role), Url: aws.String("https://partner.example/as2"),
		As2Config: &types.As2ConnectorConfig{
			LocalProfileId: aws.String("p-0123456789abcdef0"), PartnerProfileId: aws.String("p-0123456789abcdef1"), MessageSubject: aws.String("Invoices"),
			Compression: types.CompressionEnumZlib, BasicAuthSecretId: aws.String("acme"),
			AsyncMdnConfig: &types.As2AsyncMdnConnectorConfig{Url: aws.String("https://us.example/mdn"), ServerIds: []string{"s-0123456789abcdef0"}},
		},
	})
	require.NoError(t, err)
	_, err = s.sdk.UpdateConnector(t.Context(), &sdk.UpdateConnectorInput{
		ConnectorId: out.ConnectorId, As2Config: &types.As2ConnectorConfig{BasicAuthSecretId: aws.String(""), MdnResponse: types.MdnResponseSync},
	})
	require.NoError(t, err)
	require.Equal(t, &types.As2ConnectorConfig{
		LocalProfileId: aws.String("p-0123456789abcdef0"), PartnerProfileId: aws.String("p-0123456789abcdef1"), MessageSubject: aws.String("Invoices"),
		Compression: types.CompressionEnumZlib, BasicAuthSecretId: aws.String(""), MdnResponse: types.MdnResponseSync,
		AsyncMdnConfig: &types.As2AsyncMdnConnectorConfig{Url: aws.String("https://us.example/mdn"), ServerIds: []string{"s-0123456789abcdef0"}},
	}, describe(t, s, out.ConnectorId).As2Config)
	stored, err := s.client.DescribeConnector(t.Context(), &transfer.DescribeConnectorInput{ConnectorID: *out.ConnectorId})
	require.NoError(t, err)
	require.True(t, json.Valid(stored.Connector.ProtocolConfig))
}

// TestWrongConnectors: what no model says.
func TestWrongConnectors(t *testing.T) {
	t.Parallel()
	s := setup(t)
	sftp := &types.SftpConnectorConfig{UserSecretId: aws.String("acme")}
	for _, test := range []struct {
		name string
		in   sdk.CreateConnectorInput
		want string
	}{
		{"no configuration", sdk.CreateConnectorInput{}, "exactly one configuration object"},
		{"two configurations", sdk.CreateConnectorInput{SftpConfig: sftp, As2Config: &types.As2ConnectorConfig{}}, "exactly one configuration object"},
		{"egress", sdk.CreateConnectorInput{SftpConfig: sftp, EgressConfig: &types.ConnectorEgressConfigMemberVpcLattice{Value: types.ConnectorVpcLatticeEgressConfig{ResourceConfigurationArn: aws.String("arn:aws:vpc-lattice:us-east-1:123456789012:resourceconfiguration/rcfg-0123456789abcdefg")}}}, "EgressConfig is not supported"},
		{"key twice", sdk.CreateConnectorInput{SftpConfig: sftp, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("1")}, {Key: aws.String("k"), Value: aws.String("2")}}}, "Tags has the key 'k' twice"},
		{"no secret", sdk.CreateConnectorInput{SftpConfig: &types.SftpConnectorConfig{}}, "UserSecretID"},
		{"no URL", sdk.CreateConnectorInput{SftpConfig: sftp, Url: aws.String("")}, "URL"},
		{"unknown scheme", sdk.CreateConnectorInput{SftpConfig: sftp, Url: aws.String("ftp://partner.example")}, "scheme"},
		{"refused by the protocol", sdk.CreateConnectorInput{SftpConfig: sftp, SecurityPolicyName: aws.String("TransferSFTPConnectorSecurityPolicy-none")}, "SecurityPolicyName"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.in.AccessRole = aws.String(role)
			if test.in.Url == nil {
				test.in.Url = aws.String("sftp://partner.example")
			}
			_, err := s.sdk.CreateConnector(t.Context(), &test.in)
			var invalid *types.InvalidRequestException
			require.ErrorAs(t, err, &invalid)
			require.Contains(t, *invalid.Message, test.want)
		})
	}
	_, err := s.sdk.UpdateConnector(t.Context(), &sdk.UpdateConnectorInput{ConnectorId: aws.String(acme), Url: aws.String("sftp://other.example")})
	var invalid *types.InvalidRequestException
	require.ErrorAs(t, err, &invalid, "it is changed in transfer.Config")
	_, err = s.sdk.UpdateConnector(t.Context(), &sdk.UpdateConnectorInput{ConnectorId: aws.String(acme), SftpConfig: sftp, As2Config: &types.As2ConnectorConfig{}})
	require.ErrorAs(t, err, &invalid)
	require.Contains(t, *invalid.Message, "at most one configuration object")
}

// TestConnectorsWithoutAStore: each operation, when the store is away.
func TestConnectorsWithoutAStore(t *testing.T) {
	t.Parallel()
	client, err := transfer.New(transfer.Config{Store: closedStore(t), Protocols: map[string]transfer.Protocol{"sftp": protocol{}}})
	require.NoError(t, err)
	h := newHandler(t, client, func(c *awsapi.Config) { c.AccessKeys = awsapi.NoSignature })
	for operation, body := range map[string]string{
		"CreateConnector":         `{"AccessRole":"` + role + `","Url":"sftp://x.example","SftpConfig":{"UserSecretId":"acme"}}`,
		"UpdateConnector":         `{"ConnectorId":"c-0123456789abcdef0","Url":"sftp://x.example"}`,
		"DescribeConnector":       `{"ConnectorId":"c-0123456789abcdef0"}`,
		"DeleteConnector":         `{"ConnectorId":"c-0123456789abcdef0"}`,
		"TestConnection":          `{"ConnectorId":"c-0123456789abcdef0"}`,
		"ListConnectors":          `{}`,
		"StartFileTransfer":       `{"ConnectorId":"c-0123456789abcdef0","SendFilePaths":["/a"]}`,
		"ListFileTransferResults": `{"ConnectorId":"c-0123456789abcdef0","TransferId":"x"}`,
		"StartDirectoryListing":   `{"ConnectorId":"c-0123456789abcdef0","RemoteDirectoryPath":"/","OutputDirectoryPath":"/out"}`,
		"StartRemoteDelete":       `{"ConnectorId":"c-0123456789abcdef0","DeletePath":"/a"}`,
		"StartRemoteMove":         `{"ConnectorId":"c-0123456789abcdef0","SourcePath":"/a","TargetPath":"/b"}`,
	} {
		status, code, message := answerOf(t, h, newRequestFor(t, operation, body))
		require.Equal(t, http.StatusInternalServerError, status, operation)
		require.Equal(t, "ServiceUnavailableException", code, operation)
		require.NotContains(t, message, "closed", operation)
	}
}

func closedStore(t *testing.T) store.Store {
	t.Helper()
	s := store.NewMemory()
	require.NoError(t, s.Close())
	return s
}
