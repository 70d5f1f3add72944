// Send sends files of the current directory to the folder "in" of a partner's SFTP server. Their paths are relative to
// the current directory and stay inside it: "/etc/x" is "./etc/x". It exits with 1 unless all of them arrived.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/sftpx"
)

func main() {
	if len(os.Args) < 6 {
		log.Fatal("usage: send HOST USER KEY-FILE KNOWN-HOSTS-FILE FILE…")
	}
	host, user, key, knownHosts, files := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5:]
	ctx := context.Background()

	signer := must(sftpx.ParsePrivateKey(must(os.ReadFile(key)), nil))
	acme := must(sftpx.New(sftpx.Config{
		Addr: host, User: user, Auth: []sftpx.Auth{sftpx.PublicKey(signer)}, KnownHosts: []string{knownHosts},
	}))
	client := must(transfer.New(transfer.Config{
		Storage:    must(transfer.Dir(".")),
		Connectors: map[string]transfer.Connector{"acme": acme},
		Retry:      transfer.RetryPolicy{MaxTime: time.Minute}, // by default, a partner that is away is waited for for a day
	}))
	must(0, client.Start(ctx))
	started := must(client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{
		ConnectorID: "acme", SendFilePaths: files, RemoteDirectoryPath: "in",
	}))
	summary := must(client.Wait(ctx, started.TransferID))
	results := transfer.NewListFileTransferResultsPaginator(client, &transfer.ListFileTransferResultsInput{
		ConnectorID: "acme", TransferID: started.TransferID,
	})
	for r, err := range results.All(ctx) {
		if failure := must(r, err).Err(); failure != nil {
			fmt.Println(failure)
			continue
		}
		fmt.Println(r.FilePath, r.BytesTransferred, r.SHA256)
	}
	must(0, client.Shutdown(ctx))
	must(0, acme.Close())
	if summary.Failed > 0 {
		os.Exit(1)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
