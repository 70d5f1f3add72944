// Send sends files of the current directory to the folder "in" of a partner's SFTP server.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

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
	}))
	must(0, client.Start(ctx))
	started := must(client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{
		ConnectorID: "acme", SendFilePaths: files, RemoteDirectoryPath: "in",
	}))
	must(client.Wait(ctx, started.TransferID))
	results := transfer.NewListFileTransferResultsPaginator(client, &transfer.ListFileTransferResultsInput{
		ConnectorID: "acme", TransferID: started.TransferID,
	})
	for r, err := range results.All(ctx) {
		fmt.Println(must(r, err).FilePath, r.StatusCode, r.BytesTransferred, r.SHA256, r.FailureCode, r.FailureMessage)
	}
	must(0, client.Shutdown(ctx))
	must(0, acme.Close())
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
