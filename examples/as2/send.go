package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/as2x"
	"github.com/seed62b9dc43/transfer/store"
)

// window is how many bytes are read at once. It bounds the memory that a file takes, three windows at a time.
const window = 1 << 20

// sender is what the command line says.
type sender struct {
	parties
	url, dir          string
	compress          bool
	mdnURL, mdnListen string
	files             []string
}

func (s *sender) parse(args []string, stderr io.Writer) error {
	f := s.flags("send", "to", stderr)
	f.StringVar(&s.url, "url", "", "`URL` of the partner's AS2 server")
	f.StringVar(&s.dir, "dir", ".", "`folder` with the files")
	f.BoolVar(&s.compress, "compress", true, "compress before signing")
	f.StringVar(&s.mdnURL, "mdn-url", "", "ask for receipts to be sent later, to this `URL`")
	f.StringVar(&s.mdnListen, "mdn-listen", "127.0.0.1:4081", "`address` to listen at for them")
	if err := f.Parse(args); err != nil {
		return usageError{err}
	}
	s.files = f.Args()
	return nil
}

// config is how the partner is reached.
func (s *sender) config(results transfer.Storage) (as2x.Config, error) {
	local, partner, err := s.load()
	cfg := as2x.Config{
		URL: s.url, Local: local, Partner: partner, Results: results,
		Retry: &transfer.RetryPolicy{MaxAttempts: 3, MaxTime: time.Minute}, // somebody is waiting
	}
	if s.compress {
		cfg.Compression = as2x.CompressionZLIB
	}
	if s.mdnURL != "" {
		cfg.MDNResponse, cfg.AsyncMDNURL, cfg.MDNTimeout = as2x.MDNAsync, s.mdnURL, 5*time.Minute
		cfg.Records = &as2x.Records{Storage: transfer.NewMemory()}
	}
	return cfg, err
}

// send sends files and waits for the partner's receipts.
func send(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var s sender
	if err := s.parse(args, stderr); err != nil {
		return err
	}
	storage, err := transfer.Dir(s.dir)
	if err != nil {
		return err
	}
	defer func() { _ = storage.Close() }()
	cfg, err := s.config(storage)
	if err != nil {
		return err
	}
	connector, err := as2x.New(cfg)
	if err != nil {
		return usageError{err}
	}
	defer func() { _ = connector.Close() }()
	rows := store.NewMemory()
	if s.mdnURL != "" {
		stop, err := listenForReceipts(ctx, s.mdnListen, cfg, rows)
		if err != nil {
			return err
		}
		defer func() { _ = stop() }()
	}
	return s.run(ctx, transfer.Config{
		Storage: storage, Store: rows, WindowSize: window, MemoryBudget: 8 * window,
		Connectors: map[string]transfer.Connector{s.partner: connector},
	}, stdout)
}

// run sends the files with a client of its own.
func (s *sender) run(ctx context.Context, cfg transfer.Config, stdout io.Writer) error {
	client, err := transfer.New(cfg)
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	defer func() { _ = client.Shutdown(context.WithoutCancel(ctx)) }()
	return sendFiles(ctx, client, s.partner, relative(s.files), stdout)
}

// relative are paths of Storage.
func relative(files []string) []string {
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = filepath.ToSlash(f)
	}
	return paths
}

// sendFiles prints a line for each file when all have come to their end.
func sendFiles(ctx context.Context, client *transfer.Client, partner string, files []string, stdout io.Writer) error {
	started, err := client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{ConnectorID: partner, SendFilePaths: files})
	var invalid *transfer.InvalidRequestException
	if errors.As(err, &invalid) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	summary, err := client.Wait(ctx, started.TransferID)
	if err != nil {
		return err
	}
	results := transfer.NewListFileTransferResultsPaginator(client, &transfer.ListFileTransferResultsInput{
		ConnectorID: partner, TransferID: started.TransferID,
	})
	for r, err := range results.All(ctx) {
		if err != nil {
			return err
		}
		if failure := r.Err(); failure != nil {
			fmt.Fprintln(stdout, failure)
			continue
		}
		fmt.Fprintln(stdout, r.FilePath, r.BytesTransferred, r.SHA256)
	}
	if summary.Failed > 0 {
		return errFailed
	}
	return nil
}

// listenForReceipts runs a Receiver that takes receipts, and returns what ends it.
func listenForReceipts(ctx context.Context, addr string, cfg as2x.Config, rows store.Store) (stop func() error, err error) {
	waker, err := transfer.New(transfer.Config{Store: rows}) // lets a file go on as soon as its receipt is here
	if err != nil {
		return nil, err
	}
	receiver, err := as2x.NewReceiver(as2x.ReceiverConfig{
		Agreements: []as2x.Agreement{{ID: "receipts", Local: cfg.Local, Partner: cfg.Partner}},
		Storage:    transfer.NewMemory(), Records: cfg.Records, Client: waker,
	})
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(ctx)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- serve(life, addr, receiver, func(string) { close(ready) }) }()
	select {
	case <-ready:
		return func() error { end(); return <-ended }, nil
	case err := <-ended:
		end()
		return nil, err
	}
}
