package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
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
			at, err := w.eventsAt(now)
			if err != nil {
				return err
			}
			e := &events[i]
			_, err = w.exec("INSERT OR FAIL INTO events (stream, kind, at, transfer, file, note) VALUES (?, ?, ?, ?, ?, ?)",
				id, int64(store.Noted), at, e.TransferID, e.FileID, e.Note)
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

const ofStream = "stream = (SELECT id FROM streams WHERE name = ?)"

// boundSeq finds the first event, or the last, of a stream within a bound of time: its number bounds all of them.
const boundSeq = "(SELECT seq FROM events INDEXED BY events_at WHERE " + ofStream + " AND at %s ? ORDER BY at%s, seq%[2]s LIMIT 1)"

// eventsText returns the statement that lists what q selects, in the order of an index. The index is named because SQLite
// does not know which is better.
func eventsText(q *store.EventQuery) (string, []any) {
	index := "events_stream"
	c := conditions{}
	c.add(ofStream, q.Stream)
	if q.TransferID != "" {
		index = "events_transfer"
		c.add("transfer = ?", q.TransferID)
	}
	if q.FileID != 0 {
		index = "events_file"
		c.add("file = ?", q.FileID)
	}
	if q.From.IsZero() {
		c.add("seq > ?", q.After)
	} else { // one bound, because an index is read from one
		c.add("seq > max(?, "+fmt.Sprintf(boundSeq, ">=", "")+" - 1)", q.After, q.Stream, ceil(q.From))
	}
	if !q.To.IsZero() {
		c.add("seq <= "+fmt.Sprintf(boundSeq, "<=", " DESC"), q.Stream, floor(q.To))
	}
	return "SELECT seq, kind, at, transfer, file, state, acked, size, note FROM events INDEXED BY " + index +
		" WHERE " + strings.Join(c.terms, " AND ") + " ORDER BY seq LIMIT ?", append(c.args, orAll(q.Limit))
}

// ListEvents implements [store.Store]. What a page costs does not depend on how many events there are; but with both a
// transfer and a file, it passes over what else there is of the file.
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
	const text = "SELECT count(*) FROM events INDEXED BY events_stream WHERE " + ofStream
	if err := s.readers.QueryRowContext(ctx, text, stream).Scan(&n); err != nil {
		return 0, wrap(ctx, "count events of stream "+stream, err)
	}
	return n, nil
}

const dropText = "DELETE FROM events WHERE seq IN (SELECT value FROM json_each(?)) AND " + ofStream

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

const purgeEventsText = "DELETE FROM events WHERE seq IN (SELECT seq FROM events INDEXED BY events_at WHERE " + ofStream +
	" AND at <= ? ORDER BY at, seq LIMIT ?)"

// PurgeEvents implements [store.Store].
func (s *Store) PurgeEvents(ctx context.Context, stream string, olderThan time.Duration, limit int) (removed int, err error) {
	err = s.write(ctx, "purge events of stream "+stream, limit, func(_ context.Context, w *writer, now micros) (err error) {
		removed, err = w.purge(purgeEventsText, stream, now.add(-olderThan), max(0, limit))
		return err
	})
	return orNone(removed, err), err
}
