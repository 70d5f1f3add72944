package watch

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// Limits of selections.
const (
	selectionsKept  = 7 * 24 * time.Hour // after their end
	selectionTries  = 24 * time.Hour     // from StartAt, or since the partner's time window was closed
	selectionWaits  = 8 * 24 * time.Hour // from StartAt, for that: windows are those of a week
	longestID       = 100                // characters
	firstSelectWait = time.Second
	longSelectWait  = 5 * time.Minute
)

// StartSelectionInput asks for one run of a Selection.
type StartSelectionInput struct {
	Selection
	Delivery

	// SelectionID makes the call repeatable: with an id that is known, the same request changes nothing, and another one is
	// refused. Up to 100 characters of one line without a slash. Default: a new one.
	SelectionID string

	// FollowID of all transfers. Default: the SelectionID. Up to 255 characters.
	FollowID string

	// StartAt is the earliest time to look. Default, and for times past: at once.
	StartAt time.Time
}

// StartSelectionOutput answers a StartSelection.
type StartSelectionOutput struct {
	SelectionID string
}

// StartSelection notes that a Selection is to be run once, and returns at once. A started Watcher, here or on another node,
// looks into the directory when the time has come and starts the transfers. If its node dies in between, another one goes on:
// each path is started once. A partner that does not answer is asked again for 24 hours, and one whose time window is closed
// (transfer.Limits.Open) when that opens, if it does so within eight days.
//
// Errors: InvalidRequestException with every wrong field, ServiceUnavailableException when the Store failed.
func (w *Watcher) StartSelection(ctx context.Context, in *StartSelectionInput) (*StartSelectionOutput, error) {
	if in == nil {
		in = &StartSelectionInput{}
	}
	if err := w.checkSelection(in); err != nil {
		return nil, err
	}
	request := *in
	request.StartAt = request.StartAt.UTC().Round(0)
	if request.SelectionID == "" {
		request.SelectionID = newUUID()
	}
	spec, err := json.Marshal(request)
	if err != nil {
		return nil, &transfer.InternalServiceError{Message: "encode selection: " + err.Error(), Err: err}
	}
	d := store.Duty{Name: selectionPrefix + request.SelectionID, Spec: spec, DueAt: request.StartAt}
	err = w.store.CreateDuty(ctx, d)
	if errors.Is(err, store.ErrExists) {
		err = w.repeated(ctx, &d)
	} else {
		err = unavailable("start selection", err)
	}
	if err != nil {
		return nil, err
	}
	w.log.Info("selection noted", "selection", request.SelectionID, "connector", in.ConnectorID, "directory", in.Directory)
	return &StartSelectionOutput{SelectionID: request.SelectionID}, nil
}

// repeated refuses another request under an id that is known.
func (w *Watcher) repeated(ctx context.Context, d *store.Duty) error {
	before, err := w.find(ctx, d.Name)
	switch {
	case err != nil:
		return unavailable("start selection", err)
	case before == nil: // it was removed just now
		return unavailable("start selection", store.ErrExists)
	case !bytes.Equal(before.Spec, d.Spec):
		return &transfer.InvalidRequestException{Message: "SelectionID was used before with another request (use a new id for a new request)"}
	}
	return nil
}

func (w *Watcher) checkSelection(in *StartSelectionInput) error {
	p := &problems{}
	newFlow(in.Selection, in.Delivery, w.client.Rule, p.wrong)
	right := validText(in.SelectionID, 0, longestID) && !strings.Contains(in.SelectionID, "/")
	p.wrong(!right, "SelectionID is %q (use up to %d characters of one line without a slash)", shorten(in.SelectionID), longestID)
	p.wrong(!validText(in.FollowID, 0, maxNameLength), "FollowID is %q (use up to %d characters of one line)", shorten(in.FollowID), maxNameLength)
	y := in.StartAt.UTC().Year()
	p.wrong(y < 0 || y > 9999, "StartAt is in the year %d (use 0 to 9999)", y)
	if err := p.err(); err != nil {
		return &transfer.InvalidRequestException{Message: strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	return nil
}

// SelectionState says where a selection stands.
type SelectionState string

// States of selections.
const (
	SelectionQueued    SelectionState = "QUEUED"    // it was not run yet
	SelectionRunning   SelectionState = "RUNNING"   // it looks, or starts files
	SelectionWaiting   SelectionState = "WAITING"   // for its next attempt, after Error
	SelectionCompleted SelectionState = "COMPLETED" // its files were started; their transfers tell the rest
	SelectionFailed    SelectionState = "FAILED"    // because of Error; what was started before goes on
)

// SelectionStatus tells how a selection goes.
type SelectionStatus struct {
	SelectionID string
	State       SelectionState
	Error       string // why it failed, or waits
	Found       int    // files that are meant, at the last look
	PassedOver  int    // files whose names cannot be used
	Truncated   bool   // there were more than 200,000 files and directories, and not all were looked at
	Started     int64  // files
	TransferIDs []string
	CreatedAt   time.Time
	FinishedAt  time.Time // zero until COMPLETED or FAILED
}

// DescribeSelection tells how a selection goes. TransferIDs are the last 1,000; all of them have its FollowID. It is known for
// seven days after its end.
//
// Errors: ResourceNotFoundException for an unknown one, ServiceUnavailableException when the Store failed.
func (w *Watcher) DescribeSelection(ctx context.Context, id string) (*SelectionStatus, error) {
	d, err := w.find(ctx, selectionPrefix+id)
	if err != nil {
		return nil, unavailable("describe selection "+id, err)
	}
	if d == nil {
		return nil, &transfer.ResourceNotFoundException{Message: fmt.Sprintf("selection %q is not known", shorten(id)), Resource: id, ResourceType: "Selection"}
	}
	s, err := parseState(d.State)
	if err != nil {
		return nil, unavailable("describe selection "+id, err)
	}
	return &SelectionStatus{
		SelectionID: id, State: s.selectionState(d), Error: s.LastError, Found: s.Last.Matched, PassedOver: s.Last.PassedOver,
		Truncated: s.Last.Truncated, Started: s.Started, TransferIDs: s.Transfers, CreatedAt: d.CreatedAt, FinishedAt: s.Finished,
	}, nil
}

func (s *state) selectionState(d *store.Duty) SelectionState {
	switch {
	case s.Failed:
		return SelectionFailed
	case !s.Finished.IsZero():
		return SelectionCompleted
	case d.Worker != "":
		return SelectionRunning
	case s.Runs > 0:
		return SelectionWaiting
	}
	return SelectionQueued
}

// selection runs a selection, or removes one that ended long ago.
func (w *Watcher) selection(ctx context.Context, h *held, id string) {
	log := w.log.With("selection", id)
	s, err := parseState(h.duty.State)
	if err == nil && !s.Finished.IsZero() {
		if err := h.drop(ctx); err != nil && ctx.Err() == nil {
			log.Warn("cannot remove a selection that ended", "error", err)
		}
		return
	}
	var in StartSelectionInput
	if err == nil {
		err = decode(h.duty.Spec, &in)
	}
	if err != nil {
		log.Error("a selection cannot be read", "error", err)
		w.giveBack(ctx, h, brokenDelay)
		return
	}
	err = w.runSelection(ctx, h, s, &in, log)
	if ctx.Err() != nil {
		w.giveBack(ctx, h, 0)
		return
	}
	begin := h.duty.CreatedAt
	if in.StartAt.After(begin) {
		begin = in.StartAt
	}
	delay := s.settle(err, begin)
	data, err := s.marshal()
	if err == nil {
		h.set(data)
	}
	log.Info("selection run", "started", s.Started, "error", s.LastError)
	w.giveBack(ctx, h, delay)
}

func (w *Watcher) runSelection(ctx context.Context, h *held, s *state, in *StartSelectionInput, log *slog.Logger) error {
	p := &problems{}
	f := newFlow(in.Selection, in.Delivery, w.client.Rule, p.wrong)
	if err := p.err(); err != nil {
		return &transfer.InvalidRequestException{Message: err.Error()} // the rule is another one by now
	}
	r := &run{flow: &f, w: w, guard: Guard{}.withDefaults(), held: h, state: s, once: true, follow: in.FollowID, log: log, actor: "selection " + in.SelectionID}
	if r.follow == "" {
		r.follow = in.SelectionID
	}
	return r.do(ctx)
}

// settle notes how a selection's run ended that was to begin at a time, and returns when the duty is due again.
func (s *state) settle(err error, begin time.Time) time.Duration {
	s.ended(err)
	if isShut(err) && time.Since(begin) < selectionWaits {
		return shutDelay
	}
	if s.Shut.After(begin) {
		begin = s.Shut
	}
	if err != nil && !isShut(err) && !permanent(err) && time.Since(begin) < selectionTries {
		return doubled(firstSelectWait, s.Failures, longSelectWait)
	}
	s.Failed, s.Finished = err != nil, time.Now().UTC()
	s.known, s.Plan = table{}, nil
	return selectionsKept
}

// permanent reports whether an error comes again as long as nobody changes anything.
func permanent(err error) bool {
	code := transfer.CodeOf(err)
	return isRefused(err) || code != transfer.UnknownError && !code.Retryable()
}

// newUUID returns a random UUID (RFC 9562, section 5.4).
func newUUID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails since Go 1.24
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:])
}
