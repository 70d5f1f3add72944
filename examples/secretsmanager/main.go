// Secretsmanager tests the connection to a partner with credentials out of AWS Secrets Manager, in the shape that AWS Transfer
// Family has them: {"Username": "…", "Password": "…", "PrivateKey": "…"}.
//
//	secretsmanager -url sftp://sftp.example.com -secret aws/transfer/acme -host-key "$(ssh-keyscan -t ed25519 sftp.example.com)"
//
// Region and credentials for AWS come from where its SDK looks for them. Exit status 0: the partner let us in. Its Secrets
// works in any program: transfer.Config{Secrets: NewSecrets(secretsmanager.NewFromConfig(cfg))}.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/sftpx"
)

// Secrets are those of AWS Secrets Manager, by name or ARN. Nothing is cached: a secret that was rotated is used from the next
// connection on.
type Secrets struct{ client *secretsmanager.Client }

var _ transfer.Secrets = Secrets{}

// NewSecrets returns the secrets that client may read.
func NewSecrets(client *secretsmanager.Client) Secrets { return Secrets{client} }

// Secret returns the current version of a secret.
func (s Secrets) Secret(ctx context.Context, id string) ([]byte, error) {
	out, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		return nil, fmt.Errorf("secret %q: %w", id, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("secret %q: %w", id, err)
	case out.SecretString != nil:
		return []byte(*out.SecretString), nil
	}
	return out.SecretBinary, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "secretsmanager:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("secretsmanager", flag.ContinueOnError)
	url := flags.String("url", "", "the partner's server, such as sftp://sftp.example.com")
	secret := flags.String("secret", "", "name or ARN of the secret")
	hostKey := flags.String("host-key", "", "the server's key, a line as ssh-keyscan prints it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("configure AWS: %w", err)
	}
	client, err := transfer.New(transfer.Config{
		Protocols: map[string]transfer.Protocol{"sftp": sftpx.Protocol(sftpx.Config{})},
		Secrets:   NewSecrets(secretsmanager.NewFromConfig(cfg)),
	})
	if err != nil {
		return err
	}
	created, err := client.CreateConnector(ctx, &transfer.CreateConnectorInput{
		URL: *url, SftpConfig: &transfer.SftpConnectorConfig{UserSecretID: *secret, TrustedHostKeys: []string{*hostKey}},
	})
	if err != nil {
		return err
	}
	test, err := client.TestConnection(ctx, &transfer.TestConnectionInput{ConnectorID: created.ConnectorID})
	if err != nil {
		return err
	}
	if test.Status != transfer.TestConnectionOK {
		return errors.New(test.StatusMessage)
	}
	_, err = fmt.Fprintln(out, test.StatusMessage)
	return err
}
