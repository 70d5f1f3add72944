package transfer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a definition (AWS API reference, data types of connectors; the last three are ours).
const (
	maxURL            = 255
	maxSecretID       = 2048
	maxHostKeys       = 10
	maxHostKey        = 2048
	maxRole           = 2048
	maxTags           = 50
	maxTagKey         = 128
	maxTagValue       = 256
	maxDescription    = 1024
	maxProtocolConfig = 64 << 10
)

const schemeSFTP = "sftp"

// CheckDefinition returns nil, or one InvalidRequestException with all that is wrong with a definition, as CreateConnector
// would. It is for programs that make connectors of definitions themselves, by Protocol.Open, for Config.Connectors.
func CheckDefinition(d *ConnectorDefinition, protocols map[string]Protocol) error {
	_, err := (&Config{Protocols: protocols}).checkDefinition(d)
	return err
}

// checkDefinition returns the Protocol of a definition, or one error with all that is wrong with it.
func (c *Config) checkDefinition(d *ConnectorDefinition) (Protocol, error) {
	var p problems
	scheme := p.url(d.URL)
	protocol := c.Protocols[scheme]
	if scheme != "" && protocol == nil {
		p.add("URL", d.URL, "has a scheme that is not known (Config.Protocols has %s)", quotedKeys(c.Protocols))
	}
	p.sftpConfig(scheme, d.SftpConfig)
	if len(d.ProtocolConfig) > 0 && scheme == schemeSFTP {
		p.add("ProtocolConfig", "", "is not for connectors with the scheme sftp (use SftpConfig)")
	}
	p.object("ProtocolConfig", d.ProtocolConfig)
	p.tags(d.Tags)
	p.text("AccessRole", d.AccessRole, 0, maxRole)
	p.text("LoggingRole", d.LoggingRole, 0, maxRole)
	p.text("SecurityPolicyName", d.SecurityPolicyName, 0, maxRole)
	p.text("Partner", d.Partner, 0, maxNameLength)
	p.text("Description", d.Description, 0, maxDescription)
	wrong := func(is bool, format string, args ...any) {
		if is {
			field, problem, _ := strings.Cut(fmt.Sprintf(format, args...), " ")
			p.add(field, "", "%s", problem)
		}
	}
	if d.Retry != nil {
		d.Retry.check("Retry", wrong)
	}
	if d.Limits != nil {
		d.Limits.check("Limits", wrong)
		d.Limits.checkZones("Limits", wrong)
	}
	if len(p) == 0 {
		p = protocol.Check(d)
	}
	return protocol, p.err()
}

// url checks a URL and returns its scheme, or "". What may be a password is not shown.
func (p *problems) url(text string) (scheme string) {
	const fix = `(give one like "sftp://sftp.example.com:2222")`
	if strings.Contains(text, "@") {
		p.add("URL", "", "names a user or has an @ (user and credentials belong into the secret)")
		return ""
	}
	if !p.text("URL", text, 1, maxURL) {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Opaque != "" || u.Hostname() == "" {
		p.add("URL", text, "is not a URL of a server %s", fix)
		return ""
	}
	if port, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || port < 1 || port > 65535) || strings.HasSuffix(u.Host, ":") {
		p.add("URL", text, "has a port that is not a number from 1 to 65535 %s", fix)
	}
	if u.Scheme == schemeSFTP && (u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "") {
		p.add("URL", text, "has more than a scheme, a host and a port %s", fix)
	}
	return u.Scheme
}

func (p *problems) sftpConfig(scheme string, c *SftpConnectorConfig) {
	if c == nil {
		if scheme == schemeSFTP {
			p.add("SftpConfig", "", "is required for a URL with the scheme sftp (give at least UserSecretID)")
		}
		return
	}
	if scheme != schemeSFTP && scheme != "" {
		p.add("SftpConfig", "", "is for URLs with the scheme sftp (use ProtocolConfig)")
	}
	if strings.HasPrefix(strings.TrimSpace(c.UserSecretID), "{") {
		p.add("SftpConfig.UserSecretID", "", "is JSON (give the id of the secret, not its content)")
	} else {
		p.text("SftpConfig.UserSecretID", c.UserSecretID, 1, maxSecretID)
	}
	if len(c.TrustedHostKeys) > maxHostKeys {
		p.add("SftpConfig.TrustedHostKeys", "", "has %d keys, more than %d", len(c.TrustedHostKeys), maxHostKeys)
	}
	for i, line := range c.TrustedHostKeys[:min(len(c.TrustedHostKeys), maxHostKeys)] {
		field := fmt.Sprintf("SftpConfig.TrustedHostKeys[%d]", i)
		if strings.Contains(line, "PRIVATE KEY") {
			p.add(field, "", "is a private key (give the server's public key, a line as ssh-keyscan prints it)")
			continue
		}
		p.text(field, strings.TrimRight(line, "\r\n"), 1, maxHostKey)
	}
	if c.MaxConcurrentConnections < 0 {
		p.add("SftpConfig.MaxConcurrentConnections", fmt.Sprint(c.MaxConcurrentConnections), "is negative (use 1 or more, or 0 for the default)")
	}
	p.object("SftpConfig.Profile", c.Profile)
}

// object checks that a text, if there is one, is a JSON object. It is not shown: what is wrong there may be a secret.
func (p *problems) object(name string, text json.RawMessage) {
	switch trimmed := bytes.TrimSpace(text); {
	case len(text) == 0:
	case len(text) > maxProtocolConfig:
		p.add(name, "", "has %d bytes, more than %d", len(text), maxProtocolConfig)
	case !bytes.HasPrefix(trimmed, []byte("{")) || !json.Valid(text) || !utf8.Valid(text):
		p.add(name, "", "is not a JSON object")
	}
}

func (p *problems) tags(tags map[string]string) {
	if len(tags) > maxTags {
		p.add("Tags", "", "has %d entries, more than %d", len(tags), maxTags)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		name := fmt.Sprintf("Tags[%q]", shorten(key, maxShownValue))
		if !validText(key, 0, maxTagKey) {
			p.add(name, "", "has a wrong key (use up to %d characters of one line)", maxTagKey)
		}
		p.text(name, tags[key], 0, maxTagValue)
	}
}
