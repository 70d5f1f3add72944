package pgstore

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed62b9dc43/transfer/store"
)

// Expressions of a file; indexes are on the same ones.
const (
	startSQL     = "coalesce(started_at, greatest(start_at, created_at))"
	localPathSQL = "(CASE direction WHEN 2 THEN target_path ELSE source_path END)"
	indexedSQL   = "left(" + localPathSQL + ", 256)"
)

// conditions are what a query asks of a file, as SQL with its arguments.
type conditions struct {
	terms   []string
	args    []any
	nothing bool // no file can match
}

// bind returns the placeholder of a further argument.
func (c *conditions) bind(arg any) string {
	c.args = append(c.args, arg)
	return fmt.Sprint("$", len(c.args))
}

// add adds a term, in which ? stands for arg.
func (c *conditions) add(term string, arg any) {
	c.terms = append(c.terms, strings.ReplaceAll(term, "?", c.bind(arg)))
}

// text adds a term on a text, unless the text is empty.
func (c *conditions) text(term, want string) {
	if want == "" {
		return
	}
	c.nothing = c.nothing || !storable(want)
	c.add(term, want)
}

func (c *conditions) where() string {
	if len(c.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.terms, " AND ")
}

// conditionsOf translates the filters of q, as Matches defines them.
func conditionsOf(q *store.Query) *conditions {
	c := &conditions{}
	c.text("transfer_id = ?", q.TransferID)
	c.text("connector_id = ?", q.ConnectorID)
	c.text("transfer_id IN (SELECT id FROM @.transfers WHERE follow_id = ?)", q.FollowID) // there it is indexed
	c.text("rule_name = ?", q.RuleName)
	c.text("partner = ?", q.Partner)
	c.text("source_path = ?", q.SourcePath)
	c.text(indexedSQL+" = left(?, 256) AND "+localPathSQL+" = ?", q.LocalPath)
	c.prefix(q.LocalPrefix)
	c.text("code = ?", q.Code)
	if q.Direction != 0 {
		c.add("direction = ?", int16(q.Direction))
	}
	c.states(q.States)
	c.metadata(q.Metadata)
	if !q.From.IsZero() {
		c.add(startSQL+" >= ?", roundUp(q.From))
	}
	if !q.To.IsZero() {
		c.add(startSQL+" <= ?", q.To)
	}
	if !q.Updated.IsZero() {
		c.add("updated_at >= ?", roundUp(q.Updated))
	}
	return c
}

// prefix adds a term on the local path, and what an index can use of it.
func (c *conditions) prefix(prefix string) {
	if prefix == "" {
		return
	}
	c.text("starts_with("+localPathSQL+", ?) AND "+indexedSQL+" >= left(?, 256)", prefix)
	if end := prefixEnd(prefix); end != "" && !c.nothing {
		c.add(indexedSQL+" < ?", end)
	}
}

// prefixEnd returns a text that comes, byte by byte, after all those that begin with prefix, or nothing if there is
// none. Only the part of prefix that is indexed matters.
func prefixEnd(prefix string) string {
	runes := []rune(prefix)
	for i := min(len(runes), 256) - 1; i >= 0; i-- {
		next := runes[i] + 1
		if next == 0xD800 { // surrogates are no text
			next = 0xE000
		}
		if next <= utf8.MaxRune {
			return string(runes[:i]) + string(next)
		}
	}
	return ""
}

func (c *conditions) states(states []store.State) {
	switch {
	case states == nil:
	case len(states) == 0:
		c.nothing = true
	case len(states) == 1:
		c.add("state = ?", int16(states[0]))
	default:
		numbers := make([]int16, len(states))
		for i, s := range states {
			numbers[i] = int16(s)
		}
		c.add("state = ANY(?::smallint[])", numbers)
	}
}

func (c *conditions) metadata(want map[string]string) {
	if len(want) == 0 {
		return
	}
	for key, value := range want {
		c.nothing = c.nothing || !storable(key) || !storable(value)
	}
	c.add("transfer_id IN (SELECT id FROM @.transfers WHERE metadata @> ?::jsonb)", want)
}

// roundUp returns the first whole microsecond that is not before t: the store knows no finer ones.
func roundUp(t time.Time) time.Time {
	if whole := t.Truncate(time.Microsecond); whole.Before(t) {
		return whole.Add(time.Microsecond)
	}
	return t
}

// orders are the expressions that files are put in order by, before their ids.
var orders = map[store.Order]string{
	store.BySource: "source_path", store.BySourceDesc: "source_path",
	store.ByStart: startSQL, store.ByStartDesc: startSQL,
	store.ByStop: "updated_at", store.ByStopDesc: "updated_at",
}

func descending(o store.Order) bool {
	switch o {
	case store.ByIDDesc, store.BySourceDesc, store.ByStartDesc, store.ByStopDesc:
		return true
	}
	return false
}

// behind adds what the cursor says.
func (c *conditions) behind(q *store.Query) {
	if q.After == (store.Cursor{}) {
		return
	}
	than := ">"
	if descending(q.Order) {
		than = "<"
	}
	var key any = q.After.Time
	switch q.Order {
	case store.ByID, store.ByIDDesc:
		c.add("id "+than+" ?", q.After.ID)
		return
	case store.BySource, store.BySourceDesc:
		key = strings.ToValidUTF8(strings.ReplaceAll(q.After.Text, "\x00", ""), string(utf8.RuneError))
	}
	c.add("("+orders[q.Order]+", id) "+than+" (?, "+c.bind(q.After.ID)+")", key)
}

// list returns the statement for the files that q selects, in its order. Transfers are joined outside, so that files
// that are passed over need none.
func (c *conditions) list(q *store.Query) string {
	direction := ""
	if descending(q.Order) {
		direction = " DESC"
	}
	key, inner, outer := "", "id"+direction, "f.id"+direction
	if expression, ok := orders[q.Order]; ok {
		key = ", " + expression + " AS sort_key"
		inner, outer = expression+direction+", "+inner, "f.sort_key"+direction+", "+outer
	}
	page := ""
	if q.Limit > 0 {
		page += " LIMIT " + c.bind(q.Limit)
	}
	if q.Offset > 0 {
		page += " OFFSET " + c.bind(q.Offset)
	}
	return "SELECT " + fileColumns + ", t.metadata FROM (SELECT *" + key + " FROM @.files" + c.where() + " ORDER BY " + inner +
		page + ") AS f JOIN @.transfers t ON t.id = f.transfer_id ORDER BY " + outer
}
