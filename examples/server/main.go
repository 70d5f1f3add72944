// Server is managed file transfer as a service: AWS Transfer Family's API for connectors, for AWS's SDKs and CLI, and Waarp's
// REST API for transfers, over one engine with a SQLite file. Storage is a directory.
//
//	server -listen :8443 -cert tls.crt -key tls.key -dir /srv/files -store /var/lib/transfer.db -secrets /etc/transfer -config partners.json
//
// Connectors are created by AWS's CreateConnector and kept in the store, or written into the configuration under names of
// their own. Clients of Waarp name the partner, which is the connector's name there, and one of the configuration's rules:
//
//	{
//	  "connectors": {
//	    "warehouse": {
//	      "url": "sftp://sftp.example.com:2222",
//	      "secret": "warehouse.json",
//	      "hostKeys": ["ssh-ed25519 AAAA…"],
//	      "profile": {"MakeDirs": true}
//	    }
//	  },
//	  "rules": {
//	    "orders": {"direction": "send", "localDirectory": "/outbox", "remoteDirectory": "in"}
//	  }
//	}
//
// The directory of secrets has two files that say who may use the service: access-keys.json for AWS's API,
// {"AKIA…": "secret key"}, and users.json for Waarp's, {"alice": {"password": "…", "roles": ["read", "transfer", "control"]}}.
// An API whose file is missing is not served. The directory partners in it has a file for each secret that a connector names,
// such as warehouse.json, in the shape of AWS's: {"Username": "…", "Password": "…", "PrivateKey": "…"}. Who may create
// connectors can have any of those sent to a server of their choice.
//
// AWS's API is at /, such as AWS_ENDPOINT_URL_TRANSFER=https://localhost:8443, Waarp's at /v2/transfers. Without -cert the
// server speaks HTTP, and then listens on loopback addresses only.
//
// On an interrupt or SIGTERM it answers what it was asked, gives files back at the end of their window, and ends with 0; the
// next start goes on from there. It logs to the standard error, one JSON object in a line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second interrupt ends the program the hard way
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		printUsage(stdout)
		return exitDone
	}
	if err == nil {
		err = o.serve(ctx, stdout, stderr)
	}
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(stderr, "server:", err)
	if errors.As(err, new(usageError)) {
		fmt.Fprintln(stderr, "(-help explains the flags)")
		return exitUsage
	}
	return exitFailed
}
