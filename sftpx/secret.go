package sftpx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
)

// credentials returns who logs in and how, for one connection.
func (c *Connector) credentials(ctx context.Context) (Credentials, error) {
	if c.cfg.Credentials == nil {
		return Credentials{c.cfg.User, c.cfg.Auth}, nil
	}
	failed := func(code transfer.Code, err error) error {
		return &transfer.Error{Op: "connect", Path: c.cfg.Addr, Code: code, Err: fmt.Errorf("get the credentials: %w", err)}
	}
	account, err := c.cfg.Credentials(ctx)
	if err != nil {
		switch code := transfer.CodeOf(err); code {
		case transfer.FileNotFound, transfer.PermissionDenied, transfer.UnsupportedOperationError, transfer.PathEscapes:
			return account, failed(transfer.AuthenticationFailed, err) // nobody can log in before somebody changes that
		case transfer.UnknownError:
			return account, failed(transfer.ConnectionError, err)
		default:
			return account, failed(code, err)
		}
	}
	var problems []error
	account.validate(func(field, format string, args ...any) {
		problems = append(problems, fmt.Errorf(field+" "+format, args...))
	})
	if len(problems) > 0 {
		return account, failed(transfer.AuthenticationFailed, errors.Join(problems...))
	}
	return account, nil
}

// userSecret is a secret in the shape of AWS's (Transfer Family User Guide, "Store authentication credentials in AWS Secrets
// Manager"); the last two fields are ours.
type userSecret struct {
	Username             string
	Password             string
	PrivateKey           string
	PrivateKeyPassphrase string
	Certificate          string // a line as in id_ed25519-cert.pub
}

// parseSecret reads a secret. Its errors hold no part of it.
func parseSecret(id string, text []byte) (Credentials, error) {
	wrong := func(problem string) (Credentials, error) {
		return Credentials{}, &transfer.Error{Op: "read secret", Path: id, Code: transfer.AuthenticationFailed, Err: errors.New(problem)}
	}
	var s userSecret
	if err := json.Unmarshal(text, &s); err != nil {
		return wrong(`it is not a JSON object of texts (want {"Username": "…", "Password": "…", "PrivateKey": "…"})`)
	}
	account := Credentials{User: s.Username}
	switch {
	case s.Username == "":
		return wrong("it has no Username")
	case s.Password == "" && s.PrivateKey == "":
		return wrong("it has neither Password nor PrivateKey")
	case s.PrivateKey == "" && (s.PrivateKeyPassphrase != "" || s.Certificate != ""):
		return wrong("it has a PrivateKeyPassphrase or a Certificate, but no PrivateKey")
	}
	if s.PrivateKey != "" {
		signer, problem := s.signer()
		if problem != "" {
			return wrong(problem)
		}
		account.Auth = append(account.Auth, PublicKey(signer))
	}
	if s.Password != "" {
		account.Auth = append(account.Auth, Password(func(context.Context) (string, error) { return s.Password, nil }))
	}
	return account, nil
}

// signer returns the private key, or what is wrong with it, in words that hold no part of it.
func (s *userSecret) signer() (ssh.Signer, string) {
	key := s.PrivateKey
	if !strings.Contains(key, "\n") {
		key = strings.ReplaceAll(key, `\n`, "\n") // escaped twice, as happens on the way through environment variables
	}
	signer, err := ParsePrivateKey([]byte(key), []byte(s.PrivateKeyPassphrase))
	missing := (*ssh.PassphraseMissingError)(nil)
	switch {
	case errors.As(err, &missing) || err != nil && s.PrivateKeyPassphrase == "" && strings.Contains(err.Error(), "protected"):
		return nil, "its PrivateKey is protected (add a PrivateKeyPassphrase)"
	case err != nil && s.PrivateKeyPassphrase != "":
		return nil, "its PrivateKey cannot be read (is the PrivateKeyPassphrase the right one?)"
	case err != nil:
		return nil, "its PrivateKey cannot be read (want a PEM block in OpenSSH's format, PKCS #1, PKCS #8 or SEC 1)"
	}
	if s.Certificate == "" {
		return signer, ""
	}
	certified, err := Certificate(signer, []byte(s.Certificate))
	if err != nil {
		return nil, "its Certificate is none for its PrivateKey (want the line of …-cert.pub)"
	}
	return certified, ""
}
