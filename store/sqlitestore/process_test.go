package sqlitestore_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
)

// workerVariable names the environment variable that makes the test's program a worker on the file at that path.
const workerVariable = "SQLITESTORE_TEST_WORKER"

const processPatience = 2 * time.Minute

// runWorker claims and finishes files until its input ends, and prints the id of each that it finished.
func runWorker(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), processPatience)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	s, err := sqlitestore.Open(path, sqlitestore.Options{})
	if err != nil {
		return err
	}
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for ctx.Err() == nil {
		n, err := workOnce(s)
		if err != nil {
			return err
		}
		if n == 0 {
			<-poll.C
		}
	}
	return s.Close()
}

// workOnce claims and finishes some files. Their leases are short, so that others soon have what a killed worker held.
func workOnce(s store.Store) (int, error) {
	ctx := context.Background()
	claimed, err := s.Claim(ctx, store.ClaimRequest{
		Worker: fmt.Sprint(os.Getpid()), Max: 7, Lease: time.Second, Limits: map[string]int{"acme": 50},
	})
	if err != nil {
		return 0, err
	}
	changes := make([]store.Change, len(claimed))
	for i, c := range claimed {
		changes[i] = store.Change{ID: c.ID, Token: c.Token, State: store.Done}
	}
	verdicts, err := s.Update(ctx, changes)
	for i, verdict := range verdicts {
		if verdict == nil {
			fmt.Println(changes[i].ID)
		}
	}
	return len(claimed), err
}

// process is a worker in a process of its own.
type process struct {
	cmd   *exec.Cmd
	input io.Closer // it ends when this is closed
	ended chan struct{}

	mu       sync.Mutex // guards finished
	finished []string   // the ids that it printed
}

func startProcess(t *testing.T, path string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0]), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), workerVariable+"="+path)
	p.cmd.Stderr = os.Stderr
	input, err := p.cmd.StdinPipe()
	require.NoError(t, err)
	output, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	p.input = input
	t.Cleanup(func() { _ = p.input.Close(); <-p.ended })
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			p.mu.Lock()
			p.finished = append(p.finished, lines.Text())
			p.mu.Unlock()
		}
	}()
	return p
}

func (p *process) ids() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.finished
}

// Processes share one file: each of its files is finished exactly once, though some of the processes are killed while
// they write.
func TestProcessesOnOneFile(t *testing.T) {
	t.Parallel()
	const size, killed = 25, 2
	at := path(t)
	s := open(t, at, sqlitestore.Options{})
	var processes []*process
	for range 4 {
		processes = append(processes, startProcess(t, at))
	}
	created := 0
	for started, deadline := 0, time.Now().Add(processPatience); started < len(processes); {
		require.True(t, time.Now().Before(deadline), "%d processes work", started)
		create(t, s, store.Transfer{ID: fmt.Sprint(created), ConnectorID: "acme", RuleName: "rule"}, newFiles(created, size))
		created++
		if p := processes[started]; len(p.ids()) >= size {
			if started++; started <= killed {
				require.NoError(t, p.cmd.Process.Kill())
				require.Error(t, p.wait())
			}
		}
	}
	require.Eventually(t, func() bool {
		counts, err := s.CountFiles(t.Context(), store.Query{})
		require.NoError(t, err)
		return counts[store.Done] == int64(created*size)
	}, processPatience, 10*time.Millisecond)
	for _, p := range processes[killed:] {
		require.NoError(t, p.input.Close())
		require.NoError(t, p.wait())
	}
	requireOnce(t, processes)
	require.Len(t, list(t, s, store.Query{States: []store.State{store.Done}}), created*size)
	requireSound(t, at)
}

// wait returns how the process ended.
func (p *process) wait() error {
	<-p.ended
	return p.cmd.Wait()
}

func requireOnce(t *testing.T, processes []*process) {
	t.Helper()
	by := make(map[string]int)
	for i, p := range processes {
		for _, id := range p.ids() {
			require.NotContains(t, by, id, "file %s was finished by two", id)
			by[id] = i
		}
		require.NotEmpty(t, p.ids(), "process %d did nothing", i)
	}
}

// requireSound requires a file that is whole and whose counts are those of its rows.
func requireSound(t *testing.T, path string) {
	t.Helper()
	db := raw(t, path)
	var verdict string
	require.NoError(t, db.QueryRow("PRAGMA integrity_check").Scan(&verdict))
	require.Equal(t, "ok", verdict)
	wrong := -1
	require.NoError(t, db.QueryRow(`SELECT count(*) FROM counts c
		WHERE c.files <> (SELECT count(*) FROM files f WHERE f.state = c.state)`).Scan(&wrong))
	require.Zero(t, wrong, "counts differ from the rows")
}
