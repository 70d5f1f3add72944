package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed62b9dc43/transfer/store"
)

// A stream that is being closed is waited for.
const appendEventsSQL = `
WITH s AS MATERIALIZED (
	SELECT id FROM @.streams WHERE name = $1 FOR KEY SHARE
), e AS (
	INSERT INTO @.events (stream, at, file_id, kind, transfer_id, note)
	SELECT s.id, statement_timestamp(), n.file_id, 3, n.transfer_id, n.note
	FROM s, unnest($2::bigint[], $3::text[], $4::bytea[]) WITH ORDINALITY AS n (file_id, transfer_id, note, position)
	ORDER BY n.position
)
SELECT id FROM s`

const (
	ofStreamSQL    = `stream = (SELECT id FROM @.streams WHERE name = $1)`
	listEventsSQL  = `SELECT seq, kind, at, transfer_id, file_id, state, acknowledged, size, note FROM @.events`
	countEventsSQL = `SELECT count(*) FROM @.events WHERE ` + ofStreamSQL
	// The rows are locked in the order of their numbers, so that two of these never wait for each other.
	dropEventsSQL = `
WITH held AS MATERIALIZED (
	SELECT stream, seq FROM @.events WHERE ` + ofStreamSQL + ` AND seq = ANY($2::bigint[]) ORDER BY seq FOR UPDATE
)
DELETE FROM @.events e USING held WHERE e.stream = held.stream AND e.seq = held.seq`
	purgeEventsSQL = `
WITH old AS MATERIALIZED (
	SELECT stream, seq FROM @.events WHERE ` + ofStreamSQL + ` AND at <= statement_timestamp() - $2::interval
	ORDER BY at, seq LIMIT $3 FOR UPDATE SKIP LOCKED
)
DELETE FROM @.events e USING old WHERE e.stream = old.stream AND e.seq = old.seq`
)

// AppendEvents implements [store.Store].
func (s *Store) AppendEvents(ctx context.Context, stream string, events []store.Event) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if !storable(stream) {
		return store.ErrNotFound
	}
	files, transfers, notes := make([]int64, len(events)), make([]string, len(events)), make([][]byte, len(events))
	for i := range events {
		files[i], transfers[i], notes[i] = events[i].FileID, events[i].TransferID, events[i].Note
	}
	err := retry(func() error {
		var id int64
		return s.pool.QueryRow(ctx, qualify(s.schema, appendEventsSQL), stream, files, transfers, notes).Scan(&id)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return store.ErrNotFound
	case err != nil:
		return fmt.Errorf("pgstore: append %d events to stream %s: %w", len(events), stream, err)
	case len(events) > 0:
		s.announce(store.EventsAppended)
	}
	return nil
}

// eventsSQL returns the statement that lists what q selects; it is empty if that is nothing.
func eventsSQL(q *store.EventQuery) (string, []any) {
	c := &conditions{}
	c.add("seq > ?", q.After)
	if !q.From.IsZero() {
		c.add("at >= ?", roundUp(q.From))
	}
	if !q.To.IsZero() {
		c.add("at <= ?", q.To.Truncate(time.Microsecond))
	}
	c.text("transfer_id = ?", q.TransferID)
	if q.FileID != 0 {
		c.add("file_id = ?", q.FileID)
	}
	c.add("stream = (SELECT id FROM @.streams WHERE name = ?)", q.Stream)
	if c.nothing || !storable(q.Stream) {
		return "", nil
	}
	return listEventsSQL + c.where("true") + " ORDER BY seq" + limit(q.Limit, 0), c.args
}

// ListEvents implements [store.Store]. A page of a stream, of a transfer or of a file costs the same at any depth. With
// bounds of time PostgreSQL either reads and sorts what is within them, or passes over what is not until the page is
// full, whichever it takes for less.
func (s *Store) ListEvents(ctx context.Context, q store.EventQuery) ([]store.Event, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	sql, args := eventsSQL(&q)
	if sql == "" {
		return nil, nil
	}
	var events []store.Event
	err := s.query(ctx, sql, args, q.From.IsZero() && q.To.IsZero(), func(rows pgx.Rows) error {
		for rows.Next() {
			e := store.Event{Stream: q.Stream}
			if err := rows.Scan(&e.Seq, &e.Kind, &e.At, &e.TransferID, &e.FileID, &e.State, &e.Offset, &e.Size, &e.Note); err != nil {
				return err
			}
			e.At = e.At.UTC()
			events = append(events, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("pgstore: list events of stream %s: %w", q.Stream, err)
	}
	return events, nil
}

// CountEvents implements [store.Store]. It reads an index entry of each.
func (s *Store) CountEvents(ctx context.Context, stream string) (n int64, err error) {
	if err := s.usable(ctx); err != nil || !storable(stream) {
		return 0, err
	}
	if err := s.pool.QueryRow(ctx, qualify(s.schema, countEventsSQL), stream).Scan(&n); err != nil {
		return 0, fmt.Errorf("pgstore: count events of stream %s: %w", stream, err)
	}
	return n, nil
}

// DropEvents implements [store.Store].
func (s *Store) DropEvents(ctx context.Context, stream string, seqs []int64) error {
	if !storable(stream) {
		return s.usable(ctx)
	}
	_, err := s.remove(ctx, "drop events of stream "+stream, dropEventsSQL, stream, seqs)
	return err
}

// PurgeEvents implements [store.Store].
func (s *Store) PurgeEvents(ctx context.Context, stream string, olderThan time.Duration, limit int) (int, error) {
	if !storable(stream) {
		return 0, s.usable(ctx)
	}
	return s.remove(ctx, "purge events of stream "+stream, purgeEventsSQL, stream, olderThan, max(0, limit))
}
