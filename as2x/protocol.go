package as2x

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed62b9dc43/transfer"
)

// Protocol returns what makes connectors of definitions in a Store, for transfer.Config.Protocols:
//
//	p := as2x.Protocol(base, profiles)
//	transfer.Config{Protocols: map[string]transfer.Protocol{"https": p, "http": p}}
//
// A definition's ProtocolConfig is AWS's As2ConnectorConfig (see [AWSConfig]) with the ids of profiles, and the secret that
// BasicAuthSecretId names is fetched for each message (see transfer.Secrets). base says what a definition leaves open,
// such as Results, Records and limits of time; its URL, Local, Partner, BasicAuth, Name, Retry and Limits are not used, and
// neither is Profiles.Secret. A definition without Retry stands for the Client's.
//
// AWS keeps profiles and certificates by an API of its own, which there is none of here: they are the program's, the same
// on all nodes, and must not be changed while the Protocol is in use. A certificate of the future can be among them, since
// it counts from its Active on. A definition that names a profile which a node does not have is ERRORED there.
func Protocol(base Config, profiles Profiles) transfer.Protocol { return protocol{base, profiles} }

type protocol struct {
	base     Config
	profiles Profiles
}

var _ transfer.OpenedConnector = (*Connector)(nil)

// Check implements [transfer.Protocol].
func (p protocol) Check(d *transfer.ConnectorDefinition) []transfer.InvalidField {
	_, wrong := p.config(d, nil)
	return wrong
}

// Open implements [transfer.Protocol].
func (p protocol) Open(d *transfer.ConnectorDefinition, secrets transfer.Secrets) (transfer.OpenedConnector, error) {
	cfg, wrong := p.config(d, secrets)
	if len(wrong) > 0 {
		return nil, fmt.Errorf("as2x: %s %s", wrong[0].Name, wrong[0].Problem)
	}
	return New(cfg)
}

// config returns the Config of a definition, or what is wrong with the definition. It fetches no secret.
func (p protocol) config(d *transfer.ConnectorDefinition, secrets transfer.Secrets) (Config, []transfer.InvalidField) {
	var fields wrongFields
	if d.SecurityPolicyName != "" {
		fields.add("SecurityPolicyName", "is not for AS2 (leave it out)")
	}
	if len(d.ProtocolConfig) == 0 {
		fields.add("ProtocolConfig", "is required (give AWS's As2ConnectorConfig)")
		return Config{}, fields
	}
	a, err := ParseAWSConfig(d.ProtocolConfig)
	if err != nil {
		fields.add("ProtocolConfig", "cannot be read: %s", strings.TrimPrefix(err.Error(), "as2x: "))
		return Config{}, fields
	}
	if strings.HasPrefix(strings.TrimSpace(a.BasicAuthSecretID), "{") {
		fields.add("ProtocolConfig.BasicAuthSecretId", "is JSON (give the id of the secret, not its content)")
	}
	profiles := p.profiles
	profiles.Secret = func(ctx context.Context, id string) (string, error) {
		text, err := secrets.Secret(ctx, id)
		return string(text), err
	}
	base := p.base
	base.URL, base.Name, base.Retry, base.Limits = d.URL, d.Partner, d.Retry, d.Limits
	cfg := a.apply(base, profiles, func(field, format string, args ...any) { fields.add("ProtocolConfig."+field, format, args...) })
	cfg.withDefaults().check(fields.addConfig)
	return cfg, fields
}

// wrongFields are what is wrong with a definition.
type wrongFields []transfer.InvalidField

func (w *wrongFields) add(name, format string, args ...any) {
	*w = append(*w, transfer.InvalidField{Name: name, Problem: fmt.Sprintf(format, args...)})
}

// addConfig adds a wrong field of Config under the name that it has in a definition. Of a profile that is not known,
// nothing else is said.
func (w *wrongFields) addConfig(field, format string, args ...any) {
	side, rest, _ := strings.Cut(field, ".")
	if id, ok := profileFields[side]; ok {
		if !w.has(id) {
			w.add(id, "names a profile whose "+rest+" "+format, args...)
		}
		return
	}
	if name, ok := definitionFields[field]; ok {
		w.add(name, format, args...)
		return
	}
	w.add("ProtocolConfig", "does not go with the Config that the program gives to as2x.Protocol: "+field+" "+format, args...)
}

func (w *wrongFields) has(name string) bool {
	for _, f := range *w {
		if f.Name == name && !strings.HasPrefix(f.Problem, "names") {
			return true
		}
	}
	return false
}

// profileFields and definitionFields are the names that fields of Config have in a definition.
var (
	profileFields = map[string]string{
		"Local":   "ProtocolConfig.LocalProfileId",
		"Partner": "ProtocolConfig.PartnerProfileId",
	}
	definitionFields = map[string]string{
		"URL":                 "URL",
		"MessageSubject":      "ProtocolConfig.MessageSubject",
		"Compression":         "ProtocolConfig.Compression",
		"EncryptionAlgorithm": "ProtocolConfig.EncryptionAlgorithm",
		"SigningAlgorithm":    "ProtocolConfig.SigningAlgorithm",
		"MDNSigningAlgorithm": "ProtocolConfig.MdnSigningAlgorithm",
		"MDNResponse":         "ProtocolConfig.MdnResponse",
		"AsyncMDNURL":         "ProtocolConfig.AsyncMdnConfig.Url",
		"BasicAuth":           "ProtocolConfig.BasicAuthSecretId",
	}
)
