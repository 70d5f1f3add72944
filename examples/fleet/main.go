// Fleet sends the files of a directory to a partner's SFTP server, with any number of workers on any number of machines.
// Workers and submitters share a queue in PostgreSQL. They need the same files below -dir, by a shared mount or on one
// machine, and the same flags of the partner. Every flag may be given as a variable: -host-key is FLEET_HOST_KEY.
//
//	export FLEET_DSN='postgres://transfer@db.example.com/transfer' FLEET_DIR=/srv/outbox
//	export FLEET_HOST=sftp.example.com FLEET_USER=alice FLEET_KEY=/etc/fleet/id_ed25519
//	export FLEET_HOST_KEY="$(ssh-keyscan -t ed25519 sftp.example.com)" # compare it with what the partner told you
//
//	fleet work &                                  # as many as you like, wherever you like
//	fleet submit -job orders-2026-11-22 -to in    # waits, and prints a line for each file
//
// A worker logs to the standard error, one JSON object in a line. On an interrupt or SIGTERM it gives its files back at the
// end of their window, and others go on from there. After a kill -9 they do so once its leases have run out (-lease).
//
// Submit may be repeated with the same -job, the same -to and the same files in -dir, also after it was killed: nothing is
// sent twice, and the results are printed again. Files that came later are for another -job. Each file that failed is a line "path: CODE (DETAIL): message" on the standard error. The exit status is 0 if all
// files arrived, 1 if one did not, and 2 if the command was used wrongly.
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

	"github.com/seed62b9dc43/transfer"
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
	arrived := true
	switch {
	case err != nil:
	case o.command == work:
		err = o.work(ctx, stderr)
	default:
		arrived, err = o.submit(ctx, stdout, stderr)
	}
	var usage usageError
	var invalid *transfer.InvalidRequestException
	switch {
	case errors.As(err, &usage), errors.As(err, &invalid):
		fmt.Fprintln(stderr, "fleet:", err)
		fmt.Fprintln(stderr, "(-help explains the flags)")
		return exitUsage
	case err != nil:
		fmt.Fprintln(stderr, "fleet:", err)
		return exitFailed
	case !arrived:
		return exitFailed
	}
	return exitDone
}
