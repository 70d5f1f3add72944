package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/seed62b9dc43/transfer/store"
)

// Each of these tells, of the rows of held, whether the wish is refused, which state the file gets at once, and what is
// wanted of its worker; null: no change. A lease that has expired is nobody's (lapsed).
const (
	pauseSQL = `
	SELECT *, state IN (6, 7, 8) OR wanted = 7 AS refused,
		CASE WHEN wanted <> 7 AND (state IN (1, 3, 5) OR lapsed) THEN 4 END AS next,
		CASE WHEN wanted = 0 AND state = 2 AND NOT lapsed THEN 4 END AS wish
	FROM held`
	cancelSQL = `
	SELECT *, state IN (6, 8) AS refused,
		CASE WHEN state IN (1, 3, 4, 5) OR lapsed THEN 7 END AS next,
		CASE WHEN wanted <> 7 AND state = 2 AND NOT lapsed THEN 7 END AS wish
	FROM held`
	resumeSQL = `
	SELECT *, state IN (6, 7, 8) OR wanted = 7 AS refused,
		CASE WHEN state = 4 AND attempts = 0 THEN 1 WHEN state = 4 THEN 5 WHEN state = 3 AND delayed THEN 3 END AS next,
		CASE WHEN wanted = 4 THEN 0 END AS wish
	FROM held`
)

// controlSQL is the statement for one of those. The rows are locked in the order of their ids, so that two of these never
// wait for each other. It writes no row for which neither a state nor a wish comes out.
func controlSQL(decide string) string {
	return `
WITH held AS MATERIALIZED (
	SELECT id, state, wanted, attempts, state = 2 AND lease_until <= statement_timestamp() AS lapsed,
		ready_at > statement_timestamp() AS delayed
	FROM @.files WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE
), decided AS MATERIALIZED (` + decide + `
), written AS (
	UPDATE @.files f SET
		state = coalesce(d.next, f.state), wanted = CASE WHEN d.next IS NULL THEN d.wish ELSE 0 END,
		updated_at = statement_timestamp(), progressed = false,
		worker = CASE WHEN d.next IS NULL THEN f.worker ELSE '' END,
		lease_until = CASE WHEN d.next IS NULL THEN f.lease_until END,
		ready_at = CASE WHEN d.next = 1 THEN greatest(f.start_at, statement_timestamp())
			WHEN d.next IN (3, 5) THEN statement_timestamp() ELSE f.ready_at END,
		finished_at = CASE WHEN d.next = 7 THEN statement_timestamp() END,
		code = CASE WHEN d.next = 7 THEN $2 ELSE f.code END,
		detail = CASE WHEN d.next = 7 THEN $3 ELSE f.detail END,
		message = CASE WHEN d.next = 7 THEN $4 ELSE f.message END
	FROM decided d WHERE f.id = d.id AND (d.next IS NOT NULL OR d.wish IS NOT NULL)
	RETURNING f.id, f.state, f.transfer_id, f.size, f.acknowledged, f.updated_at, f.progressed, NULL::bytea AS note
), recorded AS (` + recordSQL + `
)
SELECT id, state, wanted, refused, coalesce(next, 0), coalesce(wish, 0), EXISTS (SELECT FROM recorded) FROM decided`
}

// Control implements [store.Store]. All of it is one statement, which waits for the files that are just being written.
func (s *Store) Control(ctx context.Context, r store.ControlRequest) ([]error, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	sql, ok := s.sql.control[r.To]
	if !ok {
		return nil, fmt.Errorf("pgstore: ControlRequest.To is %v (try Paused, Cancelled or Queued)", r.To)
	}
	if len(r.IDs) == 0 {
		return nil, nil
	}
	var decided map[int64]decision
	err := retry(func() (err error) {
		decided, err = s.decide(ctx, sql, r.IDs)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pgstore: control %d files: %w", len(r.IDs), err)
	}
	verdicts := make([]error, len(r.IDs))
	for i, id := range r.IDs {
		verdicts[i] = store.ErrNotFound
		if d, ok := decided[id]; ok {
			verdicts[i] = d.verdict(id)
		}
	}
	s.announceDecided(decided)
	return verdicts, nil
}

// decision is what became of one file.
type decision struct {
	state, wanted store.State // before
	refused       bool
	next          store.State // 0: as before
	wish          store.State // what its worker shall learn; 0: nothing new
	recorded      bool        // streams have received events, of this one or another
}

func (s *Store) decide(ctx context.Context, sql string, ids []int64) (map[int64]decision, error) {
	rows, err := s.pool.Query(ctx, sql, ids,
		store.CancelledFailure.Code, store.CancelledFailure.Detail, store.CancelledFailure.Message)
	if err != nil {
		return nil, err
	}
	decided := make(map[int64]decision, len(ids))
	var id int64
	var d decision
	_, err = pgx.ForEachRow(rows, []any{&id, &d.state, &d.wanted, &d.refused, &d.next, &d.wish, &d.recorded}, func() error {
		decided[id] = d
		return nil
	})
	return decided, err
}

func (d decision) verdict(id int64) error {
	switch {
	case d.refused && d.wanted != 0:
		return fmt.Errorf("pgstore: file %d is %v and shall be %v: %w", id, d.state, d.wanted, store.ErrState)
	case d.refused:
		return fmt.Errorf("pgstore: file %d is %v: %w", id, d.state, store.ErrState)
	}
	return nil
}

// announceDecided hints at what was written.
func (s *Store) announceDecided(decided map[int64]decision) {
	topics := make(map[store.Topic]struct{})
	for _, d := range decided {
		if d.recorded {
			topics[store.EventsAppended] = struct{}{}
		}
		switch {
		case d.next == store.Cancelled:
			topics[store.FilesFinished] = struct{}{}
		case d.next != 0 && d.next != store.Paused:
			topics[store.FilesReady] = struct{}{}
		case d.wish != 0:
			topics[store.FilesWanted] = struct{}{}
		}
	}
	for topic := range topics {
		s.announce(topic)
	}
}
