//go:build unix

package testenv

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// postgresPatience bounds the start of the server.
const postgresPatience = 30 * time.Second

// Postgres returns the connection string of an empty PostgreSQL database of t's own. The server listens on a socket in
// a temporary folder, without fsync; tests that run together share one, which ends with the last of them. t is skipped
// where there is no PostgreSQL (see RequireVariable).
func Postgres(t testing.TB) string {
	t.Helper()
	c, err := acquireCluster(requirePostgres(t))
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	t.Cleanup(releaseCluster)
	name, err := c.createDatabase()
	if err != nil {
		t.Fatalf("create a database: %v", err)
	}
	return c.connection(name)
}

// PostgresServer is a PostgreSQL server of one test's own, which goes down and comes back when the test says so.
type PostgresServer struct {
	Connection string // the connection string of its database
	cluster    *cluster
}

// OwnPostgres starts a server like the one of Postgres for t alone.
func OwnPostgres(t testing.TB) *PostgresServer {
	t.Helper()
	c, err := startCluster(requirePostgres(t))
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	t.Cleanup(c.stop)
	return &PostgresServer{Connection: c.connection("postgres"), cluster: c}
}

// Kill takes the server down as a crash does: all sessions are cut off, and what was committed is recovered at the next
// start.
func (s *PostgresServer) Kill(t testing.TB) {
	t.Helper()
	if err := s.cluster.order("kill"); err != nil {
		t.Fatalf("kill PostgreSQL: %v", err)
	}
}

// Start starts the server again after Kill and waits until it can be used.
func (s *PostgresServer) Start(t testing.TB) {
	t.Helper()
	err := s.cluster.order("start")
	if err == nil {
		err = s.cluster.awaitReady()
	}
	if err != nil {
		t.Fatalf("start PostgreSQL again: %v", err)
	}
}

// requirePostgres returns the folder of the server's programs, or skips t.
func requirePostgres(t testing.TB) string {
	t.Helper()
	bin := postgresFolder()
	if bin == "" {
		missing(t, "PostgreSQL", "apt-get install postgresql")
	}
	return bin
}

// postgresFolder finds the newest server's programs, which Debian keeps out of PATH.
func postgresFolder() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is a constant
	newest, folder := -1, ""
	for _, path := range found {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		if err == nil && version > newest {
			newest, folder = version, filepath.Dir(path)
		}
	}
	if folder == "" {
		if path, err := exec.LookPath("initdb"); err == nil {
			folder = filepath.Dir(path)
		}
	}
	return folder
}

// postgresPort is only a part of the socket's name.
const postgresPort = 5432

// cluster is a running server.
type cluster struct {
	bin, folder string
	account     *syscall.Credential // nil: who runs the test
	life        io.WriteCloser      // takes orders; the server ends when this is closed, or when the test's process dies
	done        *bufio.Reader       // a line for each order
	shell       *exec.Cmd           // takes the orders
	databases   int
}

var (
	clusterMu    sync.Mutex // guards clusterNow, clusterUsers and the cluster's databases
	clusterNow   *cluster
	clusterUsers int
)

func acquireCluster(bin string) (*cluster, error) {
	clusterMu.Lock()
	defer clusterMu.Unlock()
	if clusterNow == nil {
		c, err := startCluster(bin)
		if err != nil {
			return nil, err
		}
		clusterNow = c
	}
	clusterUsers++
	return clusterNow, nil
}

func releaseCluster() {
	clusterMu.Lock()
	defer clusterMu.Unlock()
	if clusterUsers--; clusterUsers == 0 {
		clusterNow.stop()
		clusterNow = nil
	}
}

func startCluster(bin string) (c *cluster, err error) {
	c = &cluster{bin: bin}
	if os.Geteuid() == 0 { // the server refuses to run as root
		if c.account, err = postgresAccount(); err != nil {
			return nil, err
		}
	}
	if c.folder, err = os.MkdirTemp("", "pg"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	if c.account != nil {
		if err := os.Chown(c.folder, int(c.account.Uid), int(c.account.Gid)); err != nil {
			return nil, err
		}
	}
	err = c.run("initdb", "--pgdata", c.data(), "--username", "postgres", "--auth", "trust", "--encoding", "UTF8",
		"--locale", "C", "--no-sync")
	if err != nil {
		return nil, err
	}
	if err := c.serve(); err != nil {
		return nil, err
	}
	return c, c.awaitReady()
}

func postgresAccount() (*syscall.Credential, error) {
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, errUID := strconv.ParseUint(account.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(account.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(errUID, errGID)
}

func (c *cluster) data() string { return filepath.Join(c.folder, "data") }

// command is one of the server's programs, run as the account that it wants.
func (c *cluster) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = c.folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.account}
	return cmd
}

func (c *cluster) run(program string, args ...string) error {
	if output, err := c.command(filepath.Join(c.bin, program), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, output)
	}
	return nil
}

// serve starts the server under a shell that waits for the end of its input: a test's process that is killed leaves
// neither server nor files behind.
func (c *cluster) serve() error {
	const script = `start() { "$@" >>"$0/log" 2>&1 & server=$!; }
end() { kill -QUIT $server 2>/dev/null; wait $server; }
start "$@"
while read -r order; do
	case $order in
	kill) end ;;
	start) start "$@" ;;
	esac
	echo "$order"
done
end
cd / && rm -rf "$0"`
	cmd := c.command("/bin/sh", "-c", script, c.folder, filepath.Join(c.bin, "postgres"), "-D", c.data(), "-k", c.folder,
		"-p", strconv.Itoa(postgresPort), "-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off",
		"-c", "max_connections=200")
	cmd.SysProcAttr.Setpgid = true // what kills the test's whole group must not kill the shell
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.life, c.done, c.shell = input, bufio.NewReader(output), cmd
	return nil
}

// order has the shell do something and waits until it is done.
func (c *cluster) order(what string) error {
	if _, err := io.WriteString(c.life, what+"\n"); err != nil {
		return err
	}
	_, err := c.done.ReadString('\n')
	return err
}

// connection is the connection string of a database.
func (c *cluster) connection(database string) string {
	return fmt.Sprintf("host=%s port=%d user=postgres dbname=%s sslmode=disable", c.folder, postgresPort, database)
}

func (c *cluster) awaitReady() error {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(postgresPatience)
	for {
		if c.run("pg_isready", "-q", "-h", c.folder, "-p", strconv.Itoa(postgresPort)) == nil {
			return nil
		}
		select {
		case <-poll.C:
		case <-deadline:
			said, _ := os.ReadFile(filepath.Join(c.folder, "log"))
			return fmt.Errorf("not ready after %v:\n%s", postgresPatience, said)
		}
	}
}

func (c *cluster) createDatabase() (string, error) {
	clusterMu.Lock()
	c.databases++
	name := fmt.Sprint("test", c.databases)
	clusterMu.Unlock()
	return name, c.run("createdb", "-h", c.folder, "-p", strconv.Itoa(postgresPort), "-U", "postgres", name)
}

// stop ends the server and removes its files.
func (c *cluster) stop() {
	if c.life != nil {
		_ = c.life.Close()
		_ = c.shell.Wait()
	}
	_ = os.RemoveAll(c.folder)
}
