package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// retryInterval is how long to wait for a queue that is away before it is asked again.
const retryInterval = time.Second

// submit sends the files of the directory and reports whether all of them arrived.
func (o options) submit(ctx context.Context, stdout, stderr io.Writer) (arrived bool, err error) {
	names, err := o.names()
	if err != nil {
		return false, err
	}
	n, err := o.open(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, n.close()) }() // the client is never started: it submits and lists only
	ids, err := o.start(ctx, n.client, names, stderr)
	if err != nil {
		return false, fmt.Errorf("-job %s: %w", o.job, err)
	}
	fmt.Fprintf(stderr, "fleet: %d files in %d transfers\n", len(names), len(ids))
	return o.report(ctx, n.client, ids, stdout, stderr)
}

// start stores the transfers and returns their ids.
func (o options) start(ctx context.Context, client *transfer.Client, names []string, stderr io.Writer) (ids []string, err error) {
	size := (len(names) + o.transfers - 1) / o.transfers
	for some := range slices.Chunk(names, size) {
		request := o.request(len(ids)+1, some)
		var started *transfer.StartFileTransferOutput
		err := again(ctx, stderr, func() (err error) {
			started, err = client.StartFileTransfer(ctx, request)
			return err
		})
		if err != nil {
			return nil, err
		}
		ids = append(ids, started.TransferID)
	}
	return ids, nil
}

// names are the files in the directory, but hidden ones.
func (o options) names() (names []string, err error) {
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return nil, usageError{fmt.Errorf("-dir: %w", err)}
	}
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, usageError{fmt.Errorf("-dir: no files in %s", o.dir)}
	}
	return names, nil
}

// request asks for some of the files. Its token makes it one transfer, however often it is made.
func (o options) request(part int, names []string) *transfer.StartFileTransferInput {
	return &transfer.StartFileTransferInput{
		ConnectorID: connectorID, SendFilePaths: names, RemoteDirectoryPath: o.to,
		ClientToken: fmt.Sprintf("%s/%d", o.job, part), FollowID: o.job,
	}
}

// again repeats a call until the queue is there to answer it.
func again(ctx context.Context, stderr io.Writer, call func() error) error {
	for {
		err := call()
		var away *transfer.ServiceUnavailableException
		if !errors.As(err, &away) {
			return err
		}
		fmt.Fprintf(stderr, "fleet: %v (trying again)\n", err)
		select {
		case <-time.After(retryInterval):
		case <-ctx.Done():
			return err
		}
	}
}

// report waits for all results, prints them, and reports whether all files arrived.
func (o options) report(ctx context.Context, client *transfer.Client, ids []string, stdout, stderr io.Writer) (arrived bool, err error) {
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FILE\tSTATUS\tBYTES\tSHA256\tATTEMPTS")
	arrived = true
	for _, id := range ids {
		results, err := wait(ctx, client, id, stderr)
		if err != nil {
			return false, fmt.Errorf("%w (workers go on; the same command shows the results later)", err)
		}
		for _, r := range results {
			fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%d\n", r.FilePath, r.StatusCode, r.BytesTransferred, r.SHA256, r.Attempts)
			if r.Err() != nil {
				arrived = false
				printFailure(stderr, r)
			}
		}
	}
	return arrived, table.Flush()
}

func printFailure(stderr io.Writer, r transfer.ConnectorFileTransferResult) {
	code := string(r.FailureCode)
	if r.FailureDetail != "" {
		code += fmt.Sprintf(" (%s)", r.FailureDetail)
	}
	fmt.Fprintf(stderr, "%s: %s: %s\n", r.FilePath, code, r.FailureMessage)
}

// wait returns the results of a transfer once all of its files are final.
func wait(ctx context.Context, client *transfer.Client, id string, stderr io.Writer) (results []transfer.ConnectorFileTransferResult, err error) {
	err = again(ctx, stderr, func() error {
		if _, err := client.Wait(ctx, id); err != nil {
			return err
		}
		results = nil
		pages := transfer.NewListFileTransferResultsPaginator(client, &transfer.ListFileTransferResultsInput{
			ConnectorID: connectorID, TransferID: id, MaxResults: 1000,
		})
		for r, err := range pages.All(ctx) {
			if err != nil {
				return err
			}
			results = append(results, r)
		}
		return nil
	})
	return results, err
}
