// Flow is a partner's flow from end to end. One partner drops packed orders into a directory of its server; they are
// retrieved once they are whole, verified, unpacked, archived where they came from, and forwarded to a second partner.
// Everybody who wants to know is told by a sink. It needs nothing but Go: both servers run inside the program.
//
//	go run ./examples/flow
//
// The state is in a file: end the program at any time (-dir keeps the files), and the next run goes on, after a kill once the
// leases have run out (30 s).
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
	"github.com/seed62b9dc43/transfer/transfertest"
	"github.com/seed62b9dc43/transfer/watch"
)

// rules say what is done with a file.
var rules = map[string]transfer.Rule{"orders": {
	Direction:       store.Retrieve,
	SourceDirectory: "/drop",
	TargetDirectory: "inbox",
	Ledger:          transfer.LedgerSkip, // what was transferred before is not again
	After: []transfer.Task{
		transfer.VerifyTarget(),
		transfer.GunzipTarget(1 << 30), // bytes at most
		transfer.Forward("bank", "/in"),
		transfer.MoveSource("/archive/{id}"), // the next file of this name has another id
	},
}}

// watches say where files come from, and when they are whole: two looks must find the same size and time.
var watches = map[string]watch.Watch{"drop": {
	Selection: watch.Selection{ConnectorID: "acme", Patterns: []string{"**/*.csv.gz"}},
	Delivery:  watch.Delivery{RuleName: "orders"},
	Schedule:  watch.Schedule{Every: time.Second},
	Guard:     watch.Guard{Unchanged: 1, Interval: time.Second},
}}

func main() {
	dir := flag.String("dir", "", "where our files and the state are kept; default: a temporary directory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "flow:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, dir string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if dir == "" {
		if dir, err = os.MkdirTemp("", "flow"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	acme, closeAcme, err := newPartner()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAcme()) }()
	bank, closeBank, err := newPartner()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeBank()) }()
	if err := errors.Join(acme.server.MkdirAll("/drop"), bank.server.MkdirAll("/in"), drop(acme.server)); err != nil {
		return err
	}

	files := filepath.Join(dir, "files")
	if err := os.MkdirAll(files, 0o755); err != nil {
		return err
	}
	storage, err := transfer.Dir(files)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, storage.Close()) }()
	state, err := sqlitestore.Open(filepath.Join(dir, "state.db"), sqlitestore.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	told := make(chan transfer.Event, 16)
	client, err := transfer.New(transfer.Config{
		Storage:    storage,
		Store:      state,
		Connectors: map[string]transfer.Connector{"acme": acme.connector, "bank": bank.connector},
		Rules:      rules,
		Sinks:      map[string]transfer.EventSink{"console": sink(told)},
	})
	if err != nil {
		return err
	}
	watcher, err := watch.New(watch.Config{Client: client, Watches: watches})
	if err != nil {
		return err
	}
	if err := errors.Join(client.Start(ctx), watcher.Start(ctx)); err != nil {
		return err
	}
	defer func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, watcher.Shutdown(bounded), client.Shutdown(bounded))
	}()
	if err := show(ctx, out, told); err != nil {
		return err
	}
	fmt.Fprintf(out, "acme has %q, bank has %q\n", acme.server.Files(), bank.server.Files())
	return nil
}

// drop leaves orders at the partner, as its own programs would.
func drop(server *transfertest.SFTPServer) error {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte("id;item;pieces\n1;bolt;400\n2;nut;400\n"))
	return errors.Join(err, w.Close(), server.WriteFile("/drop/orders.csv.gz", packed.Bytes()))
}

// sink takes events as they come. One that it does not take comes again.
func sink(told chan<- transfer.Event) transfer.EventSink {
	return transfer.EventSinkFunc(func(ctx context.Context, e transfer.Event) error {
		select {
		case told <- e:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// show prints how the retrieved file and the forwarded one have ended.
func show(ctx context.Context, out io.Writer, told <-chan transfer.Event) error {
	var ends []string
	for len(ends) < 2 {
		select {
		case e := <-told:
			switch e.Type {
			case transfer.EventFileCompleted:
				ends = append(ends, fmt.Sprintf("%-8s %s %s -> %s, %d bytes", e.Operation, e.Partner, e.FilePath, e.TargetPath, e.Size))
			case transfer.EventFileFailed, transfer.EventFileCancelled:
				return fmt.Errorf("%s: %s", e.FilePath, e.FailureMessage)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	slices.Sort(ends) // they are told independently of each other
	_, err := fmt.Fprintln(out, strings.Join(ends, "\n"))
	return err
}

// partner is a server and how it is reached. Yours has an address and keys already.
type partner struct {
	server    *transfertest.SFTPServer
	connector *sftpx.Connector
}

func newPartner() (p partner, end func() error, err error) {
	if p.server, err = transfertest.NewSFTPServer(transfertest.SFTPOptions{User: "alice"}); err != nil {
		return p, nil, err
	}
	p.connector, err = sftpx.New(sftpx.Config{
		Addr: p.server.Addr(), User: "alice", Auth: []sftpx.Auth{sftpx.PublicKey(p.server.Signer())}, HostKeys: p.server.HostKeys(),
	})
	if err != nil {
		return p, nil, errors.Join(err, p.server.Close())
	}
	return p, func() error { return errors.Join(p.connector.Close(), p.server.Close()) }, nil
}
