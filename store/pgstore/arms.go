package pgstore

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/seed62b9dc43/transfer/store"
)

// arm is one SELECT of a statement. Lists and counts are put together of several, because the indexes are partial: each
// arm says in constants which states it is about, and reads the index for these in the order of the list.
type arm struct {
	of   string // the term on states
	stop string // the column that holds UpdatedAt
}

// Stop is indexed and null of running files, whose UpdatedAt changes all the time.
const (
	stopColumn    = "stop"
	runningColumn = "updated_at"
)

// few tells whether the files are found by something that few files have in common.
func few(q *store.Query) bool {
	return q.TransferID != "" || q.FollowID != "" || q.LocalPath != "" || q.LocalPrefix != ""
}

// walks tells whether the primary key is read in its order until the page is full.
func walks(q *store.Query) bool {
	return (q.Order == store.ByID || q.Order == store.ByIDDesc) && q.States == nil && q.Partner == "" && q.RuleName == "" &&
		q.From.IsZero() && q.To.IsZero() && q.Updated.IsZero() && !few(q)
}

// countable tells whether an index has all that a count of each state needs.
func countable(q *store.Query) bool {
	return q.ConnectorID == "" && q.SourcePath == "" && q.Direction == 0 && q.Code == "" && len(q.Metadata) == 0
}

// arms returns those of a list, or of a count if counts is set.
func arms(q *store.Query, counts bool) []arm {
	bySource := q.Order == store.BySource || q.Order == store.BySourceDesc
	switch {
	case q.Litter:
		return []arm{{"litter" + in(q.States), stopColumn}}
	case few(q) || !counts && bySource:
		return halves(q.States)
	case !counts && walks(q) || counts && !countable(q):
		return []arm{{"true" + in(q.States), runningColumn}}
	}
	return each(q.States)
}

// halves returns an arm for the files that run and one for the others.
func halves(states []store.State) []arm {
	running := arm{"state = 2", runningColumn}
	others := arm{"state <> 2" + in(states), stopColumn}
	switch {
	case states == nil:
		return []arm{others, running}
	case !slices.Contains(states, store.Running):
		return []arm{others}
	case !slices.ContainsFunc(states, func(s store.State) bool { return s != store.Running }):
		return []arm{running}
	}
	return []arm{others, running}
}

// each returns an arm for each state.
func each(states []store.State) []arm {
	if states == nil {
		states = store.States()
	}
	var result []arm
	for _, s := range slices.Compact(slices.Sorted(slices.Values(states))) {
		a := arm{fmt.Sprintf("state = %d", int(s)), stopColumn}
		if s == store.Running {
			a.stop = runningColumn
		}
		result = append(result, a)
	}
	return result
}

// in is a further term on the state.
func in(states []store.State) string {
	if states == nil {
		return ""
	}
	numbers := make([]string, len(states))
	for i, s := range states {
		numbers[i] = strconv.Itoa(int(s))
	}
	return " AND state IN (" + strings.Join(numbers, ", ") + ")"
}

func descending(o store.Order) bool {
	switch o {
	case store.ByIDDesc, store.BySourceDesc, store.ByStartDesc, store.ByStopDesc:
		return true
	}
	return false
}

// place returns the column that comes before the id in an order, if any.
func (a arm) place(o store.Order) string {
	switch o {
	case store.BySource, store.BySourceDesc:
		return "source_path"
	case store.ByStart, store.ByStartDesc:
		return "start"
	case store.ByStop, store.ByStopDesc:
		return a.stop
	}
	return ""
}

// listSQL returns the statement for the files that q selects, in its order; it is empty if there can be none. Numbers
// are constants in it, so that a plan that PostgreSQL keeps for all arguments still knows how little is read. Transfers
// are joined outside, so that files that are passed over need none.
func listSQL(q *store.Query) (string, []any) {
	var selects []string
	var args []any
	outer := order("f.", "place", q.Order)
	for _, a := range arms(q, false) {
		place := a.place(q.Order)
		c := conditionsOf(q, a.stop)
		if c.nothing {
			return "", nil
		}
		c.behind(q, place)
		columns := "*, " + place + " AS place"
		if place == "" {
			columns, outer = "*", order("f.", "", q.Order)
		}
		selects = append(selects, "(SELECT "+columns+" FROM @.files"+c.where(a.of)+order("", place, q.Order)+limit(q.Limit, q.Offset)+")")
		args = c.args
	}
	if selects == nil {
		return "", nil
	}
	page := "SELECT * FROM (" + strings.Join(selects, " UNION ALL ") + ") AS f" + outer + limit(q.Limit, 0)
	if q.Offset > 0 {
		page += fmt.Sprint(" OFFSET ", q.Offset)
	}
	return "SELECT " + fileColumns + ", t.metadata FROM (" + page + ") AS f JOIN @.transfers t ON t.id = f.transfer_id" + outer, args
}

// order is the clause for an order of the rows of a table.
func order(table, place string, o store.Order) string {
	direction := ""
	if descending(o) {
		direction = " DESC"
	}
	if place != "" {
		place = table + place + direction + ", "
	}
	return " ORDER BY " + place + table + "id" + direction
}

// limit is the clause for a page behind offset files.
func limit(n, offset int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprint(" LIMIT ", min(uint64(n)+uint64(max(0, offset)), math.MaxInt64))
}

// countSQL returns the statement that counts what q selects by state; it is empty if that is nothing.
func countSQL(q *store.Query) (string, []any) {
	var selects []string
	var args []any
	for _, a := range arms(q, true) {
		c := conditionsOf(q, a.stop)
		if c.nothing {
			return "", nil
		}
		state, group := "state", " GROUP BY state"
		if constant, ok := strings.CutPrefix(a.of, "state = "); ok {
			state, group = constant, ""
		}
		selects = append(selects, "SELECT "+state+", count(*) FROM @.files"+c.where(a.of)+group)
		args = c.args
	}
	return strings.Join(selects, " UNION ALL "), args
}

// repeats tells whether one plan is right for all arguments of the statement. Where it is not, the best plan depends on
// how many files a value selects.
func repeats(q *store.Query) bool {
	return q.ConnectorID == "" && q.SourcePath == "" && q.LocalPrefix == "" && q.Direction == 0 && q.Code == "" &&
		q.Metadata == nil && q.From.IsZero() && q.To.IsZero() && q.Updated.IsZero()
}
