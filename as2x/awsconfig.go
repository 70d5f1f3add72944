package as2x

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/seed62b9dc43/transfer"
)

// AWSConfig is AWS's As2ConnectorConfig, as its API has it in JSON (AWS Transfer API reference, As2ConnectorConfig).
type AWSConfig struct {
	LocalProfileID      string              `json:"LocalProfileId,omitempty"`
	PartnerProfileID    string              `json:"PartnerProfileId,omitempty"`
	MessageSubject      string              `json:"MessageSubject,omitempty"`
	Compression         Compression         `json:"Compression,omitempty"`
	EncryptionAlgorithm EncryptionAlgorithm `json:"EncryptionAlgorithm,omitempty"`
	SigningAlgorithm    SigningAlgorithm    `json:"SigningAlgorithm,omitempty"`
	MDNSigningAlgorithm SigningAlgorithm    `json:"MdnSigningAlgorithm,omitempty"`
	MDNResponse         MDNResponse         `json:"MdnResponse,omitempty"`
	BasicAuthSecretID   string              `json:"BasicAuthSecretId,omitempty"`
	PreserveContentType string              `json:"PreserveContentType,omitempty"` // ENABLED or DISABLED, the default
	AsyncMDN            *AWSAsyncMDN        `json:"AsyncMdnConfig,omitempty"`
}

// AWSAsyncMDN is AWS's As2AsyncMdnConnectorConfig. ServerIDs are names of AWS's servers, which nothing here needs.
type AWSAsyncMDN struct {
	URL       string   `json:"Url,omitempty"`
	ServerIDs []string `json:"ServerIds,omitempty"`
}

// Profiles are what an AWSConfig names by id.
type Profiles struct {
	Local   map[string]Local
	Partner map[string]Partner
	// Secret returns the text of a secret: {"Username":"…","Password":"…"}. It is asked for each message.
	Secret func(ctx context.Context, id string) (string, error)
}

// ParseAWSConfig reads the JSON of an As2ConnectorConfig. Members that AWS does not have are refused.
func ParseAWSConfig(text []byte) (AWSConfig, error) {
	var a AWSConfig
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return AWSConfig{}, fmt.Errorf("as2x: read As2ConnectorConfig: %w", err)
	}
	return a, nil
}

// Apply returns base, such as what is the same for all partners, with what a says: profiles and BasicAuth replace those of
// base, other values where a has them. New checks the result. Errors name each id that profiles do not know.
func (a AWSConfig) Apply(base Config, profiles Profiles) (Config, error) {
	var errs []error
	c := a.apply(base, profiles, func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("as2x: As2ConnectorConfig."+field+" "+format, args...))
	})
	return c, errors.Join(errs...)
}

func (a AWSConfig) apply(c Config, profiles Profiles, wrong wrongFunc) Config {
	var ok bool
	if c.Local, ok = profiles.Local[a.LocalProfileID]; !ok {
		wrong("LocalProfileId", "%q is not known (add it to Profiles.Local)", a.LocalProfileID)
	}
	if c.Partner, ok = profiles.Partner[a.PartnerProfileID]; !ok {
		wrong("PartnerProfileId", "%q is not known (add it to Profiles.Partner)", a.PartnerProfileID)
	}
	override(&c.MessageSubject, a.MessageSubject)
	override(&c.Compression, a.Compression)
	override(&c.EncryptionAlgorithm, a.EncryptionAlgorithm)
	override(&c.SigningAlgorithm, a.SigningAlgorithm)
	override(&c.MDNSigningAlgorithm, a.MDNSigningAlgorithm)
	override(&c.MDNResponse, a.MDNResponse)
	if a.AsyncMDN != nil {
		override(&c.AsyncMDNURL, a.AsyncMDN.URL)
	}
	switch a.PreserveContentType {
	case "":
	case "ENABLED", "DISABLED":
		c.PreserveContentType = a.PreserveContentType == "ENABLED"
	default:
		wrong("PreserveContentType", "is %q (use ENABLED or DISABLED)", a.PreserveContentType)
	}
	c.BasicAuth = nil
	if a.BasicAuthSecretID != "" {
		c.BasicAuth = profiles.basicAuth(a.BasicAuthSecretID)
		if profiles.Secret == nil {
			wrong("BasicAuthSecretId", "is %q, and Profiles.Secret is nil (set it)", a.BasicAuthSecretID)
		}
	}
	return c
}

func override[T comparable](field *T, value T) {
	var zero T
	if value != zero {
		*field = value
	}
}

// basicAuth fetches user and password. What is in the secret is never in an error.
func (p Profiles) basicAuth(id string) func(context.Context) (string, string, error) {
	return func(ctx context.Context) (string, string, error) {
		text, err := p.Secret(ctx, id)
		if err != nil {
			return "", "", fmt.Errorf("get secret %s: %w", id, err)
		}
		var secret struct{ Username, Password string }
		if json.Unmarshal([]byte(text), &secret) != nil || secret.Username == "" {
			return "", "", &transfer.Error{Op: "read secret", Path: id, Code: transfer.CredentialsFailed,
				Err: errors.New(`it is not {"Username":"…","Password":"…"}`)}
		}
		return secret.Username, secret.Password, nil
	}
}
