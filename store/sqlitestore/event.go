package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// AppendEvents implements [store.Store].
func (s *Store) AppendEvents(ctx context.Context, stream string, events []store.Event) error {
	return plain(s.write(ctx, "append events to stream "+stream, len(events), func(ctx context.Context, w *writer, now micros) error {
		id, err := w.stream(stream)
		if err != nil {
			return err
		}
		for i := range events {
			if err := ctx.Err(); err != nil {
				return err
			}
			e := &events[i]
			_, err := w.exec("INSERT OR FAIL INTO events (stream, kind, at, transfer, file, note) VALUES (?, ?, ?, ?, ?, ?)",
				id, int64(store.Noted), int64(now), e.TransferID, e.FileID, e.Note)
			if err != nil {
				return err
			}
			w.effects.hints[store.EventsAppended] = true
		}
		return nil
	}))
}

// eventsText returns the statement that lists what q selects. It finds the events in an index, which is named because
// SQLite does not know which is better, and reads whole rows only for those that are on the page.
func eventsText(q *store.EventQuery) (string, []any) {
	index := "events_stream"
	c := conditions{}
	c.add("e.stream = (SELECT id FROM streams WHERE name = ?)", q.Stream)
	if !q.From.IsZero() {
		index = "events_at"
		c.add("e.at >= ?", ceil(q.From))
	}
	if !q.To.IsZero() {
		c.add("e.at <= ?", floor(q.To))
	}
	if q.TransferID != "" {
		index = "events_transfer"
		c.add("e.transfer = ?", q.TransferID)
	}
	if q.FileID != 0 {
		index = "events_file"
		c.add("e.file = ?", q.FileID)
	}
	c.add("e.seq > ?", q.After)
	found := "SELECT e.seq FROM events e INDEXED BY " + index + " WHERE " + strings.Join(c.terms, " AND ") + " ORDER BY e.seq LIMIT ?"
	return `SELECT e.seq, e.kind, e.at, e.transfer, e.file, e.state, e.acked, e.size, e.note
		FROM (` + found + `) p CROSS JOIN events e ON e.seq = p.seq ORDER BY p.seq`, append(c.args, orAll(q.Limit))
}

// ListEvents implements [store.Store]. A page of a stream, of a transfer or of a file costs the same at any depth. With
// From, an index entry is read for each event within the bounds; with To alone, and with other filters beside those of
// transfer or file, it passes over what does not match until the page is full.
func (s *Store) ListEvents(ctx context.Context, q store.EventQuery) ([]store.Event, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var events []store.Event
	text, args := eventsText(&q)
	err = s.read(ctx, text, args, func(rows *sql.Rows) error {
		e := store.Event{Stream: q.Stream}
		var at micros
		err := rows.Scan(&e.Seq, &e.Kind, &at, &e.TransferID, &e.FileID, &e.State, &e.Offset, &e.Size, &e.Note)
		e.At = at.time()
		events = append(events, e)
		return err
	})
	if err != nil {
		return nil, wrap(ctx, "list events of stream "+q.Stream, err)
	}
	return events, nil
}

// CountEvents implements [store.Store]. It reads an index entry of each.
func (s *Store) CountEvents(ctx context.Context, stream string) (n int64, err error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	const text = "SELECT count(*) FROM events INDEXED BY events_stream WHERE stream = (SELECT id FROM streams WHERE name = ?)"
	if err := s.readers.QueryRowContext(ctx, text, stream).Scan(&n); err != nil {
		return 0, wrap(ctx, "count events of stream "+stream, err)
	}
	return n, nil
}

const dropText = `DELETE FROM events WHERE seq IN (SELECT value FROM json_each(?)) AND stream = (SELECT id FROM streams WHERE name = ?)`

// DropEvents implements [store.Store].
func (s *Store) DropEvents(ctx context.Context, stream string, seqs []int64) error {
	list, err := json.Marshal(seqs)
	if err != nil {
		return err
	}
	return s.write(ctx, "drop events of stream "+stream, len(seqs), func(_ context.Context, w *writer, _ micros) error {
		_, err := w.exec(dropText, string(list), stream)
		return err
	})
}

const purgeEventsText = `DELETE FROM events WHERE seq IN (SELECT seq FROM events INDEXED BY events_at
	WHERE stream = (SELECT id FROM streams WHERE name = ?) AND at <= ? ORDER BY at, seq LIMIT ?)`

// PurgeEvents implements [store.Store].
func (s *Store) PurgeEvents(ctx context.Context, stream string, olderThan time.Duration, limit int) (removed int, err error) {
	err = s.write(ctx, "purge events of stream "+stream, limit, func(_ context.Context, w *writer, now micros) (err error) {
		removed, err = w.purge(purgeEventsText, stream, now.add(-olderThan), max(0, limit))
		return err
	})
	return orNone(removed, err), err
}
