package sftpx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/seed62b9dc43/transfer"
)

// checkpoint is what a later delivery needs to go on.
type checkpoint struct {
	Temp  string `json:"temp"`
	Acked int64  `json:"acked"`
}

// Checkpoint names the temporary file and how much of it the server has acknowledged. Its size on the server would not
// do: after a failure it may have holes.
func (k *sink) Checkpoint() []byte {
	acked := k.acked.Load()
	if acked == 0 || k.r.c.noResume.Load() {
		return nil
	}
	state, err := json.Marshal(checkpoint{k.temp, acked})
	if err != nil {
		return nil // a path that is not UTF-8 starts again at zero
	}
	return state
}

// resume opens the temporary file of an earlier delivery, as it is.
func (k *sink) resume(ctx context.Context) error {
	lost := func(why error) error {
		return &transfer.Error{Op: "resume", Path: k.target, Code: transfer.CheckpointLost, Err: why}
	}
	var c checkpoint
	if err := json.Unmarshal(k.o.Checkpoint, &c); err != nil {
		return lost(fmt.Errorf("decode checkpoint: %w", err))
	}
	whole := c.Acked == k.o.Size || k.o.WindowSize > 0 && c.Acked%k.o.WindowSize == 0
	if c.Temp != k.temp || c.Acked <= 0 || c.Acked > k.o.Size || !whole {
		return lost(errors.New("the checkpoint is of another delivery"))
	}
	if k.r.c.noResume.Load() {
		return lost(errors.New("the server does not write into the middle of a file"))
	}
	err := k.s.request(ctx, "resume", k.temp, func() error { return k.reopen(ctx, c.Acked) })
	switch {
	case err == nil:
		k.acked.Store(c.Acked)
		return nil
	case ctx.Err() != nil || k.s.broken() != nil:
		return err
	}
	return lost(cause(err))
}

// reopen opens the temporary file and makes sure that the server writes into the middle of it, by writing the last
// acknowledged byte once more: some servers open such a file, and then append to it or refuse to write. Where the byte
// cannot be read, there is no way to know, and the delivery starts again at zero.
func (k *sink) reopen(ctx context.Context, acked int64) error {
	stat, err := k.s.client.Stat(k.temp)
	if err != nil {
		return err
	}
	if stat.Size() < acked || stat.Size() > k.o.Size {
		return fmt.Errorf("the file has %d bytes, %d were acknowledged of %d", stat.Size(), acked, k.o.Size)
	}
	last := make([]byte, 1)
	f, err := k.s.client.Open(k.temp)
	if err != nil {
		return err
	}
	_, _, err = k.s.readAt(f, last, acked-1)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if k.file, err = k.s.client.OpenFile(k.temp, os.O_WRONLY); err != nil {
		return err
	}
	if _, err = k.s.writeAt(ctx, k.file, last, acked-1); err != nil && !isBroken(err) {
		k.r.c.noResume.Store(true)
		err = errors.Join(err, k.file.Close())
	}
	return err
}
