package pgstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/seed62b9dc43/transfer/store"
)

const sweptSQL = `
WITH held AS MATERIALIZED (
	SELECT id FROM @.files WHERE id = ANY($1::bigint[]) AND state IN (6, 7, 8) AND checkpoint IS NOT NULL
	ORDER BY id FOR UPDATE
)
UPDATE @.files f SET checkpoint = NULL FROM held WHERE f.id = held.id`

// Swept implements [store.Store].
func (s *Store) Swept(ctx context.Context, ids []int64) error {
	if err := s.usable(ctx); err != nil || len(ids) == 0 {
		return err
	}
	err := retry(func() error {
		_, err := s.pool.Exec(ctx, s.sql.swept, ids)
		return err
	})
	if err != nil {
		return fmt.Errorf("pgstore: note that %d files were swept: %w", len(ids), err)
	}
	return nil
}

// The index by state and stop is read for each state by itself. A transfer whose files are all gone goes in the same
// statement, which sees the files as they were: so those that are just being removed do not count. Purges are done one
// after another (see lockSQL); otherwise two of them could each leave a transfer to the other.
const purgeSQL = `
WITH old AS MATERIALIZED (
	SELECT id FROM (
		SELECT o.* FROM unnest($1::smallint[]) AS s (state), LATERAL (
			SELECT f.id, f.stop FROM @.files f
			WHERE f.state = s.state AND f.state <> 2 AND f.stop <= statement_timestamp() - $2::interval
			ORDER BY f.stop, f.id LIMIT $3
		) AS o
	) AS of_each ORDER BY stop, id LIMIT $3
), gone AS (
	DELETE FROM @.files f USING old WHERE f.id = old.id RETURNING f.id, f.transfer_id
), emptied AS (
	DELETE FROM @.transfers t USING (SELECT DISTINCT transfer_id FROM gone) AS g
	WHERE t.id = g.transfer_id AND NOT EXISTS (
		SELECT FROM @.files f WHERE f.transfer_id = t.id AND f.state <> 2 AND f.id NOT IN (SELECT id FROM gone)
	) AND NOT EXISTS (SELECT FROM @.files f WHERE f.transfer_id = t.id AND f.state = 2)
)
SELECT count(*) FROM gone`

// Purge implements [store.Store].
func (s *Store) Purge(ctx context.Context, r store.PurgeRequest) (int, error) {
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	var states []int16
	for _, state := range slices.Compact(slices.Sorted(slices.Values(r.States))) {
		if state.Final() {
			states = append(states, int16(state))
		}
	}
	if r.Max <= 0 || len(states) == 0 {
		return 0, nil
	}
	removed := 0
	err := retry(func() error {
		batch := &pgx.Batch{}
		batch.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
		batch.Queue(s.sql.lock, []int64{lockKey(s.schema, "purge")})
		batch.Queue(s.sql.purge, states, r.OlderThan, r.Max).QueryRow(func(row pgx.Row) error { return row.Scan(&removed) })
		batch.Queue("COMMIT")
		return s.pool.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return 0, fmt.Errorf("pgstore: purge: %w", err)
	}
	return removed, nil
}
