package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/seed62b9dc43/transfer/store"
)

// kinds are those of events that a stream receives, or that any stream does.
type kinds struct{ progressed, finished bool }

func kindsOf(list []store.EventKind) kinds {
	return kinds{slices.Contains(list, store.FileProgressed), slices.Contains(list, store.FileFinished)}
}

func (k kinds) list() []store.EventKind {
	var list []store.EventKind
	if k.progressed {
		list = append(list, store.FileProgressed)
	}
	if k.finished {
		list = append(list, store.FileFinished)
	}
	return list
}

// OpenStream implements [store.Store].
func (s *Store) OpenStream(ctx context.Context, stream store.Stream) error {
	k := kindsOf(stream.Kinds)
	return s.write(ctx, "open stream "+stream.Name, 1, func(_ context.Context, w *writer, _ micros) error {
		w.effects.received = nil
		_, err := w.exec(`INSERT INTO streams (name, progressed, finished) VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET progressed = excluded.progressed, finished = excluded.finished`,
			stream.Name, k.progressed, k.finished)
		return err
	})
}

// CloseStream implements [store.Store]. It takes some seconds for a million events, during which nothing else is
// written: purge a stream of many first.
func (s *Store) CloseStream(ctx context.Context, name string) error {
	return plain(s.write(ctx, "close stream "+name, 1, func(_ context.Context, w *writer, _ micros) error {
		w.effects.received = nil
		id, err := w.stream(name)
		if err != nil {
			return err
		}
		if _, err := w.exec("DELETE FROM events WHERE stream = ?", id); err != nil {
			return err
		}
		_, err = w.exec("DELETE FROM streams WHERE id = ?", id)
		return err
	}))
}

// stream returns the id of an open one, or ErrNotFound.
func (w *writer) stream(name string) (id int64, err error) {
	err = w.row("SELECT id FROM streams WHERE name = ?", []any{name}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	return id, err
}

// ListStreams implements [store.Store].
func (s *Store) ListStreams(ctx context.Context) ([]store.Stream, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var streams []store.Stream
	err = s.read(ctx, "SELECT name, progressed, finished FROM streams ORDER BY name", nil, func(rows *sql.Rows) error {
		var stream store.Stream
		var k kinds
		err := rows.Scan(&stream.Name, &k.progressed, &k.finished)
		stream.Kinds = k.list()
		streams = append(streams, stream)
		return err
	})
	if err != nil {
		return nil, wrap(ctx, "list streams", err)
	}
	return streams, nil
}

// received returns what any stream receives. It is read once in a transaction, and only by those that have something to
// tell.
func (w *writer) received() (kinds, error) {
	if w.effects.received == nil {
		var k kinds
		err := w.row("SELECT coalesce(max(progressed), 0), coalesce(max(finished), 0) FROM streams", nil, &k.progressed, &k.finished)
		if err != nil {
			return kinds{}, err
		}
		w.effects.received = &k
	}
	return *w.effects.received, nil
}

// progresses tells whether a change is an event for a stream: it has a greater offset than the file.
func (w *writer) progresses(c *store.Change) (bool, error) {
	if c.State != store.Running {
		return false, nil
	}
	if k, err := w.received(); err != nil || !k.progressed {
		return false, err
	}
	more := false
	err := w.row("SELECT EXISTS (SELECT 1 FROM files WHERE id = ? AND acked < ?)", []any{c.ID, c.Offset}, &more)
	return more, err
}

const (
	recordText = `INSERT OR FAIL INTO events (stream, kind, at, transfer, file, state, acked, size, note)
		SELECT s.id, ?1, ?2, t.id, f.id, f.state, f.acked, f.size, ?3 FROM files f CROSS JOIN transfers t ON t.seq = f.transfer
		CROSS JOIN streams s WHERE f.id = ?4 AND `
	recordProgressed = recordText + "s.progressed"
	recordFinished   = recordText + "s.finished"
)

// progressed appends that a running file has come further.
func (w *writer) progressed(file int64, now micros) error {
	w.effects.hints[store.EventsAppended] = true
	_, err := w.exec(recordProgressed, int64(store.FileProgressed), int64(now), nil, file)
	return err
}

// finished appends that a file has reached a final state.
func (w *writer) finished(file int64, note []byte, now micros) error {
	if k, err := w.received(); err != nil || !k.finished {
		return err
	}
	w.effects.hints[store.EventsAppended] = true
	_, err := w.exec(recordFinished, int64(store.FileFinished), int64(now), note, file)
	return err
}
