package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// attempt is how long SQLite waits by itself for another process to end its writing. It does not look at contexts
// meanwhile, so it is short, and begin tries again.
const attempt = 50 * time.Millisecond

// writer is the one connection that writes. Its statements are short and run without a context: the driver starts a
// goroutine for each statement that has one.
type writer struct {
	turn        chan struct{} // holds one token; who has it may use what follows
	waiting     waiting       // has a lock of its own
	busyTimeout time.Duration
	db          *sql.DB
	conn        *sql.Conn
	statements  map[string]*sql.Stmt // by their text
	effects     effects              // of the transaction under way
	watchers    *watchers
}

func openWriter(path string, o Options) (*writer, error) {
	synchronous := "synchronous(NORMAL)"
	if o.FullSync {
		synchronous = "synchronous(FULL)"
	}
	// Up to 32 MB of pages are kept in memory, and 16 MB of log are written before they are folded into the file: the
	// same few pages, at the end of each index, are written again and again.
	db, err := sql.Open("sqlite", dsn(path, busyPragma(o.BusyTimeout), "journal_mode(WAL)", synchronous,
		"cache_size(-32000)", "wal_autocheckpoint(4000)"))
	if err != nil {
		return nil, err
	}
	w := &writer{turn: make(chan struct{}, 1), busyTimeout: o.BusyTimeout, db: db, statements: make(map[string]*sql.Stmt)}
	if w.conn, err = db.Conn(context.Background()); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if _, err := w.conn.ExecContext(context.Background(), "PRAGMA "+busyPragma(attempt)); err != nil {
		return nil, errors.Join(err, w.close())
	}
	w.turn <- struct{}{}
	return w, nil
}

func (w *writer) close() error {
	var errs []error
	for _, s := range w.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close(), w.db.Close())...)
}

// commit ends the transaction and gives out its hints.
func (w *writer) commit() error {
	if err := w.count(); err != nil {
		return err
	}
	if _, err := w.exec("COMMIT"); err != nil {
		return err
	}
	w.watchers.hint(w.effects.hints)
	return nil
}

// rollback ends the transaction, if SQLite has not done so by itself, as it may when the disk is full.
func (w *writer) rollback() { _, _ = w.exec("ROLLBACK") }

// begin locks the database for writing.
func (w *writer) begin(ctx context.Context) error {
	deadline := time.Now().Add(w.busyTimeout)
	for {
		_, err := w.exec("BEGIN IMMEDIATE")
		if !hasCode(err, sqlite3.SQLITE_BUSY) || time.Now().After(deadline) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// hasCode tells whether SQLite gave err with this code or one of its finer ones.
func hasCode(err error, codes ...int) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, code := range codes {
		if e.Code()&0xff == code {
			return true
		}
	}
	return false
}

// prepared returns the statement of this text; the texts are few.
func (w *writer) prepared(text string) (*sql.Stmt, error) {
	if s := w.statements[text]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(context.Background(), text)
	if err == nil {
		w.statements[text] = s
	}
	return s, err
}

func (w *writer) exec(text string, args ...any) (sql.Result, error) {
	s, err := w.prepared(text)
	if err != nil {
		return nil, err
	}
	return s.Exec(args...)
}

// row reads one row, or gives sql.ErrNoRows.
func (w *writer) row(text string, args []any, into ...any) error {
	s, err := w.prepared(text)
	if err != nil {
		return err
	}
	return s.QueryRow(args...).Scan(into...)
}

// each calls scan for each row.
func (w *writer) each(text string, args []any, scan func(*sql.Rows) error) error {
	s, err := w.prepared(text)
	if err != nil {
		return err
	}
	rows, err := s.Query(args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

func eachRow(rows *sql.Rows, scan func(*sql.Rows) error) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
