//go:build unix

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/seed62b9dc43/transfer/store/pgstore"
)

// postgresPatience bounds the start of the server.
const postgresPatience = time.Minute

// cluster is a PostgreSQL server of our own, on a socket in its folder.
type cluster struct {
	bin, folder string
	account     *syscall.Credential // nil: who runs this
	life        io.Closer           // the server ends when this is closed, or with this process
	ended       chan error
}

// startPostgres starts a server with its own settings, but for fsync, full_page_writes, which goes with it, and the
// limit of connections.
func startPostgres(fsync bool) func(context.Context, string) (opener, error) {
	return func(ctx context.Context, folder string) (opener, error) {
		c, err := newCluster(folder)
		if err != nil {
			return nil, err
		}
		if err := c.start(ctx, fsync); err != nil {
			return nil, errors.Join(err, c.close())
		}
		return c, nil
	}
}

func newCluster(folder string) (*cluster, error) {
	bin, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	c := &cluster{bin: bin}
	if c.folder, err = os.MkdirTemp(folder, "pg"); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return c, nil
	}
	if c.account, err = postgresAccount(); err != nil { // the server refuses to run as root
		return nil, err
	}
	return c, os.Chown(c.folder, int(c.account.Uid), int(c.account.Gid))
}

// postgresPrograms finds the folder of the newest server, which Debian keeps out of PATH.
func postgresPrograms() (string, error) {
	newest, folder := -1, ""
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is a constant
	for _, path := range found {
		dir := filepath.Dir(path)
		if version, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && version > newest {
			newest, folder = version, dir
		}
	}
	if folder != "" {
		return folder, nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", fmt.Errorf("no PostgreSQL (try apt-get install postgresql, or -stores without it): %w", err)
	}
	return filepath.Dir(path), nil
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

func (c *cluster) start(ctx context.Context, fsync bool) error {
	err := c.run("initdb", "--pgdata", filepath.Join(c.folder, "data"), "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync")
	if err != nil {
		return err
	}
	if err := c.serve(fsync); err != nil {
		return err
	}
	return c.awaitReady(ctx)
}

// serve starts the server under a shell that waits for the end of its input, so that it never outlives this process.
func (c *cluster) serve(fsync bool) error {
	const script = `"$@" >"$0/log" 2>&1 & server=$!
read -r _
kill -QUIT $server 2>/dev/null
wait $server
cd / && rm -rf "$0"`
	setting := "=" + strconv.FormatBool(fsync)
	cmd := c.command("/bin/sh", "-c", script, c.folder, filepath.Join(c.bin, "postgres"), "-D", filepath.Join(c.folder, "data"),
		"-k", c.folder, "-c", "listen_addresses=", "-c", "max_connections=50", "-c", "fsync"+setting, "-c", "full_page_writes"+setting)
	cmd.SysProcAttr.Setpgid = true // an interrupt ends this process, and that the shell
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.life, c.ended = input, make(chan error, 1)
	go func() { c.ended <- cmd.Wait() }()
	return nil
}

func (c *cluster) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, postgresPatience)
	defer cancel()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for c.run("pg_isready", "-q", "-h", c.folder) != nil {
		select {
		case <-poll.C:
		case <-ctx.Done():
			said, _ := os.ReadFile(filepath.Join(c.folder, "log"))
			return fmt.Errorf("PostgreSQL is not ready: %w\n%s", ctx.Err(), said)
		}
	}
	return nil
}

// close ends the server and removes its files.
func (c *cluster) close() error {
	if c.life != nil {
		_ = c.life.Close()
		<-c.ended
	}
	return os.RemoveAll(c.folder)
}

func (c *cluster) dsn() string {
	return "host=" + c.folder + " port=5432 user=postgres dbname=postgres sslmode=disable"
}

// open makes a store in a schema of its own.
func (c *cluster) open(ctx context.Context, name string) (*subject, error) {
	pool, err := pgxpool.New(ctx, c.dsn())
	if err != nil {
		return nil, err
	}
	s, err := pgstore.Open(ctx, pool, pgstore.Options{Schema: name})
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &subject{
		Store: s,
		rest: func(ctx context.Context) error {
			_, err := pool.Exec(ctx, "VACUUM (ANALYZE)")
			return err
		},
		size: func(ctx context.Context) (int64, error) {
			var bytes int64
			err := pool.QueryRow(ctx, `SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c
				JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'`, name).Scan(&bytes)
			return bytes, err
		},
		plain: c.plain,
		close: func() error {
			err := s.Close()
			pool.Close()
			return err
		},
	}, nil
}

func (c *cluster) plain(ctx context.Context) (plain, error) {
	db, err := sql.Open("pgx", c.dsn())
	if err != nil {
		return nil, err
	}
	return (&plainSQL{db: db, dollar: "$", together: 500}).create(ctx)
}
