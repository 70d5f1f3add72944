package awsapi

import (
	"cmp"
	"context"

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
