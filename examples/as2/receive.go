package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/as2x"
)

// shutdownLimit is how long messages under way have to come to their end.
const shutdownLimit = 15 * time.Second

// receive takes messages until it is interrupted. What it knows of messages that came before is in the folder .as2.
func receive(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var p parties
	f := p.flags("receive", "from", stderr)
	listen := f.String("listen", "127.0.0.1:4080", "`address` to listen at")
	dir := f.String("dir", "inbox", "`folder` for received files")
	mdnHosts := f.String("mdn-hosts", "", "`hosts` to which receipts may be sent later, with commas between them")
	if err := f.Parse(args); err != nil {
		return usageError{err}
	}
	local, partner, err := p.load()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	storage, err := transfer.Dir(*dir)
	if err != nil {
		return err
	}
	defer func() { _ = storage.Close() }()
	receiver, err := newReceiver(storage, as2x.Agreement{
		ID: "from-" + p.partner, Local: local, Partner: partner, MaxSize: -1, AsyncMDNHosts: hosts(*mdnHosts),
	}, stderr)
	if err != nil {
		return err
	}
	return serve(ctx, *listen, receiver, func(addr string) { fmt.Fprintln(stdout, "listening at", addr) })
}

// newReceiver makes what takes messages of one partner into a storage.
func newReceiver(storage transfer.Storage, a as2x.Agreement, stderr io.Writer) (*as2x.Receiver, error) {
	client, err := transfer.New(transfer.Config{Storage: storage})
	if err != nil {
		return nil, err
	}
	return as2x.NewReceiver(as2x.ReceiverConfig{
		Agreements: []as2x.Agreement{a},
		Storage:    storage,
		Records:    &as2x.Records{Storage: storage, Directory: ".as2"},
		Client:     client, // its rows tell what came: client.ListTransfers()
		Logger:     slog.New(slog.NewTextHandler(stderr, nil)),
	})
}

func hosts(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// serve runs a Receiver until ctx ends.
func serve(ctx context.Context, addr string, receiver *as2x.Receiver, ready func(addr string)) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: receiver, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	ready(listener.Addr().String())
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	err = errors.Join(server.Shutdown(bounded), receiver.Close(bounded))
	<-ended
	return err
}
