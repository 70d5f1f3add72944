package sqlitestore

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/seed62b9dc43/transfer/store"
)

// SQLite reads the tables of a CROSS JOIN in the order in which they stand.
const (
	fromFiles     = " FROM files f"
	fromRunning   = " FROM files f INDEXED BY files_leased" // SQLite does not know that there are few
	fromLitter    = " FROM files f INDEXED BY files_litter" // and here neither
	withTransfers = " CROSS JOIN transfers t ON t.seq = f.transfer"
	fromTransfers = " FROM transfers t CROSS JOIN files f ON f.id BETWEEN t.first_file AND t.first_file + t.files - 1"
)

// listText returns the statement that lists what q selects, in its order; it is empty if that is nothing. The statement
// finds ids first, and reads whole rows only for those that are on the page.
func listText(q *store.Query) (string, []any) {
	column, direction, behind := order(q.Order)
	c := conditions{transfersFirst: byTransfer(q)}
	c.filters(q)
	if (q.After != store.Cursor{}) {
		c.cursor(q.After, column, behind)
	}
	merge := byState(q) && column != "f.source_path" && (column != "f.id" || q.Partner != "" || q.RuleName != "" || q.States != nil)
	head := "SELECT f.id AS id, " + column + " AS place"
	var ids string
	var args []any
	if merge {
		ids, args = c.merged(q, func(store.State) string { return head })
	} else {
		ids, args = c.direct(q, head, "")
	}
	if ids == "" {
		return "", nil
	}
	limit := int64(math.MaxInt64)
	if q.Limit > 0 {
		limit = int64(q.Limit)
	}
	text := fmt.Sprintf("SELECT %s FROM (%s ORDER BY place%s, id%[3]s LIMIT ? OFFSET ?) p CROSS JOIN files f ON f.id = p.id%s"+
		" ORDER BY p.place%[3]s, p.id%[3]s", fileColumns, ids, direction, withTransfers)
	return text, append(args, limit, int64(max(0, q.Offset)))
}

// countText returns the statement that counts what q selects by state; it is empty if that is nothing.
func countText(q *store.Query) (string, []any) {
	c := conditions{transfersFirst: byTransfer(q)}
	c.filters(q)
	if len(c.terms) == 0 {
		c.states(q.States)
		c.add("f.files > 0")
		return "SELECT f.state, f.files FROM counts AS f WHERE " + strings.Join(c.terms, " AND "), c.args
	}
	if !byState(q) {
		return c.direct(q, "SELECT f.state, count(*)", " GROUP BY f.state")
	}
	return c.merged(q, func(s store.State) string { return fmt.Sprintf("SELECT %d, count(*)", s) })
}

// order returns the column of an order, its direction and the operator for what is behind a place in it.
func order(o store.Order) (column, direction, behind string) {
	direction, behind = "", ">"
	switch o {
	case store.ByIDDesc, store.BySourceDesc, store.ByStartDesc, store.ByStopDesc:
		direction, behind = " DESC", "<"
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

// byTransfer tells whether the files are those of few transfers, each of which has a range of ids.
func byTransfer(q *store.Query) bool { return q.TransferID != "" || q.FollowID != "" }

// byPath tells whether the files are found by the index of local paths.
func byPath(q *store.Query) bool { return q.LocalPath != "" || q.LocalPrefix != "" }

// byState tells whether the files are found by the indexes of states.
func byState(q *store.Query) bool { return !byTransfer(q) && !byPath(q) && !q.Litter }

// conditions are terms of a WHERE and what is bound to them.
type conditions struct {
	transfersFirst bool // find transfers, and their files through these
	terms          []string
	args           []any
}

func (c *conditions) add(term string, args ...any) {
	c.terms = append(c.terms, term)
	c.args = append(c.args, args...)
}

// direct returns head FROM … WHERE … tail.
func (c *conditions) direct(q *store.Query, head, tail string) (string, []any) {
	one := conditions{transfersFirst: c.transfersFirst, terms: slices.Clone(c.terms), args: slices.Clone(c.args)}
	one.states(q.States)
	from := fromFiles
	if q.Litter && !byPath(q) {
		from = fromLitter
	}
	return head + one.source(q, from) + tail, one.args
}

// merged returns one such SELECT for each state, each of which reads an index by state in the order of the list, so that
// SQLite merges them and sorts nothing.
func (c *conditions) merged(q *store.Query, head func(store.State) string) (string, []any) {
	states := store.States()
	if q.States != nil {
		states = slices.Compact(slices.Sorted(slices.Values(q.States)))
	}
	var selects []string
	var args []any
	for _, state := range states {
		one := conditions{terms: slices.Clone(c.terms)}
		one.add(fmt.Sprintf("f.state = %d", state))
		from := fromRunning
		if state != store.Running {
			from = fromFiles
			one.add("f.state <> 2") // SQLite uses a partial index only where its own words are said
		}
		selects = append(selects, head(state)+one.source(q, from))
		args = append(args, c.args...)
	}
	return strings.Join(selects, " UNION ALL "), args
}

// source is the FROM, of files unless they are found by their transfers, and the WHERE.
func (c *conditions) source(q *store.Query, from string) string {
	if c.transfersFirst {
		from = fromTransfers
	} else if len(q.Metadata) > 0 {
		from += withTransfers
	}
	if len(c.terms) == 0 {
		return from
	}
	return from + " WHERE " + strings.Join(c.terms, " AND ")
}

// filters adds q's filters but for that of states.
func (c *conditions) filters(q *store.Query) {
	for _, f := range [...]struct{ column, want string }{
		{"t.id", q.TransferID}, {"f.connector", q.ConnectorID}, {"t.follow_id", q.FollowID}, {"f.rule", q.RuleName},
		{"f.partner", q.Partner}, {"f.source_path", q.SourcePath}, {"f.local_path", q.LocalPath}, {"f.code", q.Code},
	} {
		if f.want != "" {
			c.add(f.column+" = ?", f.want)
		}
	}
	if q.RuleName != "" {
		c.add("f.rule <> ''") // so that SQLite uses the indexes of rules
	}
	if q.Litter {
		c.add("f.state IN (6, 7) AND length(f.checkpoint) > 0")
	}
	if q.Direction != 0 {
		c.add("f.direction = ?", int64(q.Direction))
	}
	c.prefix(q.LocalPrefix)
	for key, value := range q.Metadata {
		c.add("EXISTS (SELECT 1 FROM json_each(t.metadata) WHERE key = ? AND value = ?)", key, value)
	}
	if !q.From.IsZero() {
		c.add("f.start >= ?", ceil(q.From))
	}
	if !q.To.IsZero() {
		c.add("f.start <= ?", floor(q.To))
	}
	if !q.Updated.IsZero() {
		c.add("f.updated_at >= ?", ceil(q.Updated))
	}
}

// prefix selects the texts from prefix on and before the next text of its length, byte by byte.
func (c *conditions) prefix(prefix string) {
	if prefix == "" {
		return
	}
	c.add("f.local_path >= ? AND f.local_path < ?", prefix, behindPrefix(prefix))
}

// behindPrefix returns the next text of prefix's length, or nothing for nothing. The byte 0xff is in no text, so it does
// not matter that the one after it is 0.
func behindPrefix(prefix string) string {
	if prefix == "" {
		return ""
	}
	last := len(prefix) - 1
	return prefix[:last] + string([]byte{prefix[last] + 1})
}

func (c *conditions) states(states []store.State) {
	if states == nil {
		return
	}
	args := make([]any, len(states))
	for i, state := range states {
		args[i] = int64(state)
	}
	c.add("f.state IN ("+strings.TrimSuffix(strings.Repeat("?,", len(states)), ",")+")", args...)
}

// cursor selects what is behind a place in the order of column.
func (c *conditions) cursor(after store.Cursor, column, behind string) {
	switch column {
	case "f.id":
		c.add("f.id "+behind+" ?", after.ID)
	case "f.source_path":
		c.add("(f.source_path, f.id) "+behind+" (?, ?)", after.Text, after.ID)
	default:
		at, id := place(after)
		c.add("("+column+", f.id) "+behind+" (?, ?)", at, id)
	}
}
