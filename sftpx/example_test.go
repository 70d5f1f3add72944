package sftpx_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/seed62b9dc43/transfer/sftpx"
)

// A partner whose key is pinned, with a password that is fetched when it is needed.
func ExampleNew() {
	conn, err := sftpx.New(sftpx.Config{
		Addr:    "sftp.example.com",
		User:    "alice",
		Partner: "acme",
		Auth: []sftpx.Auth{sftpx.Password(func(context.Context) (string, error) {
			return os.Getenv("ACME_PASSWORD"), nil
		})},
		HostKeys: []string{
			"sftp.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPTZNLEZBwuEO9CJwuiLPMRLP9fC0qWBw3JZq5QmhGbP",
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	fmt.Println(conn.Info().URL, conn.Info().MaxFiles)
	// Output: sftp://alice@sftp.example.com:22 64
}

// What is missing or wrong is said all at once, with the fix.
func ExampleNew_incomplete() {
	_, err := sftpx.New(sftpx.Config{Addr: "sftp://sftp.example.com", Profile: sftpx.Profile{MaxPacket: 1 << 20}})
	fmt.Println(err)
	// Output:
	// sftpx: Config.Addr is "sftp://sftp.example.com": a URL, not a host (try "sftp.example.com" or "sftp.example.com:22")
	// sftpx: Config.User is empty (the account's name at the partner)
	// sftpx: Config.Auth is empty (try sftpx.PublicKey(signer) or sftpx.Password(…))
	// sftpx: Config.MaxPacket is 1048576 (from 512 to 261120 bytes; 0 is the default)
	// sftpx: Config.HostKeys is empty (run `ssh-keyscan -p PORT HOST`, compare the fingerprint (`ssh-keygen -lf -`) with one that the partner told you by another way, and put the line there)
}
