package transfer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// Order is an order of ListTransfers (Waarp's "order"). Ties are put in the order of ids, in the same direction.
type Order string

// Orders of ListTransfers.
const (
	AscID     Order = "ascId" // the default: oldest first
	DescID    Order = "descId"
	AscFile   Order = "ascFile" // by the original name, byte by byte
	DescFile  Order = "descFile"
	AscStart  Order = "ascStart" // by when it began, or shall begin at the earliest
	DescStart Order = "descStart"
	AscStop   Order = "ascStop" // by the time of the last event
	DescStop  Order = "descStop"
)

var orders = map[Order]store.Order{
	AscID: store.ByID, DescID: store.ByIDDesc, AscFile: store.BySource, DescFile: store.BySourceDesc,
	AscStart: store.ByStart, DescStart: store.ByStartDesc, AscStop: store.ByStop, DescStop: store.ByStopDesc,
}

func (o Order) known() bool {
	_, ok := orders[o]
	return ok
}

// defaultPage is how many rows a Page has without Limit (Waarp: 20), and how many Each asks for at a time.
const (
	defaultPage = 20
	eachBatch   = 500
)

// Query asks for files over all transfers that the Store keeps, on whatever node they were started. Make one with
// Client.ListTransfers; each method returns a changed copy and leaves its receiver as it is, so that a Query can be kept
// and refined. Filters are combined by and; the same filter given again replaces the earlier one, except Metadata, which
// adds. Wrong arguments are collected and returned by whatever runs the Query, in one InvalidRequestException that names
// them all.
//
// A page costs what is on it, however many files there are, without a filter, by partner, rule, status, or partner and
// status, in the orders by id, start and stop, from the first row or a cursor on; and by transfer, follow id and file name
// in any order. What else costs depends on the Store: see its ListFiles.
type Query struct {
	client *Client
	q      store.Query
	limit  int // -1: not given
	wrong  problems
}

// ListTransfers returns the Query for all files.
func (c *Client) ListTransfers() Query { return Query{client: c, limit: -1} }

func (l Query) reject(name, value, problem string, args ...any) Query {
	l.wrong = slices.Clip(l.wrong)
	l.wrong.add(name, value, problem, args...)
	return l
}

// Limit bounds how many rows come: 0 or more. Without it All and Each give every match, and Page 20.
func (l Query) Limit(n int) Query {
	if n < 0 {
		return l.reject("Limit", strconv.Itoa(n), "is negative (use 0 or more)")
	}
	l.limit = n
	return l
}

// Offset passes over the first n rows, 0 or more. A deep offset costs what it passes over; a cursor (see After) does not.
func (l Query) Offset(n int64) Query {
	if n < 0 {
		return l.reject("Offset", strconv.FormatInt(n, 10), "is negative (use 0 or more)")
	}
	l.q.Offset = int(min(n, math.MaxInt))
	return l
}

// OrderBy sets the order. Default: AscID.
func (l Query) OrderBy(o Order) Query {
	if !o.known() {
		return l.reject("OrderBy", string(o), "is not an order (use one of ascId, descId, ascFile, descFile, ascStart, descStart, ascStop, descStop)")
	}
	l.q.Order = orders[o]
	return l
}

// After goes on behind a page: give its Cursor, with the same filters and order. "" begins at the first row.
func (l Query) After(cursor string) Query {
	if cursor == "" {
		l.q.After = store.Cursor{}
		return l
	}
	after, err := parseCursor(cursor)
	if err != nil {
		return l.reject("After", cursor, "%v (use the Cursor of a page)", err)
	}
	l.q.After = after
	return l
}

// Rule selects files whose RuleName is this.
func (l Query) Rule(name string) Query { l.q.RuleName = name; return l }

// Partner selects files by the remote side: ConnectorInfo.Partner, or the connector's id where it has none.
func (l Query) Partner(name string) Query { l.q.Partner = name; return l }

// Connector selects files of one connector.
func (l Query) Connector(id string) Query { l.q.ConnectorID = id; return l }

// Transfer selects files of one StartFileTransfer call.
func (l Query) Transfer(id string) Query { l.q.TransferID = id; return l }

// FollowID selects files with exactly this FollowID.
func (l Query) FollowID(id string) Query { l.q.FollowID = id; return l }

// Filename selects files by their path in our storage, exactly as given or made (Waarp's filename).
func (l Query) Filename(path string) Query { l.q.LocalPath = path; return l }

// PathPrefix selects files whose path in our storage begins with this.
func (l Query) PathPrefix(prefix string) Query { l.q.LocalPrefix = prefix; return l }

// OriginalFilename selects files by their source path, exactly as given in the request (Waarp's originalFilename).
func (l Query) OriginalFilename(path string) Query { l.q.SourcePath = path; return l }

// Metadata selects files whose Metadata has this entry. Several calls must all match.
func (l Query) Metadata(key, value string) Query {
	more := make(map[string]string, len(l.q.Metadata)+1)
	for k, v := range l.q.Metadata {
		more[k] = v
	}
	more[key] = value
	l.q.Metadata = more
	return l
}

// FailureCode selects files that failed with this published code, such as RetrieveFileNotFound.
func (l Query) FailureCode(code Code) Query {
	if p, finer := publishedCodes[code]; finer {
		return l.reject("FailureCode", string(code), "is a finer cause, which no filter knows (use %s, and look at FailureDetail)", p)
	}
	l.q.Code = string(code)
	return l
}

// Sent selects files that go to a partner.
func (l Query) Sent() Query { l.q.Direction = store.Send; return l }

// Retrieved selects files that come from a partner.
func (l Query) Retrieved() Query { l.q.Direction = store.Retrieve; return l }

// Status selects files with one of these statuses. StatusNotUpdated is legal and selects none.
func (l Query) Status(any ...Status) Query {
	states := []store.State{} // not nil: none
	for _, s := range any {
		if !s.known() {
			return l.reject("Status", string(s), "is not a status (use TOSUBMIT, NOTUPDATED, RUNNING, INTERRUPTED, DONE, INERROR or UNKNOWN)")
		}
		states = append(states, statesOf(s)...)
	}
	if len(any) == 0 {
		states = nil
	}
	l.q.States = states
	return l
}

// StartedAfter selects files that began, or shall begin, at t or later (Waarp's startTrans).
func (l Query) StartedAfter(t time.Time) Query { l.q.From = t; return l }

// StartedBefore selects files that began, or shall begin, at t or earlier (Waarp's stopTrans, which is about the start
// too).
func (l Query) StartedBefore(t time.Time) Query { l.q.To = t; return l }

// UpdatedSince selects files whose last event was at t or later.
func (l Query) UpdatedSince(t time.Time) Query { l.q.Updated = t; return l }

// TransferRow is one file of ListTransfers.
type TransferRow struct {
	ConnectorFileTransferResult

	TransferID  string
	ConnectorID string
	Partner     string // the remote side
	FollowID    string
	RuleName    string
	Metadata    map[string]string
	Priority    store.Priority
	Sent        bool // it goes to the partner; otherwise it comes from there

	file store.File
	node string
}

// Status is the file's status in Waarp's vocabulary; StatusCode is the one in AWS's. While a file waits for its next
// attempt it is TOSUBMIT here and IN_PROGRESS there.
func (r *TransferRow) Status() Status { return waarpStatus(&r.file) }

// Record is the row in Waarp's published shape.
func (r *TransferRow) Record() TransferRecord { return newRecord(&r.file, r.node) }

func (l Query) row(f *store.File) TransferRow { return newRow(f, l.client.cfg.Name) }

func newRow(f *store.File, node string) TransferRow {
	return TransferRow{
		ConnectorFileTransferResult: newResult(f),
		TransferID:                  f.TransferID,
		ConnectorID:                 f.ConnectorID,
		Partner:                     f.Partner,
		FollowID:                    f.FollowID,
		RuleName:                    f.RuleName,
		Metadata:                    f.Metadata,
		Priority:                    f.Priority,
		Sent:                        f.Direction == store.Send,
		file:                        *f,
		node:                        node,
	}
}

// TransferPage is one page of rows.
type TransferPage struct {
	Rows   []TransferRow
	Total  int64  // of all rows that match, whatever Limit, Offset and After
	Cursor string // for After of the next page; empty on the last one
}

// All returns every row, or as many as Limit says.
func (l Query) All(ctx context.Context) ([]TransferRow, error) {
	var rows []TransferRow
	for row, err := range l.Each(ctx) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Each goes through every row, or as many as Limit says, asking for some hundred at a time. It ends after the first error.
func (l Query) Each(ctx context.Context) iter.Seq2[TransferRow, error] {
	return func(yield func(TransferRow, error) bool) {
		left := l.limit
		if left < 0 {
			left = math.MaxInt
		}
		if err := l.check(); err != nil {
			yield(TransferRow{}, err)
			return
		}
		q := l.q
		for left > 0 {
			q.Limit = min(left, eachBatch)
			files, err := l.client.cfg.Store.ListFiles(ctx, q)
			if err != nil {
				yield(TransferRow{}, storeFailure("list transfers", err))
				return
			}
			for i := range files {
				if !yield(l.row(&files[i]), nil) {
					return
				}
			}
			if len(files) < q.Limit {
				return
			}
			left -= len(files)
			q.After, q.Offset = q.CursorOf(&files[len(files)-1]), 0
		}
	}
}

// Page returns one page: its rows, the total of all matches, and a cursor for the next one.
func (l Query) Page(ctx context.Context) (*TransferPage, error) {
	total, err := l.Count(ctx)
	if err != nil {
		return nil, err
	}
	limit := l.limit
	if limit < 0 {
		limit = defaultPage
	}
	page := &TransferPage{Total: total}
	if limit == 0 {
		return page, nil
	}
	q := l.q
	if q.Limit = limit + 1; limit == math.MaxInt {
		q.Limit = 0
	}
	files, err := l.client.cfg.Store.ListFiles(ctx, q)
	if err != nil {
		return nil, storeFailure("list transfers", err)
	}
	if len(files) > limit {
		files = files[:limit]
		page.Cursor = newCursor(q.CursorOf(&files[limit-1]))
	}
	page.Rows = make([]TransferRow, len(files))
	for i := range files {
		page.Rows[i] = l.row(&files[i])
	}
	return page, nil
}

// Count returns how many rows match, whatever Limit, Offset and After.
func (l Query) Count(ctx context.Context) (int64, error) {
	byStatus, err := l.CountByStatus(ctx)
	total := int64(0)
	for _, n := range byStatus {
		total += n
	}
	return total, err
}

// CountByStatus returns how many rows match for each status; statuses without a row are absent.
func (l Query) CountByStatus(ctx context.Context) (map[Status]int64, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	byState, err := l.client.cfg.Store.CountFiles(ctx, l.q)
	if err != nil {
		return nil, storeFailure("count transfers", err)
	}
	byStatus := make(map[Status]int64)
	for state, n := range byState {
		byStatus[waarpStatus(&store.File{State: state})] += n
	}
	return byStatus, nil
}

func (l Query) check() error {
	if l.client == nil {
		return errors.New("transfer: this Query was not made by Client.ListTransfers")
	}
	return l.wrong.err()
}

// cursorState is a store.Cursor as text: opaque to callers, who may only hand it back.
type cursorState struct {
	ID   int64  `json:"i"`
	Time int64  `json:"t,omitempty"` // microseconds since 1970
	Text string `json:"s,omitempty"`
}

func newCursor(c store.Cursor) string {
	state := cursorState{ID: c.ID, Text: c.Text}
	if !c.Time.IsZero() {
		state.Time = c.Time.UnixMicro()
	}
	text, _ := json.Marshal(state) // numbers and valid UTF-8
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseCursor(text string) (c store.Cursor, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	var state cursorState
	if err == nil {
		err = json.Unmarshal(raw, &state)
	}
	if err != nil || len(text) > maxNextToken || state.ID < 1 || strings.ContainsRune(state.Text, 0) {
		return c, errors.New("is not a cursor")
	}
	c = store.Cursor{ID: state.ID, Text: state.Text}
	if state.Time != 0 {
		c.Time = time.UnixMicro(state.Time).UTC()
	}
	return c, nil
}
