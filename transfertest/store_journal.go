package transfertest

import (
	"context"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// CreateDuty calls the store behind, if the rules let it.
func (s *Store) CreateDuty(ctx context.Context, d store.Duty) error {
	return s.run(ctx, OpDuties, func() error { return s.Store.CreateDuty(ctx, d) })
}

// ClaimDuties calls the store behind, if the rules let it.
func (s *Store) ClaimDuties(ctx context.Context, r store.DutyRequest) (duties []store.Duty, err error) {
	err = s.run(ctx, OpDuties, func() (err error) { duties, err = s.Store.ClaimDuties(ctx, r); return err })
	return orZero(duties, err), err
}

// UpdateDuty calls the store behind, if the rules let it.
func (s *Store) UpdateDuty(ctx context.Context, d store.Duty, lease time.Duration) error {
	return s.run(ctx, OpDuties, func() error { return s.Store.UpdateDuty(ctx, d, lease) })
}

// DeleteDuty calls the store behind, if the rules let it.
func (s *Store) DeleteDuty(ctx context.Context, name string, token int64) error {
	return s.run(ctx, OpDuties, func() error { return s.Store.DeleteDuty(ctx, name, token) })
}

// ListDuties calls the store behind, if the rules let it.
func (s *Store) ListDuties(ctx context.Context, q store.DutyQuery) (duties []store.Duty, err error) {
	err = s.run(ctx, OpDuties, func() (err error) { duties, err = s.Store.ListDuties(ctx, q); return err })
	return orZero(duties, err), err
}

// OpenStream calls the store behind, if the rules let it.
func (s *Store) OpenStream(ctx context.Context, stream store.Stream) error {
	return s.run(ctx, OpJournal, func() error { return s.Store.OpenStream(ctx, stream) })
}

// CloseStream calls the store behind, if the rules let it.
func (s *Store) CloseStream(ctx context.Context, name string) error {
	return s.run(ctx, OpJournal, func() error { return s.Store.CloseStream(ctx, name) })
}

// ListStreams calls the store behind, if the rules let it.
func (s *Store) ListStreams(ctx context.Context) (streams []store.Stream, err error) {
	err = s.run(ctx, OpJournal, func() (err error) { streams, err = s.Store.ListStreams(ctx); return err })
	return orZero(streams, err), err
}

// AppendEvents calls the store behind, if the rules let it.
func (s *Store) AppendEvents(ctx context.Context, stream string, events []store.Event) error {
	return s.run(ctx, OpJournal, func() error { return s.Store.AppendEvents(ctx, stream, events) })
}

// ListEvents calls the store behind, if the rules let it.
func (s *Store) ListEvents(ctx context.Context, q store.EventQuery) (events []store.Event, err error) {
	err = s.run(ctx, OpJournal, func() (err error) { events, err = s.Store.ListEvents(ctx, q); return err })
	return orZero(events, err), err
}

// CountEvents calls the store behind, if the rules let it.
func (s *Store) CountEvents(ctx context.Context, stream string) (n int64, err error) {
	err = s.run(ctx, OpJournal, func() (err error) { n, err = s.Store.CountEvents(ctx, stream); return err })
	return orZero(n, err), err
}

// DropEvents calls the store behind, if the rules let it.
func (s *Store) DropEvents(ctx context.Context, stream string, seqs []int64) error {
	return s.run(ctx, OpJournal, func() error { return s.Store.DropEvents(ctx, stream, seqs) })
}

// PurgeEvents calls the store behind, if the rules let it.
func (s *Store) PurgeEvents(ctx context.Context, stream string, olderThan time.Duration, limit int) (n int, err error) {
	err = s.run(ctx, OpJournal, func() (err error) { n, err = s.Store.PurgeEvents(ctx, stream, olderThan, limit); return err })
	return orZero(n, err), err
}

// LookUp calls the store behind, if the rules let it.
func (s *Store) LookUp(ctx context.Context, scope string, paths []string) (entries []store.LedgerEntry, err error) {
	err = s.run(ctx, OpLedger, func() (err error) { entries, err = s.Store.LookUp(ctx, scope, paths); return err })
	return orZero(entries, err), err
}

// Forget calls the store behind, if the rules let it.
func (s *Store) Forget(ctx context.Context, scope string, paths []string) error {
	return s.run(ctx, OpLedger, func() error { return s.Store.Forget(ctx, scope, paths) })
}

// PurgeLedger calls the store behind, if the rules let it.
func (s *Store) PurgeLedger(ctx context.Context, olderThan time.Duration, limit int) (n int, err error) {
	err = s.run(ctx, OpLedger, func() (err error) { n, err = s.Store.PurgeLedger(ctx, olderThan, limit); return err })
	return orZero(n, err), err
}
