package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
)

// usageError is a mistake in how the program was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// options are what the command line says.
type options struct {
	listen, cert, key string
	dir, store        string
	secrets, config   string
	connections       int
}

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("server", flag.ContinueOnError)
	f.SetOutput(io.Discard) // run prints the error
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`address` to listen on, host:port")
	f.StringVar(&o.cert, "cert", "", "`file` with the server's TLS certificate, PEM")
	f.StringVar(&o.key, "key", "", "`file` with its private key, PEM")
	f.StringVar(&o.dir, "dir", "", "`directory` with the files: the storage")
	f.StringVar(&o.store, "store", "", "SQLite `file` with all transfers and connectors; it is made if it is missing")
	f.StringVar(&o.secrets, "secrets", "", "`directory` with access-keys.json, users.json, and partners' secrets in partners")
	f.StringVar(&o.config, "config", "", "JSON `file` with connectors and rules (default: none)")
	f.IntVar(&o.connections, "connections", 1000, "connections at once")
	return f
}

func printUsage(w io.Writer) {
	var o options
	fmt.Fprint(w, "usage: server -dir directory -store file -secrets directory [flags]\n\n")
	flags := o.flags()
	flags.SetOutput(w)
	flags.PrintDefaults()
}

func parse(args []string) (o options, err error) {
	flags := o.flags()
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, usageError{err}
	}
	if flags.NArg() > 0 {
		return o, usageError{fmt.Errorf("%q is not a flag", flags.Arg(0))}
	}
	return o, o.check()
}

// check names every wrong flag with the fix.
func (o *options) check() error {
	var wrong []error
	require := func(ok bool, problem string) {
		if !ok {
			wrong = append(wrong, errors.New(problem))
		}
	}
	require(o.dir != "", "-dir is missing (the directory with the files)")
	require(o.store != "", "-store is missing (a file for the state, such as /var/lib/transfer.db)")
	require(o.secrets != "", "-secrets is missing (the directory with access-keys.json, users.json and partners)")
	require((o.cert == "") == (o.key == ""), "-cert and -key belong together (give both, or none for HTTP)")
	require(o.connections > 0, "-connections must be 1 or more")
	host, _, err := net.SplitHostPort(o.listen)
	require(err == nil, fmt.Sprintf("-listen is %q, not host:port", o.listen))
	require(err != nil || o.cert != "" || isLoopback(host), fmt.Sprintf("-listen is %q, which others can reach, without -cert and -key (give both, or listen on 127.0.0.1)", o.listen))
	if len(wrong) == 0 {
		return nil
	}
	return usageError{errors.Join(wrong...)}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
