package sqlitestore

import (
	"math"
	"strings"

	"github.com/seed62b9dc43/transfer/store"
)

// statement is a SELECT in the making.
type statement struct {
	where []string
	args  []any
}

func (s *statement) filter(condition string, args ...any) {
	s.where = append(s.where, condition)
	s.args = append(s.args, args...)
}

// listText returns the statement that lists what q selects, in its order.
func listText(q *store.Query) (string, []any) {
	var s statement
	from := s.filters(q)
	column, direction, behind := order(q.Order)
	if (q.After != store.Cursor{}) {
		at, id := any(q.After.Text), q.After.ID
		switch column {
		case "f.id":
			s.filter("f.id"+behind+"?", id)
		case "f.source_path":
			s.filter("(f.source_path, f.id)"+behind+"(?, ?)", at, id)
		default:
			at, id = place(q.After)
			s.filter("("+column+", f.id)"+behind+"(?, ?)", at, id)
		}
	}
	text := "SELECT " + fileColumns + from + s.conditions() + " ORDER BY " + column + direction
	if column != "f.id" {
		text += ", f.id" + direction
	}
	limit := int64(math.MaxInt64)
	if q.Limit > 0 {
		limit = int64(q.Limit)
	}
	return text + " LIMIT ? OFFSET ?", append(s.args, limit, int64(max(0, q.Offset)))
}

// countText returns the statement that counts what q selects by state.
func countText(q *store.Query) (string, []any) {
	var s statement
	from := s.filters(q)
	return "SELECT f.state, count(*)" + from + s.conditions() + " GROUP BY f.state", s.args
}

// order returns the column of an order, its direction and the operator for what is behind a place in it.
func order(o store.Order) (column, direction, behind string) {
	direction, behind = " ASC", " > "
	switch o {
	case store.ByIDDesc, store.BySourceDesc, store.ByStartDesc, store.ByStopDesc:
		direction, behind = " DESC", " < "
	}
	switch o {
	case store.BySource, store.BySourceDesc:
		return "f.source_path", direction, behind
	case store.ByStart, store.ByStartDesc:
		return "f.start", direction, behind
	case store.ByStop, store.ByStopDesc:
		return "f.updated_at", direction, behind
	}
	return "f.id", direction, behind
}

func (s *statement) conditions() string {
	if len(s.where) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(s.where, " AND ")
}

// filters adds q's filters and returns the tables to read, in the order of CROSS JOIN, which SQLite keeps: the files
// first, or, where few transfers are asked for, these and the range of ids that each has.
func (s *statement) filters(q *store.Query) (from string) {
	from = " FROM files f CROSS JOIN transfers t ON t.seq = f.transfer"
	if q.TransferID != "" || q.FollowID != "" {
		from = " FROM transfers t CROSS JOIN files f ON f.id BETWEEN t.first_file AND t.first_file + t.files - 1"
	}
	for _, f := range [...]struct{ column, want string }{
		{"t.id", q.TransferID}, {"f.connector", q.ConnectorID}, {"t.follow_id", q.FollowID}, {"t.rule", q.RuleName},
		{"f.partner", q.Partner}, {"f.source_path", q.SourcePath}, {"f.local_path", q.LocalPath}, {"f.code", q.Code},
	} {
		if f.want != "" {
			s.filter(f.column+" = ?", f.want)
		}
	}
	if q.Direction != 0 {
		s.filter("f.direction = ?", int64(q.Direction))
	}
	s.prefix(q.LocalPrefix)
	s.states(q.States)
	for key, value := range q.Metadata {
		s.filter("EXISTS (SELECT 1 FROM json_each(t.metadata) WHERE key = ? AND value = ?)", key, value)
	}
	if !q.From.IsZero() {
		s.filter("f.start >= ?", ceil(q.From))
	}
	if !q.To.IsZero() {
		s.filter("f.start <= ?", floor(q.To))
	}
	if !q.Updated.IsZero() {
		s.filter("f.updated_at >= ?", ceil(q.Updated))
	}
	return from
}

// prefix selects the texts from prefix on and before the next text of its length, byte by byte. The byte 0xff is in no
// text, so it does not matter that the one after it is 0.
func (s *statement) prefix(prefix string) {
	if prefix == "" {
		return
	}
	last := len(prefix) - 1
	s.filter("f.local_path >= ? AND f.local_path < ?", prefix, prefix[:last]+string([]byte{prefix[last] + 1}))
}

func (s *statement) states(states []store.State) {
	if states == nil {
		return
	}
	args := make([]any, len(states))
	for i, state := range states {
		args[i] = int64(state)
	}
	s.filter("f.state IN ("+strings.TrimSuffix(strings.Repeat("?,", len(states)), ",")+")", args...)
}
