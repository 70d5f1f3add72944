package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed62b9dc43/transfer"
)

// A directory is confined: neither ".." nor a symbolic link leads out of it.
func ExampleDir() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "outbox")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	if err := os.WriteFile(filepath.Join(folder, "orders.csv"), []byte("1;bolt\n"), 0o600); err != nil {
		panic(err)
	}
	if err := os.Symlink("/etc", filepath.Join(folder, "link")); err != nil {
		panic(err)
	}
	storage, err := transfer.Dir(folder)
	if err != nil {
		panic(err)
	}
	defer storage.Close()

	source, err := storage.Open(ctx, "/orders.csv")
	if err != nil {
		panic(err)
	}
	fmt.Println(source.Info().Size, source.Close())
	_, err = storage.Open(ctx, "../secret")
	fmt.Println(errors.Is(err, transfer.PathEscapes))
	_, err = storage.Open(ctx, "/link/passwd")
	fmt.Println(errors.Is(err, transfer.PathEscapes))
	// Output:
	// 7 <nil>
	// true
	// true
}
