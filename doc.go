// Package transfer is managed file transfer as a library: files go between your storage and your partners' servers and
// arrive whole, or fail with a clear code; and you can ask at any time how each of them is doing.
//
// # A client
//
// A [Client] works with a [Storage] (our side), some [Connector]s (the partners) and a [store.Store] (what it
// remembers). Everything has a default that lives in memory.
//
//	client, err := transfer.New(transfer.Config{
//		Storage:    storage, // transfer.NewMemory(), transfer.Dir(path), s3x.New(…), transfer.Mount(…)
//		Connectors: map[string]transfer.Connector{"acme": acme}, // sftpx.New(…)
//	})
//	err = client.Start(ctx) // may be a signal's context: when it ends, running files end at a window
//	…
//	err = client.Shutdown(bounded) // waits for that
//
// # Moving files
//
// [Client.StartFileTransfer] takes AWS Transfer Family's parameters and returns an id at once. Files of one transfer move
// independently: one that fails does not hold up the others.
//
//	out, err := client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{
//		ConnectorID: "acme", SendFilePaths: []string{"/outbox/a.csv"}, RemoteDirectoryPath: "/in",
//	})
//
// # Asking how they are doing
//
// [Client.ListFileTransferResults] tells the status, progress and failure of each file, [Client.Wait] returns when all are
// final.
//
//	p := transfer.NewListFileTransferResultsPaginator(client, &transfer.ListFileTransferResultsInput{
//		ConnectorID: "acme", TransferID: out.TransferID,
//	})
//	for r, err := range p.All(ctx) { … }
//
// [Client.ListTransfers] asks over all transfers that the Store keeps, in Waarp's vocabulary.
//
//	rows, err := client.ListTransfers().Partner("acme").Status(transfer.StatusInError).
//		StartedAfter(yesterday).OrderBy(transfer.DescStart).Limit(50).All(ctx)
//
// # Partners as data
//
// Connectors may also be created while everything runs, as with AWS. Their definitions are in the Store, so that every
// Client over it works with them; their credentials are not: [Config.Secrets] fetches those for each connection.
//
//	client, err := transfer.New(transfer.Config{
//		Protocols: map[string]transfer.Protocol{"sftp": sftpx.Protocol(sftpx.Config{})},
//		Secrets:   transfer.SecretsDir("/etc/partners"),
//	})
//	out, err := client.CreateConnector(ctx, &transfer.CreateConnectorInput{
//		URL: "sftp://sftp.example.com", SftpConfig: &transfer.SftpConnectorConfig{UserSecretID: "acme.json", TrustedHostKeys: keys},
//	})
//
// [Client.TestConnection] tells whether one works, [Client.UpdateConnector] and [Client.DeleteConnector] change it under
// way. [Client.StartDirectoryListing], [Client.StartRemoteMove] and [Client.StartRemoteDelete] are about names at the partner.
//
// # What "whole" means
//
// A target appears under its name only when every byte has been acknowledged: files are written under a temporary name
// and renamed, S3 uploads are completed. The size is checked against the size that the source had before it was opened;
// the SHA-256 of the content is computed on the way and recorded. A source that changes while it is read fails the file
// where the storage can tell (S3 and directories can; SFTP version 3 can tell only by missing bytes).
//
// # When something goes wrong
//
// A failure that may pass by itself is tried again, in mid-file where both sides allow it ([RetryPolicy]); any other is
// final at once. [Client.PauseTransfer], [Client.ResumeTransfer], [Client.CancelTransfer] and [Client.RetryTransfer] work on
// a transfer, on single files, or on whatever a query finds, wherever they run.
//
//	lastNight := client.ListTransfers().Partner("acme").Status(transfer.StatusInError).StartedAfter(yesterday)
//	again, err := client.RetryTransfer(ctx, &transfer.RetryTransferInput{Files: &lastNight})
//
// # Protocols
//
// Partners speak SFTP (package sftpx) or AS2 (package as2x, which receives too). Packages awsapi and waarpapi serve a Client to
// programs that speak AWS Transfer Family's or Waarp's protocol.
//
// # What is remembered
//
// The default Store lives in memory, and forgets everything when the program ends; packages store/sqlitestore and
// store/pgstore keep it, and files go on where a program that ended or crashed had left them. Finished files are kept for
// ever unless [Config.Retention] says otherwise.
package transfer
