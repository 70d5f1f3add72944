//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/store"
)

// rig is the built program, a queue, and a partner behind a slow line.
type rig struct {
	program, folder string
	flags           []string
	outbox, inbox   string
	sums            map[string][sha256.Size]byte
	line            *relay
	queue           *pgxpool.Pool
}

func setup(t *testing.T, big []int64, small int) *rig {
	t.Helper()
	folder := t.TempDir()
	r := &rig{program: filepath.Join(folder, "fleet"), folder: folder, outbox: filepath.Join(folder, "outbox")}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-race=false", "-o", r.program, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	key, authorized := newKey(t, folder)
	sshd := testenv.SSHD(t, "AuthorizedKeysFile "+authorized)
	r.inbox = filepath.Join(sshd.Dir, "in")
	r.line = newRelay(t, sshd.Addr, bandwidth)
	dsn := testenv.Postgres(t)
	r.queue, err = pgxpool.New(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(r.queue.Close)
	r.flags = []string{
		"-dsn", dsn, "-dir", r.outbox, "-host", r.line.addr(), "-user", sshd.User, "-key", key,
		"-host-key", strings.Join(sshd.HostKeys, "\n"), "-limit", fmt.Sprint(limit),
	}
	r.writeFiles(t, big, small)
	return r
}

// writeFiles fills the outbox: the big files come first by name.
func (r *rig) writeFiles(t *testing.T, big []int64, small int) {
	t.Helper()
	require.NoError(t, os.Mkdir(r.outbox, 0o755))
	random := mathrand.NewChaCha8([32]byte{62, 'f'})
	r.sums = make(map[string][sha256.Size]byte)
	write := func(name string, size int64) {
		data, err := io.ReadAll(io.LimitReader(random, size))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(r.outbox, name), data, 0o600))
		r.sums[name] = sha256.Sum256(data)
	}
	for i, size := range big {
		write(fmt.Sprintf("big-%d.bin", i), size)
	}
	for i := range small {
		write(fmt.Sprintf("small-%02d.bin", i), int64(i*i*100))
	}
}

// process is a running fleet program.
type process struct {
	*exec.Cmd
	name   string
	stdout bytes.Buffer // read only after Wait
	log    string       // path of its standard error
	ended  bool
}

func (r *rig) start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{name: name, log: filepath.Join(r.folder, name+".log")}
	log, err := os.Create(p.log)
	require.NoError(t, err)
	p.Cmd = exec.CommandContext(context.WithoutCancel(t.Context()), r.program, slices.Concat(args[:1], r.flags, args[1:])...)
	p.Stdout, p.Stderr = &p.stdout, log
	require.NoError(t, p.Start())
	require.NoError(t, log.Close())
	t.Cleanup(func() {
		if !p.ended {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
		if t.Failed() {
			t.Logf("%s said:\n%s%s", name, p.said(), p.stdout.String())
		}
	})
	return p
}

func (p *process) said() string {
	said, _ := os.ReadFile(p.log)
	return string(said)
}

// wait returns the exit status, -1 after a signal.
func (p *process) wait() int {
	p.ended = true
	_ = p.Wait()
	return p.ProcessState.ExitCode()
}

// worker starts a worker and returns once it works.
func (r *rig) worker(t *testing.T, name string) *process {
	t.Helper()
	p := r.start(t, name, work, "-name", name, "-files", fmt.Sprint(perWorker), "-lease", lease.String())
	require.Eventually(t, func() bool { return strings.Contains(p.said(), `"started"`) }, patience, 10*time.Millisecond)
	return p
}

func (r *rig) submitter(t *testing.T, name string) *process {
	return r.start(t, name, submit, "-job", "orders", "-to", "in", "-transfers", "3")
}

// row is a file in the queue.
type row struct {
	ID           int64
	Name         string `db:"source_path"`
	State        store.State
	Worker       string
	Attempts     int
	Size, Offset int64
	Rank         int64
	Live, Ended  bool
	SHA256       []byte
}

// rows reads all files in one statement.
func (r *rig) rows(t *testing.T) []row {
	t.Helper()
	rows, err := r.queue.Query(t.Context(), `SELECT id, source_path, state, worker, attempts, size, acknowledged AS "offset", rank,
		coalesce(lease_until > statement_timestamp(), false) AS live, finished_at IS NOT NULL AS ended, sha256
		FROM transfer.files ORDER BY id`)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	require.NoError(t, err)
	return all
}
