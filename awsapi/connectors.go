package awsapi

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed62b9dc43/transfer"
)

type createConnectorRequest struct {
	AccessRole         *string       `json:"AccessRole" shape:"Role,required"`
	URL                *string       `json:"Url" shape:"Url"`
	SftpConfig         *sftpConfig   `json:"SftpConfig" shape:"SftpConfig"`
	As2Config          *as2Config    `json:"As2Config" shape:"As2Config"`
	LoggingRole        *string       `json:"LoggingRole" shape:"Role"`
	Tags               []tag         `json:"Tags" shape:"Tags"`
	SecurityPolicyName *string       `json:"SecurityPolicyName" shape:"SecurityPolicyName"`
	EgressConfig       *egressConfig `json:"EgressConfig" shape:"EgressConfig"`
	IPAddressType      *string       `json:"IpAddressType" shape:"IpAddressType"`
}

type updateConnectorRequest struct {
	ConnectorID        *string       `json:"ConnectorId" shape:"ConnectorId,required"`
	AccessRole         *string       `json:"AccessRole" shape:"Role"`
	URL                *string       `json:"Url" shape:"Url"`
	SftpConfig         *sftpConfig   `json:"SftpConfig" shape:"SftpConfig"`
	As2Config          *as2Config    `json:"As2Config" shape:"As2Config"`
	LoggingRole        *string       `json:"LoggingRole" shape:"Role"`
	SecurityPolicyName *string       `json:"SecurityPolicyName" shape:"SecurityPolicyName"`
	EgressConfig       *egressConfig `json:"EgressConfig" shape:"EgressConfig"`
	IPAddressType      *string       `json:"IpAddressType" shape:"IpAddressType"`
}

type sftpConfig struct {
	UserSecretID             *string  `json:"UserSecretId,omitempty" shape:"SecretId"`
	TrustedHostKeys          []string `json:"TrustedHostKeys,omitzero" shape:"TrustedHostKeys"`
	MaxConcurrentConnections *int32   `json:"MaxConcurrentConnections,omitempty" shape:"MaxConnections"`
}

type as2Config struct {
	LocalProfileID      *string         `json:"LocalProfileId,omitempty" shape:"ProfileId"`
	PartnerProfileID    *string         `json:"PartnerProfileId,omitempty" shape:"ProfileId"`
	MessageSubject      *string         `json:"MessageSubject,omitempty" shape:"MessageSubject"`
	Compression         *string         `json:"Compression,omitempty" shape:"Compression"`
	EncryptionAlgorithm *string         `json:"EncryptionAlgorithm,omitempty" shape:"EncryptionAlgorithm"`
	SigningAlgorithm    *string         `json:"SigningAlgorithm,omitempty" shape:"SigningAlgorithm"`
	MdnSigningAlgorithm *string         `json:"MdnSigningAlgorithm,omitempty" shape:"MdnSigningAlgorithm"`
	MdnResponse         *string         `json:"MdnResponse,omitempty" shape:"MdnResponse"`
	BasicAuthSecretID   *string         `json:"BasicAuthSecretId,omitempty" shape:"As2SecretId"`
	PreserveContentType *string         `json:"PreserveContentType,omitempty" shape:"PreserveContentType"`
	AsyncMdnConfig      *asyncMdnConfig `json:"AsyncMdnConfig,omitempty" shape:"AsyncMdnConfig"`
}

type asyncMdnConfig struct {
	URL       *string  `json:"Url,omitempty" shape:"Url"`
	ServerIDs []string `json:"ServerIds,omitempty" shape:"ServerIds"`
}

type egressConfig struct {
	VpcLattice *vpcLattice `json:"VpcLattice" shape:"VpcLattice"`
}

type vpcLattice struct {
	ResourceConfigurationArn *string `json:"ResourceConfigurationArn" shape:"LatticeArn"`
	PortNumber               *int32  `json:"PortNumber" shape:"PortNumber"`
}

type tag struct {
	Key   *string `json:"Key" shape:"TagKey,required"`
	Value *string `json:"Value" shape:"TagValue,required"`
}

// connectorRequest names a connector; three operations need no more.
type connectorRequest struct {
	ConnectorID *string `json:"ConnectorId" shape:"ConnectorId,required"`
}

type connectorResponse struct {
	ConnectorID string `json:"ConnectorId"`
}

func (h *handler) createConnector(ctx context.Context, in *createConnectorRequest) (*connectorResponse, error) {
	if err := refuseEgress(in.EgressConfig); err != nil {
		return nil, err
	}
	if (in.SftpConfig == nil) == (in.As2Config == nil) {
		return nil, invalid("You must specify exactly one configuration object: either for AS2 (As2Config) or SFTP (SftpConfig).")
	}
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	protocolConfig, err := in.As2Config.encode()
	if err != nil {
		return nil, err
	}
	out, err := h.client.CreateConnector(ctx, &transfer.CreateConnectorInput{
		URL:                value(in.URL),
		SftpConfig:         in.SftpConfig.definition(),
		ProtocolConfig:     protocolConfig,
		Tags:               tags,
		AccessRole:         value(in.AccessRole),
		LoggingRole:        value(in.LoggingRole),
		SecurityPolicyName: value(in.SecurityPolicyName),
	})
	if err != nil {
		return nil, err
	}
	return &connectorResponse{out.ConnectorID}, nil
}

func refuseEgress(e *egressConfig) error {
	if e == nil {
		return nil
	}
	return invalid("EgressConfig is not supported: connections go out from the machines that this service runs on (leave it out, and give a Url)")
}

// definition is the Client's form; lists that are empty but there stay so, since they clear what was there before.
func (c *sftpConfig) definition() *transfer.SftpConnectorConfig {
	if c == nil {
		return nil
	}
	return &transfer.SftpConnectorConfig{
		UserSecretID:             value(c.UserSecretID),
		TrustedHostKeys:          c.TrustedHostKeys,
		MaxConcurrentConnections: value(c.MaxConcurrentConnections),
	}
}

// encode is the ProtocolConfig of an AS2 connector: AWS's As2Config as it is.
func (c *as2Config) encode() (json.RawMessage, error) {
	if c == nil {
		return nil, nil
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode As2Config: %w", err)
	}
	return text, nil
}

func tagMap(tags []tag) (map[string]string, error) {
	if len(tags) == 0 {
		return nil, nil
	}
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		if _, twice := m[*t.Key]; twice {
			return nil, invalid(fmt.Sprintf("Tags has the key '%s' twice (give each key once)", shorten(*t.Key)))
		}
		m[*t.Key] = *t.Value
	}
	return m, nil
}

func (h *handler) updateConnector(ctx context.Context, in *updateConnectorRequest) (*connectorResponse, error) {
	if err := refuseEgress(in.EgressConfig); err != nil {
		return nil, err
	}
	if in.SftpConfig != nil && in.As2Config != nil {
		return nil, invalid("You must specify at most one configuration object: either for AS2 (As2Config) or SFTP (SftpConfig).")
	}
	protocolConfig, err := h.mergedAs2Config(ctx, in)
	if err != nil {
		return nil, err
	}
	out, err := h.client.UpdateConnector(ctx, &transfer.UpdateConnectorInput{
		ConnectorID:        value(in.ConnectorID),
		URL:                value(in.URL),
		SftpConfig:         in.SftpConfig.definition(),
		ProtocolConfig:     protocolConfig,
		AccessRole:         in.AccessRole,
		LoggingRole:        in.LoggingRole,
		SecurityPolicyName: in.SecurityPolicyName,
	})
	if err != nil {
		return nil, err
	}
	return &connectorResponse{out.ConnectorID}, nil
}

// mergedAs2Config is the As2Config that an update makes: members that it does not name stay as they are. Of two such
// updates at the same time one may be lost.
func (h *handler) mergedAs2Config(ctx context.Context, in *updateConnectorRequest) (json.RawMessage, error) {
	if in.As2Config == nil {
		return nil, nil
	}
	known, err := h.client.DescribeConnector(ctx, &transfer.DescribeConnectorInput{ConnectorID: value(in.ConnectorID)})
	if err != nil {
		return nil, err
	}
	change, err := in.As2Config.encode()
	if err != nil {
		return nil, err
	}
	merged := parseAs2Config(known.Connector.ProtocolConfig)
	if merged == nil {
		return change, nil
	}
	if err := json.Unmarshal(change, merged); err != nil {
		return nil, fmt.Errorf("merge As2Config: %w", err)
	}
	return merged.encode()
}

// parseAs2Config returns nil for the configuration of another protocol.
func parseAs2Config(text json.RawMessage) *as2Config {
	c := new(as2Config)
	if len(text) == 0 || json.Unmarshal(text, c) != nil {
		return nil
	}
	return c
}

type describeConnectorResponse struct {
	Connector describedConnector `json:"Connector"`
}

type describedConnector struct {
	Arn                string      `json:"Arn"`
	ConnectorID        string      `json:"ConnectorId"`
	URL                string      `json:"Url,omitempty"`
	AccessRole         string      `json:"AccessRole,omitempty"`
	LoggingRole        string      `json:"LoggingRole,omitempty"`
	SecurityPolicyName string      `json:"SecurityPolicyName,omitempty"`
	SftpConfig         *sftpConfig `json:"SftpConfig,omitempty"`
	As2Config          *as2Config  `json:"As2Config,omitempty"`
	EgressType         string      `json:"EgressType"`
	Status             string      `json:"Status"`
	ErrorMessage       string      `json:"ErrorMessage,omitempty"`
	Tags               []tag       `json:"Tags,omitempty"`
}

func (h *handler) describeConnector(ctx context.Context, in *connectorRequest) (*describeConnectorResponse, error) {
	out, err := h.client.DescribeConnector(ctx, &transfer.DescribeConnectorInput{ConnectorID: value(in.ConnectorID)})
	if err != nil {
		return nil, err
	}
	c := &out.Connector
	return &describeConnectorResponse{describedConnector{
		Arn:                h.arn(c.ConnectorID),
		ConnectorID:        c.ConnectorID,
		URL:                c.URL,
		AccessRole:         c.AccessRole,
		LoggingRole:        c.LoggingRole,
		SecurityPolicyName: c.SecurityPolicyName,
		SftpConfig:         newSftpConfig(c.SftpConfig),
		As2Config:          parseAs2Config(c.ProtocolConfig),
		EgressType:         "SERVICE_MANAGED",
		Status:             string(c.Status),
		ErrorMessage:       c.ErrorMessage,
		Tags:               tagList(c.Tags),
	}}, nil
}

// arn is the Amazon Resource Name of a connector, with an account and a region that are Config's.
func (h *handler) arn(connectorID string) string {
	return connectorARN(cmp.Or(h.cfg.Region, defaultRegion), h.cfg.AccountID, connectorID)
}

func newSftpConfig(c *transfer.SftpConnectorConfig) *sftpConfig {
	if c == nil {
		return nil
	}
	out := &sftpConfig{UserSecretID: optional(c.UserSecretID), TrustedHostKeys: make([]string, len(c.TrustedHostKeys)), MaxConcurrentConnections: optional(c.MaxConcurrentConnections)}
	for i, line := range c.TrustedHostKeys {
		out.TrustedHostKeys[i] = strings.TrimSpace(line)
	}
	return out
}

// optional is a member that is left out if it is zero.
func optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func tagList(tags map[string]string) []tag {
	list := make([]tag, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		text := tags[key]
		list = append(list, tag{&key, &text})
	}
	return list
}

type listConnectorsRequest struct {
	MaxResults *int32  `json:"MaxResults" shape:"MaxResults"`
	NextToken  *string `json:"NextToken" shape:"NextToken"`
}

type listConnectorsResponse struct {
	Connectors []listedConnector `json:"Connectors"`
	NextToken  string            `json:"NextToken,omitempty"`
}

type listedConnector struct {
	Arn         string `json:"Arn"`
	ConnectorID string `json:"ConnectorId"`
	URL         string `json:"Url"`
}

func (h *handler) listConnectors(ctx context.Context, in *listConnectorsRequest) (*listConnectorsResponse, error) {
	page, err := h.client.ListConnectors(ctx, &transfer.ListConnectorsInput{MaxResults: value(in.MaxResults), NextToken: value(in.NextToken)})
	if err != nil {
		return nil, err
	}
	out := &listConnectorsResponse{Connectors: make([]listedConnector, len(page.Connectors)), NextToken: page.NextToken}
	for i, c := range page.Connectors {
		out.Connectors[i] = listedConnector{Arn: h.arn(c.ConnectorID), ConnectorID: c.ConnectorID, URL: c.URL}
	}
	return out, nil
}

func (h *handler) deleteConnector(ctx context.Context, in *connectorRequest) (*empty, error) {
	_, err := h.client.DeleteConnector(ctx, &transfer.DeleteConnectorInput{ConnectorID: value(in.ConnectorID)})
	return nil, err
}

type testConnectionResponse struct {
	ConnectorID           string                 `json:"ConnectorId"`
	Status                string                 `json:"Status"`
	StatusMessage         string                 `json:"StatusMessage"`
	SftpConnectionDetails *sftpConnectionDetails `json:"SftpConnectionDetails,omitempty"`
}

type sftpConnectionDetails struct {
	HostKey string `json:"HostKey"`
}

func (h *handler) testConnection(ctx context.Context, in *connectorRequest) (*testConnectionResponse, error) {
	out, err := h.client.TestConnection(ctx, &transfer.TestConnectionInput{ConnectorID: value(in.ConnectorID)})
	if err != nil {
		return nil, err
	}
	answer := &testConnectionResponse{ConnectorID: out.ConnectorID, Status: out.Status, StatusMessage: out.StatusMessage}
	if d := out.SftpConnectionDetails; d != nil {
		answer.SftpConnectionDetails = &sftpConnectionDetails{d.HostKey}
	}
	return answer, nil
}
