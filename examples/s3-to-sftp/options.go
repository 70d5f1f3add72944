package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/s3x"
	"github.com/seed62b9dc43/transfer/sftpx"
)

// Directions, seen from S3.
const (
	send     = "send"
	retrieve = "retrieve"
)

// idleConnections to S3 are kept for reuse; the SDK's 10 would be opened and closed all the time.
const idleConnections = 100

// usageError is a mistake in how the program was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// options are what the command line and the environment say.
type options struct {
	direction string
	to        string
	paths     []string
	overwrite transfer.Overwrite

	host, user  string
	key         string
	hostKeys    []string
	knownHosts  string
	makeDirs    bool
	connections int

	endpoint  string
	pathStyle bool
}

const usage = `usage: s3-to-sftp -direction send|retrieve -host HOST[:PORT] -user USER [flags] [PATH ...]

Paths in S3 are /bucket/key. Without paths, they are read from the standard input, one in a line. Flags go before paths.

Environment:
  AWS_…                 as for every AWS tool
  SFTP_HOST, SFTP_USER  defaults of -host and -user
  SFTP_PASSWORD         the password, if the server wants one
  SFTP_KEY_PASSPHRASE   of a protected -key
  SSH_AUTH_SOCK         the ssh-agent, used if there is neither -key nor SFTP_PASSWORD

Flags:
`

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("s3-to-sftp", flag.ContinueOnError)
	f.SetOutput(io.Discard) // run prints the error
	f.StringVar(&o.direction, "direction", "", "the `direction`: send, from S3 to the server, or retrieve, from it to S3")
	f.StringVar(&o.to, "to", "", "target `directory`: on the server (default: the user's home), or /bucket/prefix")
	f.TextVar((*overwriteFlag)(&o.overwrite), "overwrite", overwriteFlag(transfer.OverwriteReplace), "the `policy` for a target that is there: replace, fail or skip")
	f.StringVar(&o.host, "host", os.Getenv("SFTP_HOST"), "the server, `host[:port]`")
	f.StringVar(&o.user, "user", os.Getenv("SFTP_USER"), "the account's `name`")
	f.StringVar(&o.key, "key", "", "`file` with the private key")
	f.Func("host-key", "a key of the server, a `line` as ssh-keyscan prints it; may be repeated", func(line string) error {
		o.hostKeys = append(o.hostKeys, line)
		return nil
	})
	f.StringVar(&o.knownHosts, "known-hosts", "", "`file` with the server's keys (default ~/.ssh/known_hosts, without -host-key)")
	f.BoolVar(&o.makeDirs, "make-dirs", false, "create missing directories on the server")
	f.IntVar(&o.connections, "connections", 0, "connections to the server, at most (default 2)")
	f.StringVar(&o.endpoint, "endpoint", "", "`URL` of an S3 server other than AWS")
	f.BoolVar(&o.pathStyle, "path-style", false, "name the bucket in the path of the URL, as many S3 servers want it")
	return f
}

func printUsage(w io.Writer) {
	fmt.Fprint(w, usage)
	flags := new(options).flags()
	flags.SetOutput(w)
	flags.PrintDefaults()
}

// parse reads the command line.
func parse(args []string) (options, error) {
	var o options
	flags := o.flags()
	if err := flags.Parse(args); err != nil {
		return o, usageError{err}
	}
	for _, arg := range flags.Args() {
		if strings.HasPrefix(arg, "-") {
			return o, usageError{fmt.Errorf("%s is behind the paths (put flags before them; if it is a file, write ./%[1]s)", arg)}
		}
	}
	o.paths = flags.Args()
	var wrong []error
	require := func(ok bool, problem string) {
		if !ok {
			wrong = append(wrong, errors.New(problem))
		}
	}
	require(o.direction == send || o.direction == retrieve, "-direction must be send or retrieve")
	require(o.host != "", "-host is missing")
	require(o.user != "", "-user is missing")
	require(o.direction != retrieve || o.to != "", "-to is missing (the bucket to retrieve to, such as /bucket/inbox)")
	if len(wrong) > 0 {
		return o, usageError{errors.Join(wrong...)}
	}
	return o, o.checkPaths()
}

// checkPaths refuses S3's URLs, which would be taken as relative paths.
func (o options) checkPaths() error {
	for _, path := range append([]string{o.to}, o.paths...) {
		if strings.HasPrefix(path, "s3://") {
			return usageError{fmt.Errorf("%q: paths are /bucket/key, not URLs", path)}
		}
	}
	return nil
}

// overwriteFlag is a policy as a user writes it, in lower case.
type overwriteFlag transfer.Overwrite

func (f *overwriteFlag) UnmarshalText(text []byte) error {
	switch p := transfer.Overwrite(strings.ToUpper(string(text))); p {
	case transfer.OverwriteReplace, transfer.OverwriteFail, transfer.OverwriteSkip:
		*f = overwriteFlag(p)
		return nil
	}
	return errors.New("must be replace, fail or skip")
}

func (f overwriteFlag) MarshalText() ([]byte, error) { return []byte(strings.ToLower(string(f))), nil }

// storage is S3.
func (o options) storage(ctx context.Context) (*s3x.Storage, error) {
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = idleConnections
	})
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("set up AWS: %w", err)
	}
	return s3x.New(s3.NewFromConfig(cfg, func(s *s3.Options) {
		s.UsePathStyle = o.pathStyle
		if o.endpoint != "" {
			s.BaseEndpoint = &o.endpoint
			s.Region = cmp.Or(s.Region, "us-east-1") // most other servers do not care
		}
	}), s3x.Options{})
}

// connector is the partner.
func (o options) connector() (*sftpx.Connector, error) {
	auth, err := o.auth()
	if err != nil {
		return nil, err
	}
	cfg := sftpx.Config{
		Addr:           o.host,
		User:           o.user,
		Auth:           auth,
		HostKeys:       o.hostKeys,
		MakeDirs:       o.makeDirs,
		MaxConnections: o.connections,
	}
	switch {
	case o.knownHosts != "":
		cfg.KnownHosts = []string{o.knownHosts}
	case len(o.hostKeys) == 0:
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("find known_hosts: %w (try -host-key)", err)
		}
		cfg.KnownHosts = []string{filepath.Join(home, ".ssh", "known_hosts")}
	}
	return sftpx.New(cfg)
}

// auth is every way to log in that the user has given, or else the ssh-agent.
func (o options) auth() (ways []sftpx.Auth, err error) {
	if o.key != "" {
		pem, err := os.ReadFile(o.key)
		if err != nil {
			return nil, fmt.Errorf("read -key: %w", err)
		}
		signer, err := sftpx.ParsePrivateKey(pem, []byte(os.Getenv("SFTP_KEY_PASSPHRASE")))
		if err != nil {
			return nil, fmt.Errorf("read -key %s: %w", o.key, err)
		}
		ways = append(ways, sftpx.PublicKey(signer))
	}
	if password := os.Getenv("SFTP_PASSWORD"); password != "" {
		ways = append(ways, sftpx.Password(func(context.Context) (string, error) { return password, nil }))
	}
	if len(ways) == 0 && os.Getenv("SSH_AUTH_SOCK") != "" {
		ways = append(ways, sftpx.AgentSocket(""))
	}
	if len(ways) == 0 {
		return nil, errors.New("no way to log in (give -key, SFTP_PASSWORD or an ssh-agent)")
	}
	return ways, nil
}
