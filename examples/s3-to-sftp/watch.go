package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/seed62b9dc43/transfer"
)

// How often progress is shown.
const (
	barInterval  = 250 * time.Millisecond
	lineInterval = 5 * time.Second
)

// watch follows one transfer.
type watch struct {
	client     *transfer.Client
	transferID string
	view       view
}

// progress sums up the files of a transfer.
type progress struct {
	files, arrived, failed int
	bytes, known           int64 // moved, and in all files whose size is known by now
	delivered              int64 // bytes of the files that arrived
}

// untilDone shows the progress until all files are final or ctx ends.
func (w *watch) untilDone(ctx context.Context) error {
	defer w.view.end()
	for {
		err := w.wait(ctx)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		p, listErr := w.list(ctx, nil)
		if listErr != nil {
			return listErr
		}
		w.view.show(p)
		if err == nil {
			return nil
		}
	}
}

// wait returns when all files are final, or with context.DeadlineExceeded when it is time to show something.
func (w *watch) wait(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, w.view.interval())
	defer cancel()
	_, err := w.client.Wait(bounded, w.transferID)
	return err
}

// list goes through all results, calls visit for each that has not arrived, and sums them up.
func (w *watch) list(ctx context.Context, visit func(transfer.ConnectorFileTransferResult)) (p progress, err error) {
	pages := transfer.NewListFileTransferResultsPaginator(w.client, &transfer.ListFileTransferResultsInput{
		ConnectorID: connectorID,
		TransferID:  w.transferID,
		MaxResults:  1000,
	})
	for r, err := range pages.All(ctx) {
		if err != nil {
			return p, err
		}
		p.files++
		p.bytes += r.BytesTransferred
		p.known += max(r.Size, 0)
		switch r.StatusCode {
		case transfer.TransferTableStatusCompleted:
			p.arrived++
			p.delivered += r.BytesTransferred
			continue
		case transfer.TransferTableStatusFailed:
			p.failed++
		}
		if visit != nil {
			visit(r)
		}
	}
	return p, nil
}

// report prints each file that has not arrived, then the sum, and returns how many have not.
func (w *watch) report(ctx context.Context, stdout, stderr io.Writer) (missing int, err error) {
	p, err := w.list(ctx, func(r transfer.ConnectorFileTransferResult) {
		switch {
		case r.StatusCode != transfer.TransferTableStatusFailed:
			fmt.Fprintf(stderr, "%s: not finished, %d of %d bytes moved\n", r.FilePath, r.BytesTransferred, max(r.Size, 0))
		case r.FailureDetail != "":
			fmt.Fprintf(stderr, "%s: %s (%s): %s\n", r.FilePath, r.FailureCode, r.FailureDetail, r.FailureMessage)
		default:
			fmt.Fprintf(stderr, "%s: %s: %s\n", r.FilePath, r.FailureCode, r.FailureMessage)
		}
	})
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(stdout, "%d of %d files arrived, %d bytes\n", p.arrived, p.files, p.delivered)
	return p.files - p.arrived, nil
}

// view shows progress to a person, or to a log.
type view interface {
	show(progress)
	end()
	interval() time.Duration // between two shows
}

func newView(stderr io.Writer) view {
	if isTerminal(stderr) {
		return newBar(stderr)
	}
	return lines{stderr}
}

// bar is a progress bar of bytes. Its end moves while sizes become known, one by one, as files are taken up.
type bar struct {
	*progressbar.ProgressBar
	stderr io.Writer
}

func newBar(stderr io.Writer) bar {
	return bar{stderr: stderr, ProgressBar: progressbar.NewOptions64(1,
		progressbar.OptionSetWriter(stderr),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionFullWidth(),
		progressbar.OptionUseANSICodes(true),
	)}
}

// show keeps the bar from being full before the last file is final: progressbar would end it there.
func (b bar) show(p progress) {
	b.Describe(fmt.Sprintf("%d/%d files", p.arrived+p.failed, p.files))
	end := max(p.known, p.bytes) + 1
	if p.arrived+p.failed == p.files {
		end = max(p.bytes, 1)
	}
	b.ChangeMax64(end)
	_ = b.Set64(p.bytes) // to the terminal; the report comes all the same
}

func (b bar) end() {
	_ = b.Exit()
	fmt.Fprintln(b.stderr)
}

func (bar) interval() time.Duration { return barInterval }

// lines is one line now and then.
type lines struct{ stderr io.Writer }

func (l lines) show(p progress) {
	fmt.Fprintf(l.stderr, "%d of %d files arrived, %d failed, %d bytes moved\n", p.arrived, p.files, p.failed, p.bytes)
}

func (lines) end() {}

func (lines) interval() time.Duration { return lineInterval }
