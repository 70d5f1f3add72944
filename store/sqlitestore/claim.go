package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"math/rand/v2"
	"slices"

	"github.com/seed62b9dc43/transfer/store"
)

// Claim implements [store.Store]. Connectors without work cost two looks into an index for each
// priority.
func (s *Store) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claimed, error) {
	var claimed []store.Claimed
	err := s.write(ctx, "claim files", r.Max, func(ctx context.Context, w *writer, now micros) error {
		lines, err := w.lines(ctx, r, now)
		if err != nil {
			return err
		}
		claimed, err = w.lease(takeTurns(lines, r.Max), r, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// isReady says in the words of the index files_ready: Queued, Waiting or Interrupted.
const isReady = "state <> 2 AND state <> 4 AND state < 6"

// priorities are all there are, those that come first first.
var priorities = [...]store.Priority{store.High, store.Normal, store.Low}

// ready is a file that can be claimed, since when, and what it is so far.
type ready struct {
	id    int64
	since int64
	state store.State
}

// connector is one that has files to claim.
type connector struct {
	live  int                     // how many of its files run under live leases
	waits map[store.Priority]bool // of which priorities
}

// connectorsText finds the connectors of a JSON list that have files to claim, of which priorities, and how many of
// theirs are live. Each priority has a range of its own in the indexes.
const connectorsText = `WITH p (priority) AS (VALUES (1), (0), (-1))
	SELECT c.value, p.priority, (SELECT count(*) FROM files
		WHERE connector = c.value AND state = 2 AND priority IN (1, 0, -1) AND lease_until > ?1)
	FROM json_each(?2) c CROSS JOIN p
	WHERE EXISTS (SELECT 1 FROM files WHERE connector = c.value AND ` + isReady + ` AND priority = p.priority AND ready_at <= ?1)
	OR EXISTS (SELECT 1 FROM files WHERE connector = c.value AND state = 2 AND priority = p.priority AND lease_until <= ?1)`

// connectors returns those of limits that have files to claim: one statement, however many have none.
func (w *writer) connectors(limits map[string]int, now micros) (map[string]*connector, error) {
	names := make([]string, 0, len(limits))
	for name, limit := range limits {
		if limit > 0 {
			names = append(names, name)
		}
	}
	list, err := json.Marshal(names)
	if err != nil {
		return nil, err
	}
	found := make(map[string]*connector)
	err = w.each(connectorsText, []any{int64(now), string(list)}, func(rows *sql.Rows) error {
		var name string
		var priority store.Priority
		live := 0
		err := rows.Scan(&name, &priority, &live)
		if found[name] == nil {
			found[name] = &connector{live: live, waits: make(map[store.Priority]bool)}
		}
		found[name].waits[priority] = true
		return err
	})
	return found, err
}

// lines returns the files of each connector that may be claimed now, as many as its limit, r.Most and r.Max allow, in a
// random order of connectors: so none is always the last.
func (w *writer) lines(ctx context.Context, r store.ClaimRequest, now micros) ([][]ready, error) {
	if r.Max <= 0 {
		return nil, nil
	}
	found, err := w.connectors(r.Limits, now)
	if err != nil {
		return nil, err
	}
	var lines [][]ready
	for name, c := range found {
		room := min(r.Limits[name]-c.live, r.Max)
		if most, bound := r.Most[name]; bound {
			room = min(room, most)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		line, err := w.line(name, c.waits, room, now)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	rand.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return lines, nil
}

// lineText merges two ranges of indexes, so that it reads no more than it returns.
const lineText = `SELECT id, ready_at AS since, state FROM files INDEXED BY files_ready
		WHERE connector = ?1 AND ` + isReady + ` AND priority = ?2 AND ready_at <= ?3
	UNION ALL SELECT id, lease_until, state FROM files INDEXED BY files_leased
		WHERE connector = ?1 AND state = 2 AND priority = ?2 AND lease_until <= ?3
	ORDER BY since, id LIMIT ?4`

// line returns up to room files of one connector that may be claimed now: those of higher priority first, of one priority
// the one that has been ready longest.
func (w *writer) line(name string, waits map[store.Priority]bool, room int, now micros) ([]ready, error) {
	var line []ready
	for _, p := range priorities {
		if !waits[p] || len(line) >= room {
			continue
		}
		args := []any{name, int64(p), int64(now), room - len(line)}
		err := w.each(lineText, args, func(rows *sql.Rows) error {
			var r ready
			err := rows.Scan(&r.id, &r.since, &r.state)
			line = append(line, r)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return line, nil
}

// takeTurns takes up to maximum files from the lines, one from each in turn.
func takeTurns(lines [][]ready, maximum int) []ready {
	var taken []ready
	for turn := 0; len(lines) > 0; turn++ {
		lines = slices.DeleteFunc(lines, func(line []ready) bool { return turn >= len(line) })
		for _, line := range lines {
			if len(taken) == maximum {
				return taken
			}
			taken = append(taken, line[turn])
		}
	}
	return taken
}

// lease writes the leases and returns the files in the order in which they were taken.
func (w *writer) lease(taken []ready, r store.ClaimRequest, now micros) ([]store.Claimed, error) {
	if len(taken) == 0 {
		return nil, nil
	}
	ids := make([]int64, len(taken))
	position := make(map[int64]int, len(taken))
	for i, f := range taken {
		ids[i] = f.id
		position[f.id] = i
		w.effects.move(f.state, store.Running)
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	// OR FAIL, because SQLite would keep a journal of its own to take back half a statement; the transaction can do that.
	_, err = w.exec(`UPDATE OR FAIL files SET state = 2, phase = 1, attempts = attempts + 1, token = token + 1, worker = ?1, lease_until = ?2,
		updated_at = ?3, start = coalesce(started_at, ?3), started_at = coalesce(started_at, ?3)
		WHERE id IN (SELECT value FROM json_each(?4))`, r.Worker, now.add(r.Lease), int64(now), string(list))
	if err != nil {
		return nil, err
	}
	claimed := make([]store.Claimed, len(ids))
	var scan scanner
	err = w.each("SELECT "+fileColumns+`, t.spec FROM json_each(?) j CROSS JOIN files f ON f.id = j.value
		CROSS JOIN transfers t ON t.seq = f.transfer`, []any{string(list)}, func(rows *sql.Rows) error {
		var c store.Claimed
		if err := scan.file(rows, &c.File, &c.Spec); err != nil {
			return err
		}
		claimed[position[c.ID]] = c
		return nil
	})
	return claimed, err
}
