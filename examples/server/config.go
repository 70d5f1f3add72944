package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/awsapi"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/waarpapi"
)

// configuration is the file of -config.
type configuration struct {
	Connectors map[string]connector
	Rules      map[string]rule
}

type connector struct {
	URL         string
	Secret      string
	HostKeys    []string
	Connections int32
	Partner     string
	Profile     json.RawMessage // sftpx.Settings
}

type rule struct {
	Direction       string // "send" or "retrieve"
	LocalDirectory  string
	RemoteDirectory string
	Partners        []string
	Overwrite       transfer.Overwrite
}

// readConfig reads the file at path; an empty path is an empty configuration.
func readConfig(path string) (c configuration, err error) {
	if path == "" {
		return c, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("-config: %w", err)
	}
	return c, strictly(path, text, &c)
}

// strictly decodes JSON that must have no other fields.
func strictly(path string, text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// connectors makes those of the configuration. The caller closes them, also after an error.
func (c configuration) connectors(p transfer.Protocol, secrets transfer.Secrets) (made map[string]transfer.Connector, closeAll func() error, err error) {
	made = map[string]transfer.Connector{}
	var closers []func() error
	closeAll = func() error {
		var errs []error
		for _, close := range closers {
			errs = append(errs, close())
		}
		return errors.Join(errs...)
	}
	for name, at := range c.Connectors {
		d := &transfer.ConnectorDefinition{URL: at.URL, Partner: at.Partner, SftpConfig: &transfer.SftpConnectorConfig{
			UserSecretID: at.Secret, TrustedHostKeys: at.HostKeys, MaxConcurrentConnections: at.Connections, Profile: at.Profile,
		}}
		err := transfer.CheckDefinition(d, map[string]transfer.Protocol{"sftp": p})
		if err != nil {
			return made, closeAll, fmt.Errorf("-config: connector %q: %w", name, err)
		}
		opened, err := p.Open(d, secrets)
		if err != nil {
			return made, closeAll, fmt.Errorf("-config: connector %q: %w", name, err)
		}
		made[name] = opened
		closers = append(closers, opened.Close)
	}
	return made, closeAll, nil
}

// rules are the configuration's as Waarp's API takes them.
func (c configuration) rules() (map[string]waarpapi.Rule, error) {
	rules := map[string]waarpapi.Rule{}
	directions := map[string]waarpapi.Direction{"send": waarpapi.Send, "retrieve": waarpapi.Retrieve}
	for name, r := range c.Rules {
		direction, ok := directions[r.Direction]
		if !ok {
			return nil, fmt.Errorf("-config: rule %q: direction is %q (use send or retrieve)", name, r.Direction)
		}
		rules[name] = waarpapi.Rule{
			Direction: direction, LocalDirectory: r.LocalDirectory, RemoteDirectory: r.RemoteDirectory, Partners: r.Partners, Overwrite: r.Overwrite,
		}
	}
	return rules, nil
}

// Names of the secrets that say who may use the service.
const (
	accessKeysFile = "access-keys.json"
	usersFile      = "users.json"
)

// accessKeys returns who may use AWS's API, or nil if there is no such file.
func accessKeys(ctx context.Context, secrets transfer.Secrets) (awsapi.StaticKeys, error) {
	var listed map[string]string
	if found, err := readSecret(ctx, secrets, accessKeysFile, &listed); !found || err != nil {
		return nil, err
	}
	keys := awsapi.StaticKeys{}
	for id, secret := range listed {
		keys[id] = awsapi.AccessKey{SecretKey: secret}
	}
	return keys, nil
}

// users returns who may use Waarp's API, or nil if there is no such file.
func users(ctx context.Context, secrets transfer.Secrets) (waarpapi.StaticUsers, error) {
	var listed map[string]struct {
		Password, PasswordHash string
		Roles                  []string
	}
	if found, err := readSecret(ctx, secrets, usersFile, &listed); !found || err != nil {
		return nil, err
	}
	roles := map[string]waarpapi.Role{"read": waarpapi.RoleRead, "transfer": waarpapi.RoleTransfer, "control": waarpapi.RoleControl}
	all := waarpapi.StaticUsers{}
	for name, u := range listed {
		user := waarpapi.User{Password: u.Password, PasswordHash: u.PasswordHash}
		for _, r := range u.Roles {
			if roles[r] == 0 {
				return nil, fmt.Errorf("%s: user %q: %q is no role (use read, transfer and control)", usersFile, name, r)
			}
			user.Roles |= roles[r]
		}
		all[name] = user
	}
	return all, nil
}

// readSecret reads a secret of the program itself. Its errors show nothing of it.
func readSecret(ctx context.Context, secrets transfer.Secrets, name string, into any) (found bool, err error) {
	text, err := secrets.Secret(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if json.Unmarshal(text, into) != nil {
		return false, fmt.Errorf("%s in -secrets is not what it should be (see the documentation of the program)", name)
	}
	return true, nil
}

// protocols are what connectors may be made for.
func protocols() map[string]transfer.Protocol {
	return map[string]transfer.Protocol{"sftp": sftpx.Protocol(sftpx.Config{})}
}
