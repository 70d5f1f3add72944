package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/awsapi"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
	"github.com/seed62b9dc43/transfer/waarpapi"
)

// shutdownLimit is how long requests have to be answered, and running files to reach the end of their window.
const shutdownLimit = 30 * time.Second

// serve is the service until ctx ends.
func (o *options) serve(ctx context.Context, stdout, stderr io.Writer) (err error) {
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	cfg, err := readConfig(o.config)
	if err != nil {
		return err
	}
	storage, err := transfer.Dir(o.dir)
	if err != nil {
		return fmt.Errorf("-dir: %w", err)
	}
	defer func() { err = errors.Join(err, storage.Close()) }()
	st, err := sqlitestore.Open(o.store, sqlitestore.Options{})
	if err != nil {
		return fmt.Errorf("-store: %w", err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	secrets := transfer.SecretsDir(o.secrets)
	partners := transfer.SecretsDir(filepath.Join(o.secrets, "partners"))
	connectors, closeAll, err := cfg.connectors(protocols()["sftp"], partners)
	defer func() { err = errors.Join(err, closeAll()) }()
	if err != nil {
		return err
	}
	client, err := transfer.New(transfer.Config{
		Storage: storage, Store: st, Connectors: connectors, Protocols: protocols(), Secrets: partners, Logger: log,
	})
	if err != nil {
		return err
	}
	handler, err := o.handler(ctx, cfg, client, secrets, log)
	if err != nil {
		return err
	}
	listener, err := o.listener()
	if err != nil {
		return err
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return errors.Join(err, listener.Close())
	}
	fmt.Fprintf(stdout, "listening on %s\n", listener.Addr())
	return errors.Join(answer(ctx, listener, handler, log), stop(ctx, client))
}

// handler joins the two APIs.
func (o *options) handler(ctx context.Context, cfg configuration, client *transfer.Client, secrets transfer.Secrets, log *slog.Logger) (http.Handler, error) {
	keys, err := accessKeys(ctx, secrets)
	if err != nil {
		return nil, err
	}
	people, err := users(ctx, secrets)
	if err != nil {
		return nil, err
	}
	if keys == nil && people == nil {
		return nil, usageError{fmt.Errorf("-secrets has neither %s nor %s, so that nobody could use the service", accessKeysFile, usersFile)}
	}
	rules, err := cfg.rules()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	if keys != nil {
		aws, err := awsapi.NewHandler(client, awsapi.Config{AccessKeys: keys, Logger: log})
		if err != nil {
			return nil, err
		}
		mux.Handle("POST /{$}", aws)
	}
	if people != nil {
		waarp, err := waarpapi.NewHandler(client, waarpapi.Config{Users: people, Rules: rules, Logger: log})
		if err != nil {
			return nil, err
		}
		mux.Handle("/v2/", waarp)
	}
	return mux, nil
}

// listener listens for up to -connections connections at once, with TLS if there is a certificate.
func (o *options) listener() (net.Listener, error) {
	var certificate tls.Certificate
	if o.cert != "" {
		var err error
		if certificate, err = tls.LoadX509KeyPair(o.cert, o.key); err != nil {
			return nil, fmt.Errorf("-cert, -key: %w", err)
		}
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return nil, fmt.Errorf("-listen: %w", err)
	}
	l = newLimited(l, o.connections)
	if o.cert == "" {
		return l, nil
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}}), nil
}

// answer answers requests until ctx ends, and then those that are under way.
func answer(ctx context.Context, l net.Listener, handler http.Handler, log *slog.Logger) error {
	// The handlers set deadlines for bodies and answers themselves.
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	err := server.Shutdown(bounded)
	if err != nil {
		err = errors.Join(fmt.Errorf("end requests: %w", err), server.Close())
	}
	<-served
	return err
}

// stop lets files reach the end of their window.
func stop(ctx context.Context, client *transfer.Client) error {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	return client.Shutdown(bounded)
}
