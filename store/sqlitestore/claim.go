package sqlitestore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"math/rand/v2"
	"slices"

	"github.com/seed62b9dc43/transfer/store"
)

// Claim implements [store.Store].
func (s *Store) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claimed, error) {
	var claimed []store.Claimed
	err := s.write(ctx, "claim files", func(w *writer, now micros) error {
		lines, err := w.lines(ctx, r, now)
		if err != nil {
			return err
		}
		ids := takeTurns(lines, r.Max)
		if len(ids) == 0 {
			return nil
		}
		claimed, err = w.lease(ids, r, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// ready is a file that can be claimed, and since when.
type ready struct {
	id    int64
	since int64
}

// lines returns the files of each connector that may be claimed now, as many as its limit and r.Max allow, in a random
// order of connectors: so none is always the last.
func (w *writer) lines(ctx context.Context, r store.ClaimRequest, now micros) ([][]ready, error) {
	var lines [][]ready
	for connector, limit := range r.Limits {
		if limit <= 0 || r.Max <= 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		line, err := w.line(connector, limit, r.Max, now)
		if err != nil {
			return nil, err
		}
		if len(line) > 0 {
			lines = append(lines, line)
		}
	}
	rand.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return lines, nil
}

// line returns the files of one connector that may be claimed now, the one that has been ready longest first.
func (w *writer) line(connector string, limit, maximum int, now micros) ([]ready, error) {
	var live int
	err := w.row("SELECT count(*) FROM files WHERE connector = ? AND state = 2 AND lease_until > ?",
		[]any{connector, int64(now)}, &live)
	if err != nil || live >= limit {
		return nil, err
	}
	room := min(limit-live, maximum)
	var line []ready
	add := func(rows *sql.Rows) error {
		var r ready
		line = append(line, r)
		return rows.Scan(&line[len(line)-1].id, &line[len(line)-1].since)
	}
	args := []any{connector, int64(now), room}
	err = w.each(`SELECT id, ready_at FROM files WHERE connector = ? AND state IN (1, 3, 5) AND ready_at <= ?
		ORDER BY ready_at, id LIMIT ?`, args, add)
	if err != nil {
		return nil, err
	}
	waiting := len(line)
	err = w.each(`SELECT id, lease_until FROM files WHERE connector = ? AND state = 2 AND lease_until <= ?
		ORDER BY lease_until, id LIMIT ?`, args, add)
	if err != nil {
		return nil, err
	}
	if len(line) > waiting {
		slices.SortFunc(line, func(a, b ready) int { return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.id, b.id)) })
	}
	return line[:min(room, len(line))], nil
}

// takeTurns takes up to maximum files from the lines, one from each in turn.
func takeTurns(lines [][]ready, maximum int) []int64 {
	var ids []int64
	for turn := 0; len(lines) > 0; turn++ {
		lines = slices.DeleteFunc(lines, func(line []ready) bool { return turn >= len(line) })
		for _, line := range lines {
			if len(ids) == maximum {
				return ids
			}
			ids = append(ids, line[turn].id)
		}
	}
	return ids
}

// lease writes the leases and returns the files in the order of ids.
func (w *writer) lease(ids []int64, r store.ClaimRequest, now micros) ([]store.Claimed, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	_, err = w.exec(`UPDATE files SET state = 2, phase = 1, attempts = attempts + 1, token = token + 1, worker = ?1, lease_until = ?2,
		updated_at = ?3, start = coalesce(started_at, ?3), started_at = coalesce(started_at, ?3)
		WHERE id IN (SELECT value FROM json_each(?4))`, r.Worker, now.add(r.Lease), int64(now), string(list))
	if err != nil {
		return nil, err
	}
	position := make(map[int64]int, len(ids))
	for i, id := range ids {
		position[id] = i
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
