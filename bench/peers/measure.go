//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// pair is ours and a peer, one right after the other.
type pair struct{ ours, peer usage }

// result is what became of a row against one opponent.
type result struct {
	row
	opponent
	pairs []pair
	shown string // the peer's command line
}

// measureRow runs ours and each opponent in turns, -repeat times.
func (m *measurement) measureRow(ctx context.Context, r row) ([]result, error) {
	results := make([]result, len(r.opponents))
	for i, o := range r.opponents {
		results[i] = result{row: r, opponent: o}
	}
	for range m.repeat {
		for i := range results {
			if err := m.measurePair(ctx, &results[i]); err != nil {
				return nil, fmt.Errorf("%s: %w", r.key, err)
			}
		}
	}
	return results, nil
}

// measurePair runs ours and then the peer, alone on the machine as far as the lock reaches.
func (m *measurement) measurePair(ctx context.Context, res *result) (err error) {
	unlock, err := m.locked(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	var p pair
	if p.ours, _, err = m.measure(ctx, res.row, oursClient); err != nil {
		return err
	}
	if p.peer, res.shown, err = m.measure(ctx, res.row, res.client); err != nil {
		return err
	}
	res.pairs = append(res.pairs, p)
	m.progress("%s: ours %.2f s, %s %.2f s", res.key, p.ours.wall.Seconds(), res.client.name, p.peer.wall.Seconds())
	return nil
}

// locked waits for an exclusive lock on the file of -lock, if there is one. flock(1) waits in its place, because the
// system call cannot be interrupted, and holds the lock until its input ends.
func (m *measurement) locked(ctx context.Context) (unlock func(), err error) {
	if m.lock == "" {
		return func() {}, nil
	}
	cmd := exec.CommandContext(ctx, "flock", m.lock, "sh", "-c", "echo; exec cat")
	isolate(cmd)
	life, errIn := cmd.StdinPipe()
	said, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	unlock = func() {
		_ = life.Close()
		_ = cmd.Wait()
	}
	if _, err := said.Read(make([]byte, 1)); err != nil {
		unlock()
		return nil, errors.Join(fmt.Errorf("lock %s: %w", m.lock, err), ctx.Err())
	}
	return unlock, nil
}

// measure lets a client do a row's work, checks what arrived, and removes it. It returns the command line too, as the
// page shows it.
func (m *measurement) measure(ctx context.Context, r row, c client) (u usage, shown string, err error) {
	addr := m.bed.sshd.addr
	if r.distance != near {
		relay, err := startRelay(ctx, addr, r.distance)
		if err != nil {
			return u, "", err
		}
		defer relay.close()
		addr = relay.addr()
	}
	m.runs++
	t := m.bed.newTask(r, addr, fmt.Sprint("run", m.runs))
	if err := os.MkdirAll(t.arrived(), 0o755); err != nil {
		return u, "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(filepath.Dir(t.arrived()))) }()
	t.profiles = m.profiles
	todo := c.command(t)
	if u, err = todo.run(ctx); err != nil {
		return u, "", err
	}
	if err := r.data.check(m.bed.sources(), t.arrived()); err != nil {
		return u, "", fmt.Errorf("%s delivered something else: %w", c.name, err)
	}
	return u, t.shown(todo), nil
}
