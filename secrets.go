package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Secrets fetches credentials when they are needed. What it returns is used and let go, never kept, stored or logged.
// Whoever may create or update a connector chooses the server that a secret goes to, and may choose any secret there is:
// give a Secrets that holds those of partners only.
// Methods MUST be safe for concurrent use and return once ctx has ended.
type Secrets interface {
	// Secret returns the secret with this id. For connectors it is a JSON object in the shape of AWS's:
	// {"Username": "…", "Password": "…", "PrivateKey": "…"}, and, not AWS's, "PrivateKeyPassphrase" and "Certificate". A
	// missing secret is an error that wraps fs.ErrNotExist. Errors MUST NOT hold any part of a secret: they are logged
	// and shown.
	Secret(ctx context.Context, id string) ([]byte, error)
}

// maxSecret is how many bytes a secret may have (AWS Secrets Manager: 65,536).
const maxSecret = 64 << 10

// SecretsDir returns the secrets in a directory: the one with the id "acme" is the content of the file acme. An id may
// have slashes, and never leads out of the directory, by ".." or by a link neither. Files are read at each call, so that
// one that is replaced is used from then on.
func SecretsDir(path string) Secrets { return secretsDir(path) }

type secretsDir string

func (d secretsDir) Secret(ctx context.Context, id string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, fmt.Errorf("open the directory of secrets: %w", err)
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open(strings.TrimPrefix(id, "/"))
	if err != nil {
		return nil, fmt.Errorf("secret %q: %w", id, err)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("secret %q: not a regular file", id)
	}
	secret, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return nil, fmt.Errorf("secret %q: %w", id, err)
	}
	if len(secret) > maxSecret {
		return nil, fmt.Errorf("secret %q: more than %d bytes", id, maxSecret)
	}
	return secret, nil
}

// SecretsEnv returns secrets from the environment: the one with the id "sftp/acme" is, with the prefix "SECRET_", the value
// of SECRET_SFTP_ACME. Letters are made upper case; whatever is neither letter nor digit becomes an underscore.
func SecretsEnv(prefix string) Secrets { return secretsEnv(prefix) }

type secretsEnv string

func (e secretsEnv) Secret(ctx context.Context, id string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name := string(e) + strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, id)
	value, ok := os.LookupEnv(name)
	if !ok {
		return nil, fmt.Errorf("secret %q: no environment variable %s: %w", id, name, fs.ErrNotExist)
	}
	return []byte(value), nil
}

// noSecrets is what there is without Config.Secrets.
type noSecrets struct{}

func (noSecrets) Secret(_ context.Context, id string) ([]byte, error) {
	return nil, fmt.Errorf("secret %q: %w (Config.Secrets is nil: try transfer.SecretsDir)", id, errors.ErrUnsupported)
}
