// S3-to-sftp moves files between S3 and a partner's SFTP server, in either direction.
//
//	s3-to-sftp -direction send     -host sftp.example.com -user alice -key id_ed25519 -to /in        /bucket/a.csv …
//	s3-to-sftp -direction retrieve -host sftp.example.com -user alice -key id_ed25519 -to /bucket/in /out/a.csv …
//
// Flags go before paths. Without paths as arguments it reads them from the standard input, one in a line. S3 is set up as
// for every AWS tool: AWS_ACCESS_KEY_ID, AWS_REGION, AWS_PROFILE and so on; -endpoint and -path-style are for other
// servers that speak S3.
//
// Each file that failed is a line "path: CODE (DETAIL): message" on the standard error. The exit status is 0 if all files
// arrived, 1 if one did not, and 2 if the command was used wrongly.
//
// An interrupt or SIGTERM ends it once running files have reached the end of their window; what has not arrived by then
// counts as failed. What was moved of such a file stays behind, as a file .transfer-….part on the server or as an open
// multipart upload: this program keeps its state in memory and cannot go on with it next time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// Exit statuses.
const (
	exitArrived = 0
	exitFailed  = 1
	exitUsage   = 2
)

// connectorID names the one partner of this program.
const connectorID = "partner"

// shutdownLimit is how long running files have to reach the end of their window.
const shutdownLimit = 15 * time.Second

// memoryLimit keeps the whole process below 128 MiB. The engine bounds its windows (transfer.Config.MemoryBudget, 64 MiB),
// but the garbage collector would let what is thrown away grow to as much again.
const memoryLimit = 100 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second interrupt ends the program the hard way
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		printUsage(stdout)
		return exitArrived
	}
	if err == nil && len(o.paths) == 0 {
		err = o.readPaths(ctx, stdin, stderr)
	}
	var arrived bool
	if err == nil {
		arrived, err = o.transfer(ctx, stdout, stderr)
	}
	var usage usageError
	var invalid *transfer.InvalidRequestException
	switch {
	case errors.As(err, &usage), errors.As(err, &invalid):
		fmt.Fprintln(stderr, "s3-to-sftp:", err)
		fmt.Fprintln(stderr, "(-help explains the flags)")
		return exitUsage
	case err != nil:
		fmt.Fprintln(stderr, "s3-to-sftp:", err)
		return exitFailed
	case !arrived:
		return exitFailed
	}
	return exitArrived
}

// transfer moves the files and reports whether all of them arrived.
func (o options) transfer(ctx context.Context, stdout, stderr io.Writer) (arrived bool, err error) {
	storage, err := o.storage(ctx)
	if err != nil {
		return false, err
	}
	connector, err := o.connector()
	if err != nil {
		return false, usageError{err}
	}
	defer func() { err = errors.Join(err, connector.Close()) }()
	client, err := transfer.New(transfer.Config{
		Storage:          storage,
		Connectors:       map[string]transfer.Connector{connectorID: connector},
		ProgressInterval: barInterval,
		Retry:            transfer.RetryPolicy{MaxAttempts: 3}, // somebody is waiting
	})
	if err != nil {
		return false, err
	}
	if err := client.Start(ctx); err != nil {
		return false, err
	}
	stop := func() error {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
		defer cancel()
		return client.Shutdown(bounded)
	}
	defer func() { err = errors.Join(err, stop()) }()

	started, err := client.StartFileTransfer(ctx, o.request())
	if err != nil {
		return false, err
	}
	w := &watch{client: client, transferID: started.TransferID, view: newView(stderr)}
	if err := w.untilDone(ctx); err != nil && ctx.Err() == nil {
		return false, err
	}
	if ctx.Err() != nil {
		fmt.Fprintln(stderr, "s3-to-sftp: interrupted")
		err = stop()
	}
	failed, reportErr := w.report(context.WithoutCancel(ctx), stdout, stderr)
	return failed == 0, errors.Join(err, reportErr)
}

// request asks for the files of the command line.
func (o options) request() *transfer.StartFileTransferInput {
	in := &transfer.StartFileTransferInput{ConnectorID: connectorID, Overwrite: o.overwrite}
	if o.direction == send {
		in.SendFilePaths, in.RemoteDirectoryPath = o.paths, o.to
		return in
	}
	in.RetrieveFilePaths, in.LocalDirectoryPath = o.paths, o.to
	return in
}
