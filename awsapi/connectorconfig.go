package awsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed62b9dc43/transfer"
)

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
