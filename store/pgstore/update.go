package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed62b9dc43/transfer/store"
)

// The guard compares the row that is written, so it holds for what somebody else committed a moment ago, too.
// state + 0 keeps the planner, who sees few running files in a young table, from files_running: the primary key is right. The
// LIMIT has it expect few changes, so that it never reads such a table from end to end and keeps to that plan. What is
// wanted of a file is done with it as soon as its worker gives it back.
//
// What has come of it is what enterSQL and updatedSQL go on with.
const updateSQL = `
WITH written AS (
UPDATE @.files f SET
	state = CASE WHEN c.state IN (3, 5) AND f.wanted <> 0 THEN f.wanted ELSE c.state END,
	wanted = CASE WHEN c.state = 2 THEN f.wanted ELSE 0 END,
	phase = c.phase, size = c.size, acknowledged = c.acknowledged, block_size = c.block_size, rank = c.rank,
	checkpoint = CASE WHEN c.state <> 8 THEN c.checkpoint END, sha256 = c.sha256, skipped = c.skipped, task = c.task,
	failures = c.failures, progressed = c.state = 2 AND c.acknowledged > f.acknowledged,
	code = CASE WHEN c.state IN (3, 5) AND f.wanted = 7 THEN $18 ELSE c.code END,
	detail = CASE WHEN c.state IN (3, 5) AND f.wanted = 7 THEN $19 ELSE c.detail END,
	message = CASE WHEN c.state IN (3, 5) AND f.wanted = 7 THEN $20 ELSE c.message END,
	updated_at = statement_timestamp(),
	worker = CASE WHEN c.state = 2 THEN f.worker ELSE '' END,
	lease_until = CASE WHEN c.state = 2 THEN statement_timestamp() + c.lease END,
	ready_at = CASE WHEN c.state IN (3, 5) AND f.wanted = 0 THEN statement_timestamp() + c.delay ELSE f.ready_at END,
	finished_at = CASE WHEN c.state IN (6, 8) OR c.state IN (3, 5) AND f.wanted = 7 THEN statement_timestamp() END
FROM (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::interval[], $5::interval[], $6::smallint[], $7::bigint[],
	$8::bigint[], $9::bigint[], $10::bigint[], $11::bytea[], $12::bytea[], $13::boolean[], $14::text[], $15::text[],
	$16::text[], $17::bigint[], $21::bigint[], $22::bytea[]) AS c (id, token, state, lease, delay, phase, size, acknowledged, block_size, rank,
	checkpoint, sha256, skipped, code, detail, message, failures, task, note) LIMIT (SELECT 1000000000)) AS c
WHERE f.id = c.id AND f.token = c.token AND f.state + 0 = 2
RETURNING f.id, f.state, f.wanted, f.transfer_id, f.size, f.acknowledged, f.updated_at, f.progressed, c.note
)`

// enterSQL enters files that have become Done into the ledger; of two with one path, the later change counts. The order of
// keys is for two of these that would wait for each other.
const enterSQL = `, entered AS (
	INSERT INTO @.ledger (key, scope, path, identity, size, sha256, file_id, at)
	SELECT DISTINCT ON (n.key) n.key, n.scope, n.path, n.identity, n.size, n.sha256, n.file_id, w.updated_at
	FROM unnest($23::bigint[], $24::bytea[], $25::text[], $26::text[], $27::text[], $28::bigint[], $29::bytea[])
		WITH ORDINALITY AS n (file_id, key, scope, path, identity, size, sha256, position)
	JOIN written w ON w.id = n.file_id AND w.state = 8
	ORDER BY n.key, n.position DESC
	ON CONFLICT (key) DO UPDATE SET identity = excluded.identity, size = excluded.size, sha256 = excluded.sha256,
		file_id = excluded.file_id, at = excluded.at
)`

// updatedSQL tells what was written, and whether streams received events.
const updatedSQL = `, recorded AS (` + recordSQL + `
)
SELECT id, state, wanted, EXISTS (SELECT FROM recorded) FROM written`

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, changes []store.Change) ([]error, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	u := updating{store: s, changes: changes, verdicts: make([]error, len(changes)), states: make([]store.State, len(changes))}
	todo, once := u.check()
	if len(todo) == 0 {
		return u.verdicts, nil
	}
	err := error(nil)
	if once {
		err = u.together(ctx, todo)
	}
	if !once || refusesData(err) {
		err = u.oneByOne(ctx, todo)
	}
	if err != nil {
		return nil, fmt.Errorf("pgstore: update %d files: %w", len(todo), err)
	}
	u.announce()
	return u.verdicts, nil
}

// refusesData reports whether the database cannot hold what it was given, which is the fault of one of the changes.
func refusesData(err error) bool {
	return hasCode(err, "22", "23", "54") // data exception, integrity constraint violation, program limit exceeded
}

// updating is one call of Update.
type updating struct {
	store    *Store
	changes  []store.Change
	verdicts []error
	states   []store.State // what the files became; 0 where nothing was written
	recorded bool          // streams have received events
}

// check gives the verdicts that need no database and returns the other changes, and whether each file is among them
// once.
func (u *updating) check() (todo []int, once bool) {
	once = true
	seen := make(map[int64]struct{}, len(u.changes))
	for i := range u.changes {
		c := &u.changes[i]
		switch c.State {
		case store.Running, store.Waiting, store.Interrupted, store.Done, store.Failed:
		default:
			u.verdicts[i] = fmt.Errorf(
				"pgstore: a worker cannot make file %d %v (try Waiting, Interrupted, Done or Failed)", c.ID, c.State)
			continue
		}
		if _, again := seen[c.ID]; again {
			once = false
		}
		seen[c.ID] = struct{}{}
		todo = append(todo, i)
	}
	return todo, once
}

// written is what a file is after it was written.
type written struct{ state, wanted store.State }

// together writes changes of different files in one statement.
func (u *updating) together(ctx context.Context, todo []int) error {
	var files map[int64]written
	err := retry(func() (err error) {
		files, err = u.write(ctx, todo)
		return err
	})
	if err != nil {
		return err
	}
	for _, i := range todo {
		f, ok := files[u.changes[i].ID]
		u.states[i] = f.state
		switch {
		case !ok:
			u.verdicts[i] = store.ErrLeaseLost
		case f.wanted == store.Paused:
			u.verdicts[i] = store.ErrPauseWanted
		case f.wanted == store.Cancelled:
			u.verdicts[i] = store.ErrCancelWanted
		}
	}
	return nil
}

func (u *updating) write(ctx context.Context, todo []int) (map[int64]written, error) {
	sql, args := u.store.sql.update, u.arguments(todo)
	if e := u.entries(todo); e.files != nil {
		sql, args = u.store.sql.enter, append(args, e.arguments()...)
	}
	rows, err := u.store.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	files := make(map[int64]written, len(todo))
	var id int64
	var f written
	recorded := false
	_, err = pgx.ForEachRow(rows, []any{&id, &f.state, &f.wanted, &recorded}, func() error {
		files[id] = f
		u.recorded = u.recorded || recorded
		return nil
	})
	return files, err
}

func (u *updating) oneByOne(ctx context.Context, todo []int) error {
	for _, i := range todo {
		err := u.together(ctx, []int{i})
		switch {
		case refusesData(err):
			u.verdicts[i] = fmt.Errorf("pgstore: update file %d: %w", u.changes[i].ID, err)
		case err != nil:
			return err
		}
	}
	return nil
}

// arguments returns the changes as one array for each column.
func (u *updating) arguments(todo []int) []any {
	n := len(todo)
	numbers := func() []int64 { return make([]int64, n) }
	texts := func() []string { return make([]string, n) }
	ids, tokens, sizes, offsets, blocks, ranks := numbers(), numbers(), numbers(), numbers(), numbers(), numbers()
	failures, tasks, notes := numbers(), numbers(), make([][]byte, n)
	states, phases := make([]int16, n), make([]int16, n)
	leases, delays := make([]time.Duration, n), make([]time.Duration, n)
	checkpoints, sums, skipped := make([][]byte, n), make([][]byte, n), make([]bool, n)
	codes, details, messages := texts(), texts(), texts()
	for k, i := range todo {
		c := &u.changes[i]
		ids[k], tokens[k], states[k], phases[k] = c.ID, c.Token, int16(c.State), int16(c.Phase)
		leases[k], delays[k] = c.Lease, max(0, c.Delay)
		sizes[k], offsets[k], blocks[k], ranks[k] = c.Size, c.Offset, c.BlockSize, c.Rank
		failures[k], tasks[k], notes[k] = int64(c.Failures), int64(c.Task), c.Note
		checkpoints[k], sums[k], skipped[k] = c.Checkpoint, c.SHA256, c.Skipped
		codes[k], details[k], messages[k] = c.Code, c.Detail, c.Message
	}
	return []any{
		ids, tokens, states, leases, delays, phases, sizes, offsets, blocks, ranks, checkpoints, sums, skipped, codes,
		details, messages, failures, store.CancelledFailure.Code, store.CancelledFailure.Detail, store.CancelledFailure.Message,
		tasks, notes,
	}
}

// entries returns what the changes that make files Done enter into the ledger.
func (u *updating) entries(todo []int) entries {
	var e entries
	for _, i := range todo {
		if c := &u.changes[i]; c.State == store.Done && c.Enter != nil {
			e.add(c.ID, c.Enter)
		}
	}
	return e
}

// announce hints at what was written.
func (u *updating) announce() {
	ready, finished := false, false
	for _, state := range u.states {
		ready = ready || state == store.Waiting || state == store.Interrupted
		finished = finished || state.Final()
	}
	if ready {
		u.store.announce(store.FilesReady)
	}
	if finished {
		u.store.announce(store.FilesFinished)
	}
	if u.recorded {
		u.store.announce(store.EventsAppended)
	}
}
