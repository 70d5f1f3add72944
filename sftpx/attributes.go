package sftpx

import (
	"context"
	"math"

	"github.com/seed62b9dc43/transfer"
)

// setAttributes gives the delivered file its permissions and time, as well as the server lets it. Partners refuse that
// more often than not, or have taken the file already; no delivery fails for it.
func (k *sink) setAttributes(ctx context.Context) {
	client := k.s.client
	if mode := k.r.c.cfg.FileMode; mode != 0 {
		k.try(ctx, "set mode", func() error { return client.Chmod(k.temp, mode) })
	}
	modified := k.o.ModTime
	if seconds := modified.Unix(); k.r.c.cfg.PreserveTimes && seconds > 0 && seconds <= math.MaxUint32 {
		k.try(ctx, "set time", func() error { return client.Chtimes(k.temp, modified, modified) })
	}
}

// try makes a request that may fail. One that the server does not know is not made again.
func (k *sink) try(ctx context.Context, op string, f func() error) {
	c := k.r.c
	if c.noSetstat.Load() {
		return
	}
	err := k.s.request(ctx, op, k.temp, f)
	if err == nil {
		return
	}
	if transfer.CodeOf(err) == transfer.UnsupportedOperationError {
		c.noSetstat.Store(true)
	}
	c.log.Debug("sftp server does not set attributes", "server", c.url, "error", err)
}
