package sftpx

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// Protocol returns what makes connectors of definitions in a Store, for transfer.Config.Protocols: {"sftp": Protocol(base)}.
// base says what a definition leaves open, such as Dial, Logger and limits of time; its Addr, User, Partner, Auth,
// Credentials, HostKeys, Retry and Limits are not used.
//
// A definition's URL gives host and port, UserSecretID the secret that is fetched for each connection (see
// transfer.Secrets), MaxConcurrentConnections the limit MaxConnections, and Profile the [Settings]. SecurityPolicyName may be
// that of AWS's TransferSFTPConnectorSecurityPolicy-2024-03, which is DefaultAlgorithms, or -2023-07, LegacyAlgorithms; the
// algorithms are x/crypto/ssh's and not exactly AWS's.
func Protocol(base Config) transfer.Protocol { return protocol{base} }

type protocol struct{ base Config }

var _ transfer.OpenedConnector = (*Connector)(nil)

// Check implements [transfer.Protocol].
func (p protocol) Check(d *transfer.ConnectorDefinition) []transfer.InvalidField {
	_, wrong := p.config(d)
	return wrong
}

// Open implements [transfer.Protocol].
func (p protocol) Open(d *transfer.ConnectorDefinition, secrets transfer.Secrets) (transfer.OpenedConnector, error) {
	cfg, wrong := p.config(d)
	if len(wrong) > 0 {
		return nil, fmt.Errorf("sftpx: %s %s", wrong[0].Name, wrong[0].Problem)
	}
	id := d.SftpConfig.UserSecretID
	cfg.Credentials = func(ctx context.Context) (Credentials, error) {
		text, err := secrets.Secret(ctx, id)
		if err != nil {
			return Credentials{}, err
		}
		return parseSecret(id, text)
	}
	return New(cfg)
}

// securityPolicies are AWS's that mean something here.
var securityPolicies = map[string]Algorithms{
	"TransferSFTPConnectorSecurityPolicy-2024-03": DefaultAlgorithms,
	"TransferSFTPConnectorSecurityPolicy-2023-07": LegacyAlgorithms,
}

// config returns the Config of a definition, but for Credentials, or what is wrong with the definition.
func (p protocol) config(d *transfer.ConnectorDefinition) (Config, []transfer.InvalidField) {
	var fields []transfer.InvalidField
	add := func(name, value, problem string, args ...any) {
		fields = append(fields, transfer.InvalidField{Name: name, Value: value, Problem: fmt.Sprintf(problem, args...)})
	}
	c := p.base
	c.User, c.Auth, c.HostKeys, c.unpinned = "", nil, slices.Clone(d.SftpConfig.TrustedHostKeys), true
	c.Partner, c.Retry, c.Limits = d.Partner, d.Retry, d.Limits
	c.Credentials = func(context.Context) (Credentials, error) { return Credentials{}, errors.New("not fetched here") }
	if u, err := url.Parse(d.URL); err == nil {
		c.Addr = u.Host
	}
	if n := int(d.SftpConfig.MaxConcurrentConnections); n > 0 {
		c.MaxConnections = n
	}
	if name := d.SecurityPolicyName; name != "" {
		algorithms, ok := securityPolicies[name]
		if !ok {
			add("SecurityPolicyName", name, "is not known (use TransferSFTPConnectorSecurityPolicy-2024-03 or -2023-07, or leave it out)")
		}
		c.Algorithms = algorithms
	}
	settings, err := parseSettings(d.SftpConfig.Profile)
	if err != nil {
		add("SftpConfig.Profile", "", "%s", err)
		return c, fields
	}
	settings.apply(&c, func(field, format string, args ...any) { add("SftpConfig.Profile."+field, "", format, args...) })
	full := c.withDefaults()
	_, err = newHostKeys(full)
	for _, text := range texts(errors.Join(full.validate(), err)) {
		field, problem, _ := strings.Cut(strings.TrimPrefix(text, "sftpx: Config."), " ")
		add(definitionField(field), "", "%s", problem)
	}
	return c, fields
}

// definitionField is the name that a field of Config has in a definition.
func definitionField(field string) string {
	name, index, _ := strings.Cut(field, "[")
	switch name {
	case "Addr":
		return "URL"
	case "HostKeys":
		return "SftpConfig.TrustedHostKeys[" + index
	case "MaxConnections":
		return "SftpConfig.MaxConcurrentConnections"
	}
	return "SftpConfig.Profile." + field
}

// texts returns those of all errors that were joined.
func texts(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []string
		for _, e := range joined.Unwrap() {
			all = append(all, texts(e)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []string{err.Error()}
}

var _ transfer.ConnectionTester = (*Connector)(nil)

// TestPartner implements [transfer.ConnectionTester] by TestConnection. The key of a server that is not trusted is found by
// a second connection, which ends before anything is sent.
func (c *Connector) TestPartner(ctx context.Context) transfer.ConnectionTest {
	report, err := c.TestConnection(ctx, nil)
	t := transfer.ConnectionTest{Err: err}
	if report != nil {
		t.Server, t.HostKey = report.Server, report.HostKey
	}
	if transfer.CodeOf(err) != transfer.HostKeyMismatch {
		return t
	}
	ctx, cancel := context.WithTimeout(ctx, c.testTimeout())
	defer cancel()
	if key, unknown := c.offeredKey(ctx); unknown == nil {
		t.HostKey = keyLine(key)
	}
	return t
}

// lookTimeout limits looking at a host key where Config.ConnectTimeout sets no limit.
const lookTimeout = 30 * time.Second

func (c *Connector) testTimeout() time.Duration {
	if limit := c.cfg.ConnectTimeout; limit > 0 {
		return limit
	}
	return lookTimeout
}
