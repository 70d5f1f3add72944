// Package sqlitestore keeps the state of transfers in a SQLite file: durable on one machine, without a server.
//
// One connection writes; a few read beside it (write-ahead log). Calls that wait for the writer share a transaction, and
// so what it costs to make that durable; one that fails takes nothing of the others with it.
//
// Several processes of one machine may share the file: SQLite's locks put their writes in order, leases keep their workers
// apart. Hints of [Store.Watch] stay within the process; the others see what happened when they poll. A network file
// system does not lock as SQLite needs it: keep the file on a local disk.
//
// Next to the file SQLite keeps two more, with -wal and -shm at the end of their names. They belong to it. A million files
// with paths of 35 bytes, a partner and a rule take 490 bytes each (BenchmarkList prints it).
// What [Store.Purge] removed makes room for new rows; the file does not shrink.
//
// All processes that share a file must know the same version of its schema: end those that run an earlier one before a
// later one opens the file. Bringing a million files from version 1 to 2 takes 20 s of a processor, during which other
// processes cannot write, and those that wait longer than their BusyTimeout fail.
package sqlitestore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/seed62b9dc43/transfer/store"
)

const (
	defaultReaders     = 4
	defaultBusyTimeout = 10 * time.Second
)

// Options of [Open]. The zero value is good.
type Options struct {
	// FullSync makes each write wait until the disk has it: what was reported as written outlives a power cut.
	// Without it a power cut may take back the last writes, in their order, and leaves the file whole; the end of the
	// process never takes anything back.
	FullSync bool
	// Readers is how many calls may read at once. 0 means 4.
	Readers int
	// BusyTimeout is how long a call waits for another process that writes to the file. 0 means 10 s.
	BusyTimeout time.Duration
}

func (o Options) withDefaults() Options {
	o.Readers = cmp.Or(o.Readers, defaultReaders)
	o.BusyTimeout = cmp.Or(o.BusyTimeout, defaultBusyTimeout)
	return o
}

func (o Options) validate() error {
	if o.Readers < 0 {
		return fmt.Errorf("sqlitestore: Options.Readers is %d (try 0, for the default)", o.Readers)
	}
	if o.BusyTimeout < 0 {
		return fmt.Errorf("sqlitestore: Options.BusyTimeout is %v (try 0, for the default)", o.BusyTimeout)
	}
	return nil
}

// Store is a [store.Store] in a SQLite file.
type Store struct {
	options  Options
	readers  *sql.DB
	writer   *writer
	watchers watchers

	life context.Context // ends with Close
	end  context.CancelFunc

	mu     sync.RWMutex // guards closed; held for reading by every call, so that Close waits for them
	closed bool
}

var _ store.Store = (*Store)(nil)

// Open opens the store in the file at path and creates it if it is not there, readable by its owner only. A file of an
// earlier version is brought up to date; one of a later version is refused.
func Open(path string, o Options) (*Store, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Store{options: o.withDefaults()}
	s.life, s.end = context.WithCancel(context.Background())
	if err := s.open(path); err != nil {
		return nil, fmt.Errorf("sqlitestore: open %s: %w", path, err)
	}
	return s, nil
}

func (s *Store) open(path string) (err error) {
	if path == "" {
		return errors.New("the path is empty (give that of a file)")
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if s.writer, err = openWriter(path, s.options); err != nil {
		return err
	}
	s.writer.watchers = &s.watchers
	if err := migrate(s.writer); err != nil {
		return errors.Join(err, s.writer.close())
	}
	s.readers, err = sql.Open("sqlite", dsn(path, "query_only(1)", busyPragma(s.options.BusyTimeout)))
	if err != nil {
		return errors.Join(err, s.writer.close())
	}
	s.readers.SetMaxOpenConns(s.options.Readers)
	s.readers.SetMaxIdleConns(s.options.Readers)
	return nil
}

// dsn is the name by which the driver opens the file at path.
func dsn(path string, pragmas ...string) string {
	u := url.URL{Path: filepath.ToSlash(path)}
	return "file:" + u.EscapedPath() + "?" + url.Values{"_pragma": pragmas}.Encode()
}

func busyPragma(d time.Duration) string { return fmt.Sprintf("busy_timeout(%d)", d.Milliseconds()) }

// Close implements [store.Store]. Calls under way end with ErrClosed, within the time that one statement of a write
// takes; it waits for them. What they had begun to write is not written.
func (s *Store) Close() error {
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.watchers.close()
	// The writer last: the last connection folds the write-ahead log into the file, which a reader may not.
	if err := errors.Join(s.readers.Close(), s.writer.close()); err != nil {
		return fmt.Errorf("sqlitestore: close: %w", err)
	}
	return nil
}

// enter tells whether a call may go on; then leave must follow. The context that it returns ends with ctx and with the
// store.
func (s *Store) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	s.mu.RLock()
	if err = ctx.Err(); s.life.Err() != nil {
		err = store.ErrClosed
	}
	if err != nil {
		s.mu.RUnlock()
		return nil, nil, err
	}
	both, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.life, func() { cancel(store.ErrClosed) })
	return both, func() {
		stop()
		cancel(nil)
		s.mu.RUnlock()
	}, nil
}

// write calls do in a transaction of the writer, alone, and keeps what it wrote if it returns nil. doing is for errors.
func (s *Store) write(ctx context.Context, doing string, rows int, do writing) error {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := s.writer.transact(ctx, rows, do); err != nil {
		return wrap(ctx, doing, err)
	}
	return nil
}

// wrap says what failed. What ended because ctx did, which is enter's, is its error, whatever SQLite says of it.
func wrap(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("sqlitestore: %s: %w", doing, err)
}

// Watch implements [store.Store]. After Close the channel receives once, so that who waits sees ErrClosed at the next
// call.
func (s *Store) Watch(ctx context.Context, topic store.Topic) <-chan struct{} {
	return s.watchers.add(ctx, topic)
}
