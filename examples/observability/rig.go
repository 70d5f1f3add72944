package main

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// rig is a client and its partner.
type rig struct {
	partner   *transfertest.SFTPServer
	connector *sftpx.Connector
	client    *transfer.Client
}

func newRig(ctx context.Context, observer transfer.Observer) (r *rig, err error) {
	r = &rig{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close(ctx))
		}
	}()
	if r.partner, err = transfertest.NewSFTPServer(transfertest.SFTPOptions{User: "alice"}); err != nil {
		return r, err
	}
	r.connector, err = sftpx.New(sftpx.Config{
		Addr: r.partner.Addr(), User: "alice", Auth: []sftpx.Auth{sftpx.PublicKey(r.partner.Signer())},
		HostKeys: r.partner.HostKeys(), MakeDirs: true,
	})
	if err != nil {
		return r, err
	}
	storage := transfer.NewMemory()
	storage.WriteFile("/outbox/orders.csv", []byte("id;item;pieces\n1;bolt;400\n"))
	storage.WriteFile("/outbox/photos.tar", bytes.Repeat([]byte("seventeen bytes.\n"), 1<<20))
	r.client, err = transfer.New(transfer.Config{
		Storage: storage, Connectors: map[string]transfer.Connector{"acme": r.connector}, Observer: observer,
	})
	if err != nil {
		return r, err
	}
	return r, r.client.Start(ctx)
}

// move sends two files, and then asks for one of them and one that does not exist.
func (r *rig) move(ctx context.Context) error {
	for _, in := range []transfer.StartFileTransferInput{
		{SendFilePaths: []string{"/outbox/orders.csv"}, RemoteDirectoryPath: "/in"},
		{SendFilePaths: []string{"/outbox/photos.tar"}, RemoteDirectoryPath: "/in"},
		{RetrieveFilePaths: []string{"/in/photos.tar"}, LocalDirectoryPath: "/inbox", Verify: transfer.VerifyReadBack},
		{RetrieveFilePaths: []string{"/in/missing.csv"}, LocalDirectoryPath: "/inbox"},
	} {
		in.ConnectorID = "acme"
		started, err := r.client.StartFileTransfer(ctx, &in)
		if err != nil {
			return err
		}
		if _, err := r.client.Wait(ctx, started.TransferID); err != nil {
			return err
		}
	}
	return nil
}

// close ends what there is.
func (r *rig) close(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if r.client != nil {
		err = r.client.Shutdown(ctx)
	}
	if r.connector != nil {
		err = errors.Join(err, r.connector.Close())
	}
	if r.partner != nil {
		err = errors.Join(err, r.partner.Close())
	}
	return err
}
