package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/seed62b9dc43/transfer/store"
)

// recordSQL appends to the streams that receive it what became of the files of written, which has their columns and a
// note. It draws each number while the file's row is locked, so that those of one file grow in the order in which things
// happened, whichever nodes write them.
const recordSQL = `
	INSERT INTO @.events (stream, at, file_id, acknowledged, size, kind, state, transfer_id, note)
	SELECT s.id, w.updated_at, w.id, w.acknowledged, w.size, CASE w.state WHEN 2 THEN 1 ELSE 2 END, w.state, w.transfer_id,
		CASE WHEN w.state <> 2 THEN w.note END
	FROM written w, @.streams s
	WHERE CASE WHEN w.state = 2 THEN w.progressed AND s.progressed ELSE w.state IN (6, 7, 8) AND s.finished END
	RETURNING 1`

const (
	isOpenSQL     = `SELECT EXISTS (SELECT FROM @.streams WHERE name = $1 AND progressed = $2 AND finished = $3)`
	openStreamSQL = `
INSERT INTO @.streams (name, progressed, finished) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET progressed = excluded.progressed, finished = excluded.finished`
	findStreamSQL  = `SELECT id FROM @.streams WHERE name = $1 FOR UPDATE`
	emptyStreamSQL = `DELETE FROM @.events WHERE stream = $1`
	closeStreamSQL = `DELETE FROM @.streams WHERE id = $1`
	listStreamsSQL = `SELECT name, progressed, finished FROM @.streams ORDER BY name`
)

// drainSQL waits for the writes of files that are under way, and holds up others until the transaction ends: an update
// that began before a stream was opened or closed does not see that.
const drainSQL = `LOCK TABLE @.files IN SHARE MODE`

// OpenStream implements [store.Store]. Where it changes something, it waits for the writes of files that are under way.
func (s *Store) OpenStream(ctx context.Context, stream store.Stream) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	progressed, finished := slices.Contains(stream.Kinds, store.FileProgressed), slices.Contains(stream.Kinds, store.FileFinished)
	args, open := []any{stream.Name, progressed, finished}, false
	err := s.pool.QueryRow(ctx, qualify(s.schema, isOpenSQL), args...).Scan(&open)
	if err == nil && !open {
		err = s.drained(ctx, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, qualify(s.schema, drainSQL)); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, qualify(s.schema, openStreamSQL), args...)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("pgstore: open stream %s: %w", stream.Name, err)
	}
	return nil
}

// drained calls do in a transaction in which each statement sees what was committed before it.
func (s *Store) drained(ctx context.Context, do func(tx pgx.Tx) error) error {
	return retry(func() error {
		return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, do)
	})
}

// CloseStream implements [store.Store]. Writes of files go on while it removes the events, but for the last moment.
func (s *Store) CloseStream(ctx context.Context, name string) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if !storable(name) {
		return store.ErrNotFound
	}
	err := s.drained(ctx, func(tx pgx.Tx) error {
		var id int64
		if err := tx.QueryRow(ctx, qualify(s.schema, findStreamSQL), name).Scan(&id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, qualify(s.schema, emptyStreamSQL), id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, qualify(s.schema, drainSQL)); err != nil {
			return err
		}
		for _, sql := range []string{emptyStreamSQL, closeStreamSQL} { // once more: what came meanwhile
			if _, err := tx.Exec(ctx, qualify(s.schema, sql), id); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return store.ErrNotFound
	case err != nil:
		return fmt.Errorf("pgstore: close stream %s: %w", name, err)
	}
	return nil
}

// ListStreams implements [store.Store].
func (s *Store) ListStreams(ctx context.Context) ([]store.Stream, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, qualify(s.schema, listStreamsSQL))
	if err != nil {
		return nil, fmt.Errorf("pgstore: list streams: %w", err)
	}
	streams, err := pgx.CollectRows(rows, scanStream)
	if err != nil {
		return nil, fmt.Errorf("pgstore: list streams: %w", err)
	}
	return streams, nil
}

func scanStream(row pgx.CollectableRow) (store.Stream, error) {
	var stream store.Stream
	var progressed, finished bool
	err := row.Scan(&stream.Name, &progressed, &finished)
	if progressed {
		stream.Kinds = append(stream.Kinds, store.FileProgressed)
	}
	if finished {
		stream.Kinds = append(stream.Kinds, store.FileFinished)
	}
	return stream, err
}
