package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store/pgstore"
)

// connectorID names the one partner of this program.
const connectorID = "partner"

// shutdownLimit is how long running files have to reach the end of their window.
const shutdownLimit = 30 * time.Second

// work moves files until ctx ends.
func (o options) work(ctx context.Context, stderr io.Writer) (err error) {
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	if o.name != "" {
		log = log.With("worker", o.name)
	}
	n, err := o.open(ctx, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.client.Start(ctx); err != nil {
		return err
	}
	log.Info("started")
	<-ctx.Done()
	log.Info("stopping")
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	return n.client.Shutdown(bounded)
}

// node is a client and what it stands on.
type node struct {
	client  *transfer.Client
	closing []func() error
}

// open connects to the queue, and prepares the rest. What is opened is closed again if something else cannot be.
func (o options) open(ctx context.Context, log *slog.Logger) (n *node, err error) {
	n = &node{}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	dir, err := transfer.Dir(o.dir)
	if err != nil {
		return n, usageError{fmt.Errorf("-dir: %w", err)}
	}
	n.closing = append(n.closing, dir.Close)
	partner, err := o.connector()
	if err != nil {
		return n, usageError{err}
	}
	n.closing = append(n.closing, partner.Close)
	pool, err := pgxpool.New(ctx, o.dsn)
	if err != nil {
		return n, usageError{fmt.Errorf("-dsn: %w", err)}
	}
	n.closing = append(n.closing, func() error { pool.Close(); return nil })
	queue, err := pgstore.Open(ctx, pool, pgstore.Options{})
	if err != nil {
		return n, fmt.Errorf("open the queue: %w", err)
	}
	n.closing = append(n.closing, queue.Close)
	n.client, err = transfer.New(transfer.Config{
		Storage: dir, Store: queue, Connectors: map[string]transfer.Connector{connectorID: partner},
		Logger: log, Name: o.name, MaxFiles: o.files, Lease: o.lease,
	})
	return n, err
}

// close closes what was opened, the last first.
func (n *node) close() (err error) {
	for i := len(n.closing) - 1; i >= 0; i-- {
		err = errors.Join(err, n.closing[i]())
	}
	return err
}
