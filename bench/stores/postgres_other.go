//go:build !unix

package main

import (
	"context"
	"errors"
)

// startPostgres starts no server where there are no sockets in folders.
func startPostgres(bool) func(context.Context, string) (opener, error) {
	return func(context.Context, string) (opener, error) {
		return nil, errors.New("no PostgreSQL on this system (try -stores memory,sqlite,sqlite-full)")
	}
}
