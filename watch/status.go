package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// Status tells how a watch goes.
type Status struct {
	Name     string
	Schedule string // in words, such as "every 1m0s"
	Paused   bool
	Running  bool
	Node     string // that runs it now, or empty

	NextRun   time.Time // zero while it runs, and before a Watcher was started that has it
	LastRun   time.Time // when the last run began; zero if there was none
	LastError string    // of the last run; empty if it went well
	Failures  int       // runs that failed, in a row, but for those in which the partner's time window was closed
	Runs      int64     // in all
	Started   int64     // files, in all

	// Of the last look.
	Listed     int  // files that were there, and below, as far as patterns reach
	Matched    int  // that are meant, new or not
	Waiting    int  // that are new and wait for the Guard or MinAge
	PassedOver int  // whose names cannot be used, such as those with control characters; see the package
	Truncated  bool // there were more than 200,000 files and directories, and not all were looked at

	Remembered  int      // files that were started, or wait, and are still there
	TransferIDs []string // the last 1,000 that were started, the newest last
}

// ListWatches returns the Status of each of Config.Watches, by name.
//
// Errors: ServiceUnavailableException when the Store failed.
func (w *Watcher) ListWatches(ctx context.Context) ([]Status, error) {
	all := make([]Status, 0, len(w.watches))
	for _, name := range slices.Sorted(maps.Keys(w.watches)) {
		s, err := w.Status(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, *s)
	}
	return all, nil
}

// Status tells how one of Config.Watches goes.
//
// Errors: ResourceNotFoundException for an unknown one, ServiceUnavailableException when the Store failed.
func (w *Watcher) Status(ctx context.Context, name string) (*Status, error) {
	watch, err := w.watch(name)
	if err != nil {
		return nil, err
	}
	s := &Status{Name: name, Schedule: watch.timetable.String()}
	if err := errors.Join(w.statusOfSchedule(ctx, s), w.statusOfState(ctx, s)); err != nil {
		return nil, unavailable("status of watch "+name, err)
	}
	if s.Paused, err = w.paused(ctx, name); err != nil {
		return nil, unavailable("status of watch "+name, err)
	}
	return s, nil
}

func (w *Watcher) statusOfSchedule(ctx context.Context, s *Status) error {
	d, err := w.find(ctx, scheduleName(s.Name))
	if err != nil || d == nil {
		return err
	}
	if d.Worker == "" {
		s.NextRun = d.DueAt
	}
	return nil
}

func (w *Watcher) statusOfState(ctx context.Context, s *Status) error {
	d, err := w.find(ctx, stateName(s.Name))
	if err != nil || d == nil {
		return err
	}
	st, err := parseState(d.State)
	if err != nil {
		return err
	}
	s.Running, s.Node = d.Worker != "", d.Worker
	s.LastRun, s.LastError, s.Failures, s.Runs, s.Started = st.LastRun, st.LastError, st.Failures, st.Runs, st.Started
	s.Listed, s.Matched, s.Waiting = st.Last.Listed, st.Last.Matched, st.Last.Waiting
	s.PassedOver, s.Truncated = st.Last.PassedOver, st.Last.Truncated
	s.Remembered, s.TransferIDs = len(st.known), st.Transfers
	return nil
}

// Trigger has a watch run now, paused or not, on whatever node; one that runs just then runs once more. It returns at once.
//
// Errors: ResourceNotFoundException for an unknown one, ServiceUnavailableException when the Store failed.
func (w *Watcher) Trigger(ctx context.Context, name string) error {
	if _, err := w.watch(name); err != nil {
		return err
	}
	return unavailable("trigger watch "+name, w.create(ctx, store.Duty{Name: triggerName(name)}))
}

// SetPaused has a watch run no more by its schedule, on any node, or again from its next time on. A run that is under way
// goes on, and so do transfers. What would have been run meanwhile is not caught up with.
//
// Errors: ResourceNotFoundException for an unknown one, ServiceUnavailableException when the Store failed.
func (w *Watcher) SetPaused(ctx context.Context, name string, paused bool) error {
	if _, err := w.watch(name); err != nil {
		return err
	}
	if paused {
		return unavailable("pause watch "+name, w.create(ctx, store.Duty{Name: pausedName(name)}))
	}
	return unavailable("resume watch "+name, w.remove(ctx, pausedName(name)))
}

// Forget removes what the Store has of a watch: of one that is no longer in Config.Watches, or to let one begin anew. Then
// every file that is there is new to it. No Watcher should run it meanwhile.
//
// Errors: ServiceUnavailableException when the Store failed.
func (w *Watcher) Forget(ctx context.Context, name string) error {
	for _, duty := range [...]string{scheduleName(name), triggerName(name), pausedName(name), stateName(name)} {
		if err := w.remove(ctx, duty); err != nil {
			return unavailable("forget watch "+name, err)
		}
	}
	if watch := w.watches[name]; watch != nil {
		return unavailable("forget watch "+name, w.registerOne(ctx, watch))
	}
	return nil
}

func (w *Watcher) paused(ctx context.Context, name string) (bool, error) {
	d, err := w.find(ctx, pausedName(name))
	return d != nil, err
}

func (w *Watcher) watch(name string) (*watched, error) {
	if watch := w.watches[name]; watch != nil {
		return watch, nil
	}
	return nil, &transfer.ResourceNotFoundException{
		Message: fmt.Sprintf("watch %q is not known (Config.Watches has it not)", shorten(name)), Resource: name, ResourceType: "Watch",
	}
}

// unavailable turns a Store's error into the API's. An ended context stays what it is.
func unavailable(op string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &transfer.ServiceUnavailableException{Message: op + ": " + err.Error(), Err: err}
}

// decode reads JSON that this package has written.
func decode(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read what the store has: %w", err)
	}
	return nil
}
