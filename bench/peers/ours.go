//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"

	gossh "golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/s3x"
	"github.com/seed62b9dc43/transfer/sftpx"
)

// oursName is the argument that makes this program a client of the library instead of a measurement.
const oursName = "ours"

// ours moves the files that the standard input names, a path in a line, as any program does that uses the library: with
// its public names and, but for the flags, its defaults.
type ours struct {
	addr, user, key, hostKey string
	connections              int
	dir                      string
	endpoint, bucket         string
	retrieve                 bool
	to                       string
	cpuProfile, memProfile   string
}

// runOurs is the whole client; it returns the exit status.
func runOurs(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parseOurs(args)
	if err == nil {
		err = o.profiled(func() error { return o.run(ctx) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ours:", err)
		return 1
	}
	return 0
}

func parseOurs(args []string) (*ours, error) {
	o := &ours{}
	flags := flag.NewFlagSet(oursName, flag.ContinueOnError)
	flags.StringVar(&o.addr, "addr", "", "`host:port` of the SFTP server")
	flags.StringVar(&o.user, "user", "", "the account's `name`")
	flags.StringVar(&o.key, "key", "", "`file` of the private key")
	flags.StringVar(&o.hostKey, "hostkey", "", "`file` of the server's public key")
	flags.IntVar(&o.connections, "connections", 0, "sftpx.Config.MaxConnections")
	flags.StringVar(&o.dir, "dir", "", "`folder` that is our side, unless -bucket is")
	flags.StringVar(&o.endpoint, "endpoint", "", "`URL` of the S3 server")
	flags.StringVar(&o.bucket, "bucket", "", "bucket and prefix that are our side, as `bucket/prefix`")
	flags.BoolVar(&o.retrieve, "retrieve", false, "retrieve the files instead of sending them")
	flags.StringVar(&o.to, "to", "", "target `folder`")
	flags.StringVar(&o.cpuProfile, "cpuprofile", "", "`file` for a CPU profile")
	flags.StringVar(&o.memProfile, "memprofile", "", "`file` for an allocation profile")
	return o, flags.Parse(args)
}

// run moves the files and returns when they have arrived.
func (o *ours) run(ctx context.Context) (err error) {
	paths, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	storage, err := o.storage()
	if err != nil {
		return err
	}
	connector, err := o.connector()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connector.Close()) }()
	client, err := transfer.New(transfer.Config{
		Storage:    storage,
		Connectors: map[string]transfer.Connector{"peer": connector},
	})
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	defer func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), killDelay)
		defer cancel()
		err = errors.Join(err, client.Shutdown(bounded))
	}()
	return o.move(ctx, client, strings.Fields(string(paths)))
}

func (o *ours) move(ctx context.Context, client *transfer.Client, paths []string) error {
	request := &transfer.StartFileTransferInput{ConnectorID: "peer", SendFilePaths: paths, RemoteDirectoryPath: o.to}
	if o.retrieve {
		request = &transfer.StartFileTransferInput{ConnectorID: "peer", RetrieveFilePaths: paths, LocalDirectoryPath: o.to}
	}
	started, err := client.StartFileTransfer(ctx, request)
	if err != nil {
		return err
	}
	if _, err := client.Wait(ctx, started.TransferID); err != nil {
		return err
	}
	return failures(ctx, client, started.TransferID)
}

// failures is the first file that failed, if one did.
func failures(ctx context.Context, client *transfer.Client, id string) error {
	pages := transfer.NewListFileTransferResultsPaginator(client, &transfer.ListFileTransferResultsInput{ConnectorID: "peer", TransferID: id})
	for r, err := range pages.All(ctx) {
		if err != nil {
			return err
		}
		if r.FailureCode != "" {
			return fmt.Errorf("%s: %s: %s", r.FilePath, r.FailureCode, r.FailureMessage)
		}
	}
	return nil
}

func (o *ours) storage() (transfer.Storage, error) {
	if o.bucket == "" {
		return transfer.Dir(o.dir)
	}
	client := newS3Client(o.endpoint, os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"))
	bucket, prefix, _ := strings.Cut(o.bucket, "/")
	return s3x.New(client, s3x.Options{Bucket: bucket, Prefix: prefix})
}

func (o *ours) connector() (*sftpx.Connector, error) {
	private, err := os.ReadFile(o.key)
	if err != nil {
		return nil, err
	}
	signer, err := gossh.ParsePrivateKey(private)
	if err != nil {
		return nil, err
	}
	public, err := os.ReadFile(o.hostKey)
	if err != nil {
		return nil, err
	}
	return sftpx.New(sftpx.Config{
		Addr:           o.addr,
		User:           o.user,
		Auth:           []sftpx.Auth{sftpx.PublicKey(signer)},
		HostKeys:       []string{string(public)},
		MaxConnections: o.connections,
	})
}

// profiled runs f and writes the profiles that are wanted.
func (o *ours) profiled(f func() error) (err error) {
	if o.cpuProfile != "" {
		file, err := os.Create(o.cpuProfile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if o.memProfile != "" {
		runtime.MemProfileRate = 32 << 10
		defer func() { err = errors.Join(err, writeHeap(o.memProfile)) }()
	}
	return f()
}

func writeHeap(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(file, 0), file.Close())
}
