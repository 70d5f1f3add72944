package pgstore

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed62b9dc43/transfer/store"
)

// Expressions of a file; an index is on the same one.
const (
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

// where is the clause for the files of one arm.
func (c *conditions) where(of string) string {
	return " WHERE " + strings.Join(append([]string{of}, c.terms...), " AND ")
}

// conditionsOf translates the filters of q but for that of states, as Matches defines them; stop is the column that holds
// UpdatedAt.
func conditionsOf(q *store.Query, stop string) *conditions {
	c := &conditions{nothing: q.States != nil && len(q.States) == 0}
	c.text("transfer_id = ?", q.TransferID)
	c.text("connector_id = ?", q.ConnectorID)
	c.text("transfer_id IN (SELECT id FROM @.transfers WHERE follow_id = ?)", q.FollowID) // there it is indexed
	c.text("rule_name = ? AND rule_name <> ''", q.RuleName)                               // which the indexes ask for
	c.text("partner = ?", q.Partner)
	c.text("source_path = ?", q.SourcePath)
	c.text(indexedSQL+" = left(?, 256) AND "+localPathSQL+" = ?", q.LocalPath)
	c.prefix(q.LocalPrefix)
	c.text("code = ?", q.Code)
	if q.Direction != 0 {
		c.add("direction = ?", int16(q.Direction))
	}
	c.metadata(q.Metadata)
	if !q.From.IsZero() {
		c.add("start >= ?", roundUp(q.From))
	}
	if !q.To.IsZero() {
		c.add("start <= ?", q.To)
	}
	if !q.Updated.IsZero() {
		c.add(stop+" >= ?", roundUp(q.Updated))
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

// behind adds what the cursor says; place is the column that comes before the id in q's order, if any.
func (c *conditions) behind(q *store.Query, place string) {
	if q.After == (store.Cursor{}) {
		return
	}
	than := ">"
	if descending(q.Order) {
		than = "<"
	}
	var key any = q.After.Time
	switch place {
	case "":
		c.add("id "+than+" ?", q.After.ID)
		return
	case "source_path":
		key = strings.ToValidUTF8(strings.ReplaceAll(q.After.Text, "\x00", ""), string(utf8.RuneError))
	}
	c.add("("+place+", id) "+than+" (?, "+c.bind(q.After.ID)+")", key)
}
