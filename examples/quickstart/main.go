// Quickstart sends files to an SFTP server and retrieves them again. It needs nothing but Go: the server runs inside the
// program, and speaks real SSH over a loopback socket.
//
//	go run ./examples/quickstart
//
// It exits with 0 if everything went as expected. One file does not exist, and is expected to fail.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// outbox is what we have to send, by path in our storage.
var outbox = map[string][]byte{
	"/outbox/orders.csv":    []byte("id;item;pieces\n1;bolt;400\n2;nut;400\n"),
	"/outbox/catalogue.xml": bytes.Repeat([]byte("<item>bolt</item>\n"), 20_000),
	"/outbox/photos.tar":    bytes.Repeat([]byte("seventeen bytes.\n"), 1<<20), // four windows of 5 MiB
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()

	// The partner: a server with a key of its own, that lets one user in. Yours has an address and a key already.
	partner, err := transfertest.NewSFTPServer(transfertest.SFTPOptions{User: "alice"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, partner.Close()) }()
	connector, err := sftpx.New(sftpx.Config{
		Addr:     partner.Addr(),
		User:     "alice",
		Auth:     []sftpx.Auth{sftpx.PublicKey(partner.Signer())},
		HostKeys: partner.HostKeys(), // lines as ssh-keyscan prints them
		MakeDirs: true,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connector.Close()) }()

	// Our side: memory here; transfer.Dir(path) or s3x.New(…) in earnest.
	storage := transfer.NewMemory()
	for name, content := range outbox {
		storage.WriteFile(name, content)
	}
	client, err := transfer.New(transfer.Config{
		Storage:    storage,
		Connectors: map[string]transfer.Connector{"acme": connector},
	})
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	defer func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, client.Shutdown(bounded))
	}()

	fmt.Fprintf(out, "Sending to %s\n\n", connector.Info().URL)
	sent, err := move(ctx, client, &transfer.StartFileTransferInput{
		ConnectorID:         "acme",
		SendFilePaths:       []string{"/outbox/orders.csv", "/outbox/catalogue.xml", "/outbox/photos.tar"},
		RemoteDirectoryPath: "/in",
	})
	if err != nil {
		return err
	}
	show(out, sent)

	fmt.Fprintf(out, "\nRetrieving them, and one that does not exist\n\n")
	retrieved, err := move(ctx, client, &transfer.StartFileTransferInput{
		ConnectorID:        "acme",
		RetrieveFilePaths:  []string{"/in/orders.csv", "/in/catalogue.xml", "/in/photos.tar", "/in/missing.csv"},
		LocalDirectoryPath: "/inbox",
	})
	if err != nil {
		return err
	}
	show(out, retrieved)
	return check(storage, append(sent, retrieved...))
}

// move starts a transfer, waits until each of its files is final, and returns their results.
func move(ctx context.Context, client *transfer.Client, in *transfer.StartFileTransferInput) ([]transfer.ConnectorFileTransferResult, error) {
	started, err := client.StartFileTransfer(ctx, in)
	if err != nil {
		return nil, err
	}
	if _, err := client.Wait(ctx, started.TransferID); err != nil {
		return nil, err
	}
	var results []transfer.ConnectorFileTransferResult
	pages := transfer.NewListFileTransferResultsPaginator(client, &transfer.ListFileTransferResultsInput{
		ConnectorID: in.ConnectorID,
		TransferID:  started.TransferID,
	})
	for r, err := range pages.All(ctx) {
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

func show(out io.Writer, results []transfer.ConnectorFileTransferResult) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FILE\tSTATUS\tBYTES\tWINDOWS\tATTEMPTS\tSHA-256\tFAILURE")
	for _, r := range results {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%.12s\t%s\n", r.FilePath, r.StatusCode, r.BytesTransferred, r.Rank, r.Attempts,
			cmp.Or(r.SHA256, "-"), cmp.Or(string(r.FailureCode), "-"))
	}
	_ = table.Flush() // to the caller's writer, as all the rest
	for _, r := range results {
		if r.FailureMessage != "" {
			fmt.Fprintf(out, "\n%s: %s\n", r.FilePath, r.FailureMessage)
		}
	}
}

// check returns an error unless every file came back as it was sent, and the missing one failed as missing.
func check(storage *transfer.Memory, results []transfer.ConnectorFileTransferResult) error {
	for _, r := range results {
		missing := strings.HasSuffix(r.FilePath, "missing.csv")
		if missing && !errors.Is(r.Err(), transfer.RetrieveFileNotFound) {
			return fmt.Errorf("%s: want %s, got %s", r.FilePath, transfer.RetrieveFileNotFound, r.StatusCode)
		}
		if !missing && r.Err() != nil {
			return r.Err()
		}
	}
	for name, content := range outbox {
		back, err := storage.ReadFile(path.Join("/inbox", path.Base(name)))
		if err != nil {
			return err
		}
		if !bytes.Equal(content, back) {
			return fmt.Errorf("%s came back with other content", name)
		}
	}
	return nil
}
