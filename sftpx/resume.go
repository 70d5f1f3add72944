package sftpx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

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
	acked := k.acked.below()
	if acked == 0 || k.r.c.noResume.Load() {
		return nil
	}
	state, err := json.Marshal(checkpoint{k.temp, acked})
	if err != nil {
		return nil // a path that is not UTF-8 starts again at zero
	}
	return state
}

// parseCheckpoint returns how much of temp was acknowledged.
func parseCheckpoint(temp string, o transfer.CreateOptions) (acked int64, err error) {
	var c checkpoint
	if err := json.Unmarshal(o.Checkpoint, &c); err != nil {
		return 0, fmt.Errorf("decode checkpoint: %w", err)
	}
	whole := c.Acked == o.Size || o.WindowSize > 0 && c.Acked%o.WindowSize == 0
	if o.Size == transfer.UnknownSize || c.Temp != temp || c.Acked <= 0 || c.Acked > o.Size || !whole {
		return 0, errors.New("the checkpoint is of another delivery")
	}
	return c.Acked, nil
}

// resume opens the temporary file of an earlier delivery, as it is.
func (k *sink) resume(ctx context.Context) error {
	lost := func(why error) error {
		return &transfer.Error{Op: "resume", Path: k.target, Code: transfer.CheckpointLost, Err: why}
	}
	acked, err := parseCheckpoint(k.temp, k.o)
	if err != nil {
		return lost(err)
	}
	if k.r.c.noResume.Load() {
		return lost(errors.New("the server does not write into the middle of a file"))
	}
	err = k.s.request(ctx, "resume", k.temp, func() error { return k.reopen(ctx, acked) })
	switch {
	case err == nil:
		k.acked.add(0, acked)
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
	client := k.s.client
	stat, err := client.Stat(k.temp)
	if err != nil {
		return err
	}
	if stat.Size() < acked || stat.Size() > k.o.Size {
		return fmt.Errorf("the file has %d bytes, %d were acknowledged of %d", stat.Size(), acked, k.o.Size)
	}
	last := make([]byte, 1)
	f, err := k.s.openFile(k.temp, fxfRead)
	if err != nil {
		return err
	}
	err = f.move(ctx, last, acked-1)
	if isStatus(err, fxFailure, fxOpUnsupported) {
		k.r.refused = k.temp
	}
	if err = errors.Join(err, f.close()); err != nil {
		return err
	}
	if f, err = k.s.openFile(k.temp, fxfWrite); err != nil {
		k.r.refused = k.temp
		return err
	}
	if err = k.rewrite(ctx, f, last, acked-1, stat.Size()); err != nil {
		return errors.Join(err, f.close())
	}
	k.file = f
	return nil
}

// rewrite writes the byte at off once more, and looks whether that made the file longer.
func (k *sink) rewrite(ctx context.Context, f *file, last []byte, off, size int64) error {
	err := f.move(ctx, last, off)
	if err != nil {
		if !isBroken(err) {
			k.r.c.rememberNoResume("it opens a file, but does not write into the middle of it")
		}
		return err
	}
	stat, err := k.s.client.Stat(k.temp)
	if err == nil && stat.Size() == size+int64(len(last)) {
		k.r.c.rememberNoResume("it appends what is written into the middle of a file")
		err = fmt.Errorf("the file had %d bytes, and one more after one in the middle was written", size)
	}
	return err
}
