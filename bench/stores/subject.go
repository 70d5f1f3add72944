package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
)

// kind is one way to keep rows.
type kind struct {
	name     string // as -stores has it
	title    string // as the tables have it
	lifeOnly bool   // it reads as another kind does, so only its writes are measured
	page     time.Duration
	life     float64 // goal: files per second
	start    func(ctx context.Context, folder string) (opener, error)
}

// opener makes empty stores of one kind.
type opener interface {
	open(ctx context.Context, name string) (*subject, error)
	close() error
}

// subject is a store that is measured.
type subject struct {
	store.Store
	rest  func(ctx context.Context) error          // does what a database does when it has time, after many writes
	size  func(ctx context.Context) (int64, error) // bytes of all rows
	plain func(ctx context.Context) (plain, error) // an empty one
	close func() error
}

// kinds are all there are, in the order of the tables.
var kinds = []kind{
	{name: "memory", title: "Memory", page: 100 * time.Microsecond, life: 100_000, start: startMemory},
	{name: "sqlite", title: "SQLite", page: 2 * time.Millisecond, life: 15_000, start: startSQLite(false)},
	{name: "sqlite-full", title: "SQLite FullSync", lifeOnly: true, life: 10_000, start: startSQLite(true)},
	{name: "postgres", title: "PostgreSQL", page: 2 * time.Millisecond, life: 10_000, start: startPostgres(false)},
	{name: "postgres-fsync", title: "PostgreSQL fsync", lifeOnly: true, life: 10_000, start: startPostgres(true)},
}

type memoryOpener struct{}

func startMemory(context.Context, string) (opener, error) { return memoryOpener{}, nil }

func (memoryOpener) close() error { return nil }

func (memoryOpener) open(context.Context, string) (*subject, error) {
	before := heap()
	m := store.NewMemory()
	return &subject{
		Store: m,
		rest:  func(context.Context) error { return nil },
		size: func(context.Context) (int64, error) {
			after := heap()
			runtime.KeepAlive(m)
			return after - before, nil
		},
		plain: func(context.Context) (plain, error) { return &plainMemory{}, nil },
		close: m.Close,
	}, nil
}

// heap is what is in use.
func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

type sqliteOpener struct {
	folder string
	full   bool
}

func startSQLite(full bool) func(context.Context, string) (opener, error) {
	return func(_ context.Context, folder string) (opener, error) {
		folder, err := os.MkdirTemp(folder, "sqlite")
		return sqliteOpener{folder, full}, err
	}
}

func (o sqliteOpener) close() error { return os.RemoveAll(o.folder) }

func (o sqliteOpener) open(_ context.Context, name string) (*subject, error) {
	path := filepath.Join(o.folder, name+".db")
	s, err := sqlitestore.Open(path, sqlitestore.Options{FullSync: o.full})
	if err != nil {
		return nil, err
	}
	return &subject{
		Store: s,
		rest:  func(ctx context.Context) error { return checkpoint(ctx, path) },
		size: func(context.Context) (int64, error) {
			info, err := os.Stat(path)
			if err != nil {
				return 0, err
			}
			return info.Size(), nil
		},
		plain: func(ctx context.Context) (plain, error) {
			return plainSQLite(ctx, filepath.Join(o.folder, name+"-plain.db"))
		},
		close: s.Close,
	}, nil
}

// checkpoint moves the write-ahead log into the file.
func checkpoint(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

func plainSQLite(ctx context.Context, path string) (plain, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(0)&_pragma=journal_mode(OFF)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return (&plainSQL{db: db, dollar: "?", together: 1}).create(ctx)
}
