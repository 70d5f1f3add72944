//go:build unix

package endtoend

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/internal/testenv"
)

// database is a PostgreSQL server of the test's own, which is started and stopped at will.
type database struct {
	bin, folder string
	account     *syscall.Credential
	life        io.Closer // the server is stopped at once when this is closed
	command     *exec.Cmd
}

// newDatabase makes a server that is not started.
func newDatabase(t *testing.T) *database {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	require.NoError(t, err)
	if len(found) == 0 {
		testenv.Skip(t, "no PostgreSQL on this machine (apt-get install postgresql)")
	}
	folder, err := os.MkdirTemp("", "pg") // not t's own: a socket's path must be short
	require.NoError(t, err)
	d := &database{bin: found[len(found)-1], folder: folder}
	t.Cleanup(func() {
		d.stop()
		require.NoError(t, os.RemoveAll(folder))
	})
	if os.Geteuid() == 0 { // the server refuses to run as root
		d.account = postgresAccount(t)
		require.NoError(t, os.Chown(folder, int(d.account.Uid), int(d.account.Gid)))
	}
	out, err := d.run("initdb", "--pgdata", d.data(), "--username", "postgres", "--auth", "trust", "--encoding", "UTF8",
		"--locale", "C", "--no-sync").CombinedOutput()
	require.NoError(t, err, string(out))
	return d
}

func postgresAccount(t *testing.T) *syscall.Credential {
	t.Helper()
	account, err := user.Lookup("postgres")
	require.NoError(t, err)
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	require.NoError(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (d *database) data() string { return filepath.Join(d.folder, "data") }

func (d *database) dsn(name string) string {
	return fmt.Sprintf("host=%s user=postgres dbname=%s sslmode=disable", d.folder, name)
}

func (d *database) run(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(d.bin, program), args...)
	cmd.Dir = d.folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: d.account}
	return cmd
}

// start returns once the server answers. It runs under a shell that stops it when its input ends: so it does not outlive
// the test.
func (d *database) start(t *testing.T) {
	t.Helper()
	const script = `"$@" >>"$0/log" 2>&1 & server=$!
read -r _
kill -QUIT $server # an immediate shutdown
wait $server`
	d.command = d.run("postgres")
	d.command.Path = "/bin/sh"
	d.command.Args = []string{"sh", "-c", script, d.folder, filepath.Join(d.bin, "postgres"), "-D", d.data(), "-k", d.folder,
		"-c", "listen_addresses=", "-c", "fsync=off"}
	life, err := d.command.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, d.command.Start())
	d.life = life
	require.Eventually(t, func() bool { return d.answers(t) }, time.Minute, 20*time.Millisecond)
}

func (d *database) answers(t *testing.T) bool {
	conn, err := pgx.Connect(t.Context(), d.dsn("postgres"))
	return err == nil && conn.Close(t.Context()) == nil
}

// stop ends the server without warning: open transactions are lost, and the next start recovers.
func (d *database) stop() {
	if d.life == nil {
		return
	}
	_ = d.life.Close()
	_ = d.command.Wait()
	d.life = nil
}
