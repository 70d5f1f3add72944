package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer/sftpx"
)

// Commands.
const (
	work   = "work"
	submit = "submit"
)

// maxJob leaves room for the number of the transfer in a client token.
const maxJob = 100

// usageError is a mistake in how the program was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// options are what the command line and the environment say.
type options struct {
	command string

	dsn, dir        string
	host, user, key string
	hostKeys        string // lines
	limit           int

	name  string // of a worker
	files int
	lease time.Duration

	job       string // of a submitter
	to        string
	transfers int
}

const usage = `usage: fleet work   [flags]
       fleet submit [flags]

Every flag may be given as a variable of the environment: -host-key is FLEET_HOST_KEY.

Flags of both:
`

// shared are the flags of both commands, which must say the same everywhere.
func (o *options) shared(f *flag.FlagSet) {
	f.StringVar(&o.dsn, "dsn", "", "the queue, a PostgreSQL connection `string`")
	f.StringVar(&o.dir, "dir", "", "`directory` with the files")
	f.StringVar(&o.host, "host", "", "the partner's server, `host[:port]`")
	f.StringVar(&o.user, "user", "", "the account's `name` there")
	f.StringVar(&o.key, "key", "", "`file` with the account's private key")
	f.StringVar(&o.hostKeys, "host-key", "", "the server's keys, `lines` as ssh-keyscan prints them")
	f.IntVar(&o.limit, "limit", 16, "files at once at the partner, over all workers")
}

func (o *options) working(f *flag.FlagSet) {
	f.StringVar(&o.name, "name", "", "`name` of this worker, its own (default: host name, process id and a random part)")
	f.IntVar(&o.files, "files", 64, "files at once in this worker")
	f.DurationVar(&o.lease, "lease", 30*time.Second, "after this `time` without a sign of life others take its files over")
}

func (o *options) submitting(f *flag.FlagSet) {
	f.StringVar(&o.job, "job", "", "`name` of what is sent now; the same one never sends twice")
	f.StringVar(&o.to, "to", "", "target `directory` on the server (default: the user's home)")
	f.IntVar(&o.transfers, "transfers", 4, "transfers to split the files into")
}

func newFlags() *flag.FlagSet {
	f := flag.NewFlagSet("fleet", flag.ContinueOnError)
	f.SetOutput(io.Discard) // run prints the error
	return f
}

func printUsage(w io.Writer) {
	var o options
	fmt.Fprint(w, usage)
	for i, group := range []func(*flag.FlagSet){o.shared, o.working, o.submitting} {
		fmt.Fprint(w, []string{"", "\nFlags of work:\n", "\nFlags of submit:\n"}[i])
		flags := newFlags()
		group(flags)
		flags.SetOutput(w)
		flags.PrintDefaults()
	}
}

// parse reads the command line.
func parse(args []string) (o options, err error) {
	if len(args) == 0 {
		return o, usageError{errors.New("no command (give work or submit)")}
	}
	flags := newFlags()
	o.shared(flags)
	switch o.command = args[0]; o.command {
	case work:
		o.working(flags)
	case submit:
		o.submitting(flags)
	case "-h", "-help", "--help", "help":
		return o, flag.ErrHelp
	default:
		return o, usageError{fmt.Errorf("%q is not a command (give work or submit, and flags behind it)", args[0])}
	}
	if err := fromEnvironment(flags); err != nil {
		return o, err
	}
	if err := flags.Parse(args[1:]); err != nil {
		return o, usageError{err}
	}
	if flags.NArg() > 0 {
		return o, usageError{fmt.Errorf("%q is not a flag (files are those in -dir)", flags.Arg(0))}
	}
	return o, o.check()
}

// fromEnvironment sets flags from their variables; the command line may overrule them.
func fromEnvironment(flags *flag.FlagSet) (err error) {
	flags.VisitAll(func(f *flag.Flag) {
		name := "FLEET_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value := os.Getenv(name); value != "" && err == nil {
			if wrong := f.Value.Set(value); wrong != nil {
				err = usageError{fmt.Errorf("invalid value %q of %s: %w (see -%s)", value, name, wrong, f.Name)}
			}
		}
	})
	return err
}

// check names every wrong flag with the fix.
func (o options) check() error {
	var wrong []error
	require := func(ok bool, problem string) {
		if !ok {
			wrong = append(wrong, errors.New(problem))
		}
	}
	require(o.dsn != "", "-dsn is missing (such as postgres://user@host/database)")
	require(o.dir != "", "-dir is missing (the directory with the files)")
	require(o.host != "", "-host is missing (the partner's server)")
	require(o.user != "", "-user is missing (the account at the partner's server)")
	require(o.key != "", "-key is missing (the file with the account's private key)")
	require(o.hostKeys != "", "-host-key is missing (run ssh-keyscan "+keyscanArgs(o.host)+" and compare with what the partner told you)")
	require(o.limit > 0, "-limit must be 1 or more")
	if o.command == work {
		require(o.files > 0, "-files must be 1 or more")
		require(o.lease >= time.Second, "-lease must be 1s or more")
	} else {
		require(o.job != "", "-job is missing (a name for what is sent now, such as orders-2026-11-22)")
		require(len(o.job) <= maxJob, fmt.Sprintf("-job has more than %d bytes (use a shorter one)", maxJob))
		require(o.transfers > 0, "-transfers must be 1 or more")
	}
	if len(wrong) == 0 {
		return nil
	}
	return usageError{errors.Join(wrong...)}
}

// connector is the partner. One connection of each worker carries all of its files.
func (o options) connector() (*sftpx.Connector, error) {
	pem, err := os.ReadFile(o.key)
	if err != nil {
		return nil, fmt.Errorf("read -key: %w", err)
	}
	signer, err := sftpx.ParsePrivateKey(pem, nil)
	if err != nil {
		return nil, fmt.Errorf("read -key %s: %w", o.key, err)
	}
	return sftpx.New(sftpx.Config{
		Addr: o.host, User: o.user, Auth: []sftpx.Auth{sftpx.PublicKey(signer)},
		HostKeys: strings.Split(strings.TrimSpace(o.hostKeys), "\n"), MakeDirs: true,
		MaxConnections: 1, FilesPerConnection: o.limit,
	})
}

// keyscanArgs is what ssh-keyscan wants for a host with or without a port.
func keyscanArgs(host string) string {
	if name, port, err := net.SplitHostPort(host); err == nil {
		return "-p " + port + " " + name
	}
	return cmp.Or(host, "HOST")
}
