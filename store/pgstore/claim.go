package pgstore

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/seed62b9dc43/transfer/store"
)

// A statement of its own: the next one must see what those committed whom this one waited for. The keys are sorted, so
// that two claims never wait for each other.
const lockSQL = `SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key`

// Rows that are being written just now (the late update of an expired lease) are passed over, not waited for. The
// request of a transfer comes with the first of its files only. MATERIALIZED: live leases are counted once. Arguments in
// a SELECT of their own are estimated as unknown ones are, so that PostgreSQL sees no use in planning each call anew,
// which took a third of the time.
var claimSQL = `
WITH wanted AS MATERIALIZED (
	SELECT l.connector_id, l.turn, least((SELECT $3::bigint), l.most, l.running - (
		SELECT count(*) FROM @.files f
		WHERE f.connector_id = l.connector_id AND f.state = 2 AND f.lease_until > statement_timestamp()
	)) AS room
	FROM unnest((SELECT $1::text[]), (SELECT $2::bigint[]), (SELECT $6::bigint[])) WITH ORDINALITY AS l (connector_id, running, most, turn)
), ready AS (
	SELECT r.id, row_number() OVER (PARTITION BY w.connector_id ORDER BY r.priority DESC, r.since, r.id) AS round, w.turn
	FROM wanted w, LATERAL (
		WITH high AS MATERIALIZED (` + readySQL("1", "w.room") + `
		), normal AS MATERIALIZED (` + readySQL("0", "w.room - (SELECT count(*) FROM high)") + `
		), low AS MATERIALIZED (` + readySQL("-1", "w.room - (SELECT count(*) FROM high) - (SELECT count(*) FROM normal)") + `
		), expired AS MATERIALIZED (
			SELECT f.id, f.lease_until AS since, f.priority FROM @.files f
			WHERE f.connector_id = w.connector_id AND f.state = 2 AND f.lease_until <= statement_timestamp()
			ORDER BY f.priority DESC, f.lease_until, f.id LIMIT greatest(w.room, 0) FOR UPDATE SKIP LOCKED
		)
		SELECT * FROM high UNION ALL SELECT * FROM normal UNION ALL SELECT * FROM low UNION ALL SELECT * FROM expired
		ORDER BY priority DESC, since, id LIMIT greatest(w.room, 0)
	) AS r
), picked AS (
	SELECT id, row_number() OVER (ORDER BY round, turn) AS place FROM ready ORDER BY round, turn LIMIT (SELECT $3::bigint)
), f AS (
	UPDATE @.files f SET state = 2, phase = 1, attempts = attempts + 1, token = token + 1, worker = $4,
		started_at = coalesce(started_at, statement_timestamp()), updated_at = statement_timestamp(),
		lease_until = statement_timestamp() + $5::interval
	FROM picked WHERE f.id = picked.id
	RETURNING f.*, picked.place
)
SELECT ` + fileColumns + `, t.metadata, t.spec, t.id IS NOT NULL
FROM (SELECT *, row_number() OVER (PARTITION BY transfer_id ORDER BY place) = 1 AS first FROM f) AS f
LEFT JOIN @.transfers t ON f.first AND t.id = f.transfer_id
ORDER BY f.place`

// readySQL selects the files of a priority that can be claimed, up to room of them. There is one for each, because in the
// index those of a higher one that are not ready yet stand before all of the next.
func readySQL(priority, room string) string {
	return `
			SELECT f.id, f.ready_at AS since, f.priority FROM @.files f
			WHERE f.connector_id = w.connector_id AND f.priority = ` + priority + ` AND f.state IN (1, 3, 5)
				AND f.ready_at <= statement_timestamp()
			ORDER BY f.ready_at, f.id LIMIT greatest(` + room + `, 0) FOR UPDATE SKIP LOCKED`
}

// Claim implements [store.Store].
func (s *Store) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claimed, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	connectors := slices.Collect(maps.Keys(r.Limits))
	connectors = slices.DeleteFunc(connectors, func(id string) bool { return most(&r, id) <= 0 || !storable(id) })
	if r.Max <= 0 || len(connectors) == 0 {
		return nil, nil
	}
	var claimed []store.Claimed
	err := retry(func() (err error) {
		claimed, err = s.claim(ctx, r, connectors)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pgstore: claim: %w", err)
	}
	return claimed, nil
}

// most returns how many files of a connector a request can be given.
func most(r *store.ClaimRequest, connector string) int {
	if bound, ok := r.Most[connector]; ok {
		return min(bound, r.Limits[connector])
	}
	return r.Limits[connector]
}

// claim does it in one round trip.
func (s *Store) claim(ctx context.Context, r store.ClaimRequest, connectors []string) ([]store.Claimed, error) {
	rand.Shuffle(len(connectors), func(i, j int) { connectors[i], connectors[j] = connectors[j], connectors[i] })
	limits, bounds, keys := make([]int64, len(connectors)), make([]int64, len(connectors)), make([]int64, len(connectors))
	for i, id := range connectors {
		limits[i], bounds[i], keys[i] = int64(r.Limits[id]), int64(most(&r, id)), lockKey(s.schema, "connector "+id)
	}
	slices.Sort(keys)
	batch := &pgx.Batch{}
	batch.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
	batch.Queue(s.sql.lock, slices.Compact(keys))
	var claimed []store.Claimed
	batch.Queue(s.sql.claim, connectors, limits, r.Max, r.Worker, r.Lease, bounds).Query(func(rows pgx.Rows) (err error) {
		claimed, err = readClaimed(rows)
		return err
	})
	batch.Queue("COMMIT")
	return claimed, s.pool.SendBatch(ctx, batch).Close()
}

func readClaimed(rows pgx.Rows) ([]store.Claimed, error) {
	var claimed []store.Claimed
	var spec []byte
	var first bool
	requests := make(map[string]store.Claimed) // the first file of each transfer
	in := newReader(&spec, &first)
	for rows.Next() {
		spec = nil
		f, err := in.read(rows)
		if err != nil {
			return nil, err
		}
		c := store.Claimed{File: f, Spec: spec}
		if first {
			requests[f.TransferID] = c
		} else {
			c.Metadata, c.Spec = maps.Clone(requests[f.TransferID].Metadata), bytes.Clone(requests[f.TransferID].Spec)
		}
		claimed = append(claimed, c)
	}
	return claimed, rows.Err()
}
