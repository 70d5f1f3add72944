package watch

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/seed62b9dc43/transfer/store"
)

// Names of duties. Those that begin with dutyPrefix are claimed when they are due. Names of watches have a slash behind them,
// so that none begins with another one.
const (
	dutyPrefix      = "watch/"
	schedulePrefix  = dutyPrefix + "schedule/"
	triggerPrefix   = dutyPrefix + "trigger/"
	selectionPrefix = dutyPrefix + "select/" // and an id
	statePrefix     = "watching/"
	pausedPrefix    = "watch-paused/"
)

// scheduleName is the duty that is due when the watch is.
func scheduleName(watch string) string { return schedulePrefix + watch + "/" }

// triggerName is the duty to run a watch once more, now.
func triggerName(watch string) string { return triggerPrefix + watch + "/" }

// stateName is the duty that holds the state of a watch. Whoever has it runs the watch.
func stateName(watch string) string { return statePrefix + watch + "/" }

// pausedName is a duty that is there while the watch is paused.
func pausedName(watch string) string { return pausedPrefix + watch + "/" }

// watchOf is the name of the watch in that of a duty.
func watchOf(duty, prefix string) string {
	rest, ok := strings.CutPrefix(duty, prefix)
	if !ok {
		return ""
	}
	return strings.TrimSuffix(rest, "/")
}

// find returns a duty by its name, or nil.
func (w *Watcher) find(ctx context.Context, name string) (*store.Duty, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	found, err := w.store.ListDuties(ctx, store.DutyQuery{Prefix: name, Limit: 1}) // the shortest comes first
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", name, err)
	}
	if len(found) == 0 || found[0].Name != name {
		return nil, nil
	}
	return &found[0], nil
}

// create creates a duty, if it is not there.
func (w *Watcher) create(ctx context.Context, d store.Duty) error {
	if err := w.store.CreateDuty(ctx, d); !errors.Is(err, store.ErrExists) {
		return err
	}
	return nil
}

// remove removes a duty, whoever has it; a missing one is fine.
func (w *Watcher) remove(ctx context.Context, name string) error {
	err := w.store.DeleteDuty(ctx, name, 0)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}
