// Package pgstore keeps the state of transfers in PostgreSQL 15 or later, so that any number of nodes work on one queue
// with no other coordinator. All times come from the database's clock.
//
// It creates the tables transfers, files, connectors, connectors_revision, operations, duties, streams, events, ledger and
// schema_version in a schema of its own. The role needs CREATE on the database for the first [Open] (or [Migrations] applied beforehand), and SELECT,
// INSERT, UPDATE and DELETE afterwards; to bring an earlier version up to date it must own the tables. Nodes of the
// version before go on with tables of the present one, but know nothing of what users want of running files: upgrade
// all nodes together. The database's encoding must be UTF8. Ids, client tokens, follow ids, partners and rule names
// hold up to about 2,600 bytes; longer ones are refused when the transfer is created.
//
// Claim holds an advisory lock for each connector that it names while one statement runs, so that nodes claim the files
// of one connector one after another. PostgreSQL has room for some thousands of such locks (max_locks_per_transaction
// times max_connections).
//
// A file with short names and paths takes about 1,100 bytes: 400 in the table, 500 in indexes and, if it has a rule, 200
// more there. Keep autovacuum on: it takes back what the four writes of a file's life leave behind, and counts are fast
// where it has been.
//
// Behind PgBouncer with pool_mode=transaction, set the pool's DefaultQueryExecMode to pgx.QueryExecModeExec or
// pgx.QueryExecModeSimpleProtocol, with which nothing is prepared and lists are planned at each call. Hints between
// nodes get lost there, because LISTEN needs a session; files are then found at the next poll.
package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed62b9dc43/transfer/store"
)

// DefaultSchema is the schema where Options does not name one.
const DefaultSchema = "transfer"

// maxSchema leaves room in the 63 bytes of a PostgreSQL name for the notification channel's suffix.
const maxSchema = 50

// Options are the choices of [Open].
type Options struct {
	// Schema holds the tables; it is created if it is missing. Stores with different schemas share nothing. Up to 50
	// bytes, not beginning with "pg_"; default DefaultSchema.
	Schema string
}

func (o Options) withDefaults() Options {
	if o.Schema == "" {
		o.Schema = DefaultSchema
	}
	return o
}

func (o Options) validate() error {
	switch {
	case len(o.Schema) > maxSchema:
		return fmt.Errorf("pgstore: Options.Schema has %d bytes (try at most %d)", len(o.Schema), maxSchema)
	case strings.HasPrefix(o.Schema, "pg_"):
		return fmt.Errorf("pgstore: Options.Schema is %q (names that begin with pg_ are PostgreSQL's own)", o.Schema)
	case !storable(o.Schema):
		return fmt.Errorf("pgstore: Options.Schema is %q (try UTF-8 without NUL)", o.Schema)
	}
	return nil
}

// storable reports whether PostgreSQL can hold s as text.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// Store is a [store.Store] in PostgreSQL. Open makes one.
type Store struct {
	pool   *pgxpool.Pool
	schema string
	sql    statements
	replan bool // statements for one call are planned anew

	background context.Context // of listen and announce; ended by Close
	end        context.CancelFunc
	running    sync.WaitGroup // listen and announce

	mu         sync.Mutex // guards the fields below
	closed     bool
	watchers   map[*watcher]struct{}
	listening  bool
	announcing bool
	pending    map[store.Topic]struct{} // what announce has not told the others yet
	wake       chan struct{}            // capacity 1: pending is not empty
}

var _ store.Store = (*Store)(nil)

// reachTimeout bounds how long Open waits for the server's first answer.
const reachTimeout = 30 * time.Second

// Open brings the schema up to date and returns a Store on it. A schema that is newer than this code is refused. The
// pool stays the caller's, who closes it after the Store. Open gives up if the server has not answered within 30 seconds;
// bringing a large schema up to date may take longer and is bounded by ctx alone.
func Open(ctx context.Context, pool *pgxpool.Pool, o Options) (*Store, error) {
	if pool == nil {
		return nil, errors.New("pgstore: pool is nil (try pgxpool.New)")
	}
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if err := migrate(ctx, pool, o.Schema); err != nil {
		return nil, err
	}
	s := &Store{
		pool: pool, schema: o.Schema, sql: newStatements(o.Schema),
		watchers: make(map[*watcher]struct{}), pending: make(map[store.Topic]struct{}), wake: make(chan struct{}, 1),
	}
	s.replan = pool.Config().ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement
	s.background, s.end = context.WithCancel(context.WithoutCancel(ctx))
	return s, nil
}

// Close implements [store.Store]. It waits until its connection for notifications is closed, not for other calls.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	for w := range s.watchers {
		w.stop()
		w.hint()
	}
	clear(s.watchers)
	s.mu.Unlock()
	s.end()
	s.running.Wait()
	return nil
}

// usable tells whether a call may go on.
func (s *Store) usable(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	return ctx.Err()
}

// statements are the fixed texts of SQL for one schema.
type statements struct {
	create, append, getTransfer, getToken, lock, claim, update, enter, swept, purge string
	control                                                                         map[store.State]string
}

func newStatements(schema string) statements {
	in := func(sql string) string { return qualify(schema, sql) }
	return statements{
		create: in(createSQL), append: in(appendSQL), getTransfer: in(getTransferSQL), getToken: in(getTokenSQL),
		lock: lockSQL, claim: in(claimSQL), update: in(updateSQL + updatedSQL), enter: in(updateSQL + enterSQL + updatedSQL), swept: in(sweptSQL), purge: in(purgeSQL),
		control: map[store.State]string{
			store.Paused: in(controlSQL(pauseSQL)), store.Cancelled: in(controlSQL(cancelSQL)), store.Queued: in(controlSQL(resumeSQL)),
		},
	}
}

// qualify puts the schema before the tables, which are marked @.
func qualify(schema, sql string) string { return strings.ReplaceAll(sql, "@.", quote(schema)+".") }

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// retries is how often a call is made again when PostgreSQL asks for it.
const retries = 5

// retry calls do again where the database gave it up for the sake of another transaction.
func retry(do func() error) error {
	var err error
	for range retries {
		if err = do(); !hasCode(err, "40001", "40P01") { // serialization_failure, deadlock_detected
			return err
		}
	}
	return err
}

// hasCode reports whether err is PostgreSQL's with a SQLSTATE that begins with one of codes.
func hasCode(err error, codes ...string) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	for _, code := range codes {
		if strings.HasPrefix(pg.Code, code) {
			return true
		}
	}
	return false
}
