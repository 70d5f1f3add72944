package transfertest_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// A server outside of a test: the third write of a file fails as on a full disk.
func ExampleNewSFTPServer() {
	srv, err := transfertest.NewSFTPServer(transfertest.SFTPOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	srv.Inject(transfertest.SFTPRule{Op: transfertest.SFTPWrite, Nth: 3, Status: transfertest.StatusFailure})

	conn, err := ssh.Dial("tcp", srv.Addr(), srv.ClientConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	client, err := sftp.NewClient(conn)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	f, err := client.OpenFile("/a.txt", os.O_WRONLY|os.O_CREATE)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		_, err := f.Write([]byte("line\n"))
		fmt.Println(err)
	}
	fmt.Println(f.Close())

	content, _ := srv.ReadFile("/a.txt")
	fmt.Printf("%q, %d writes, %d open handles\n", content, srv.Requests(transfertest.SFTPWrite), srv.OpenHandles())
	// Output:
	// <nil>
	// <nil>
	// sftp: "Failure" (SSH_FX_FAILURE)
	// <nil>
	// "line\nline\n", 3 writes, 0 open handles
}

// A partner without a network, that refuses the first connection.
func ExampleNewConnector() {
	partner := transfer.NewMemory()
	partner.WriteFile("/out/a.csv", []byte("1;2;3"))
	connector := transfertest.NewConnector(partner, transfertest.ConnectorOptions{})
	connector.Inject(transfertest.Rule{
		Op: transfertest.OpConnect, Times: 1, Err: &transfer.Error{Op: "dial", Code: transfer.ConnectionRefused},
	})

	ctx := context.Background()
	_, err := connector.Connect(ctx)
	fmt.Println(errors.Is(err, transfer.ConnectionRefused))

	remote, err := connector.Connect(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	source, err := remote.Open(ctx, "/out/a.csv")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(source.Info().Size, connector.OpenSources(), connector.OpenRemotes())
	fmt.Println(source.Close(), remote.Close(), connector.OpenSources(), connector.OpenRemotes())
	// Output:
	// true
	// 5 1 1
	// <nil> <nil> 0 0
}

// Every call of a delivery fails once, one after the other: whatever fails, nothing is left open.
func ExampleFailNth() {
	ctx := context.Background()
	errTest := errors.New("injected")
	deliver := func(storage transfer.Storage) (err error) {
		sink, err := storage.Create(ctx, "/a", transfer.CreateOptions{Size: 2, WindowSize: 1, Key: "0123456789abcdef"})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, sink.Close()) }()
		for off := range int64(2) {
			if err := sink.WriteWindow(ctx, []byte("x"), off); err != nil {
				return errors.Join(err, sink.Abort(ctx))
			}
		}
		return sink.Commit(ctx, sha256.Sum256([]byte("xx")))
	}
	for n := 1; ; n++ {
		storage := transfertest.NewStorage(nil)
		failure := storage.Inject(transfertest.FailNth(0, n, errTest))
		err := deliver(storage)
		if failure.Hits() == 0 {
			fmt.Println("there is no call", n, "and the result is", err)
			return
		}
		fmt.Println("call", n, "failed:", errors.Is(err, errTest), storage.OpenSinks(), len(storage.Violations()))
	}
	// Output:
	// call 1 failed: true 0 0
	// call 2 failed: true 0 0
	// call 3 failed: true 0 0
	// call 4 failed: true 0 0
	// call 5 failed: true 0 0
	// there is no call 6 and the result is <nil>
}
