package store

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Query selects files and puts them in order. A filter that is zero selects all; those that are given must all match.
// Matches and Compare define what it means, for every Store.
type Query struct {
	TransferID  string
	ConnectorID string
	FollowID    string
	RuleName    string
	Partner     string
	SourcePath  string            // exactly, as given in the request
	LocalPath   string            // exactly; see File.LocalPath
	LocalPrefix string            // what LocalPath begins with
	Direction   Direction         // 0: both
	States      []State           // one of them; empty (not nil): none
	Code        string            // of the failure
	Metadata    map[string]string // all of these entries
	From, To    time.Time         // bounds of File.Start, both inclusive
	Updated     time.Time         // UpdatedAt is not before
	Litter      bool              // only finished files with a Checkpoint

	Order  Order
	After  Cursor // only files behind this one in Order; zero: from the first on
	Offset int    // files to pass over; 0 or more
	Limit  int    // at most so many; 0 means no limit
}

// Order is an order of files. Ties are put in the order of ids, in the same direction, so that every order is total.
type Order uint8

// Orders of files.
const (
	ByID     Order = iota
	ByIDDesc       // newest first
	BySource       // by SourcePath, byte by byte
	BySourceDesc
	ByStart // by File.Start
	ByStartDesc
	ByStop // by UpdatedAt
	ByStopDesc
)

// Cursor is a place between two files of an order: behind the file that CursorOf was asked about. A file that moved in
// the order meanwhile may be seen twice or not at all; in the orders by id and by source path none moves.
type Cursor struct {
	ID   int64
	Time time.Time // of an order by time
	Text string    // of an order by text
}

// Matches reports whether q selects f, leaving After, Offset and Limit aside.
func (q *Query) Matches(f *File) bool {
	for _, filter := range [...]struct{ want, got string }{
		{q.TransferID, f.TransferID}, {q.ConnectorID, f.ConnectorID}, {q.FollowID, f.FollowID}, {q.RuleName, f.RuleName},
		{q.Partner, f.Partner}, {q.SourcePath, f.SourcePath}, {q.LocalPath, f.LocalPath()}, {q.Code, f.Code},
	} {
		if filter.want != "" && filter.want != filter.got {
			return false
		}
	}
	for key, value := range q.Metadata {
		if got, ok := f.Metadata[key]; !ok || got != value {
			return false
		}
	}
	return (q.Direction == 0 || q.Direction == f.Direction) &&
		(q.States == nil || slices.Contains(q.States, f.State)) &&
		strings.HasPrefix(f.LocalPath(), q.LocalPrefix) &&
		(q.From.IsZero() || !f.Start().Before(q.From)) &&
		(q.To.IsZero() || !f.Start().After(q.To)) &&
		(q.Updated.IsZero() || !f.UpdatedAt.Before(q.Updated)) &&
		(!q.Litter || f.State.Final() && len(f.Checkpoint) > 0)
}

// Compare is negative if a comes before b in q's order, and 0 only for the same file.
func (q *Query) Compare(a, b *File) int { return q.compare(q.CursorOf(a), q.CursorOf(b)) }

// Behind reports whether f comes after q.After.
func (q *Query) Behind(f *File) bool {
	return q.After == Cursor{} || q.compare(q.CursorOf(f), q.After) > 0
}

// CursorOf returns the place behind f in q's order.
func (q *Query) CursorOf(f *File) Cursor {
	c := Cursor{ID: f.ID}
	switch q.Order {
	case BySource, BySourceDesc:
		c.Text = f.SourcePath
	case ByStart, ByStartDesc:
		c.Time = f.Start()
	case ByStop, ByStopDesc:
		c.Time = f.UpdatedAt
	}
	return c
}

func (q *Query) compare(a, b Cursor) int {
	c := cmp.Or(strings.Compare(a.Text, b.Text), a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID))
	if q.Order.descending() {
		return -c
	}
	return c
}

func (o Order) descending() bool { return o%2 == 1 }

// Start is when work on the file began, or else when it shall begin at the earliest (Waarp's start).
func (f *File) Start() time.Time {
	switch {
	case !f.StartedAt.IsZero():
		return f.StartedAt
	case f.StartAt.After(f.CreatedAt):
		return f.StartAt
	}
	return f.CreatedAt
}

// LocalPath is the file's path in our storage: the source of what is sent, the target of what is retrieved (Waarp's
// filename).
func (f *File) LocalPath() string {
	if f.Direction == Retrieve {
		return f.TargetPath
	}
	return f.SourcePath
}
