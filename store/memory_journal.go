package store

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"
)

// journal is what Memory keeps of a Journal.
type journal struct {
	streams map[string]*stream
	seq     int64          // the last one given
	wanted  [Noted + 1]int // by kind: how many streams want it
}

// stream is one of its streams.
type stream struct {
	name   string
	kinds  []EventKind // ascending, each once
	events []Event     // in the order of Seq; those that were dropped have no Kind
	gone   int         // how many of them were dropped
}

// record appends what happened to a file just now to the streams that want to know.
func (m *Memory) record(kind EventKind, r *row, note []byte) {
	j := &m.journal
	if j.wanted[kind] == 0 {
		return
	}
	for _, s := range j.streams {
		if slices.Contains(s.kinds, kind) {
			j.append(s, Event{
				Kind: kind, At: r.updatedAt.time(), TransferID: r.transfer.ID, FileID: r.id,
				State: r.state, Offset: r.offset, Size: r.size, Note: note,
			})
		}
	}
	m.hint(EventsAppended)
}

func (j *journal) append(s *stream, e Event) {
	j.seq++
	e.Seq, e.Stream, e.Note = j.seq, s.name, bytes.Clone(e.Note)
	s.events = append(s.events, e)
}

// want counts the kinds of a stream that comes, by 1, or goes, by -1.
func (j *journal) want(kinds []EventKind, by int) {
	for _, kind := range kinds {
		j.wanted[kind] += by
	}
}

// OpenStream implements [Store].
func (m *Memory) OpenStream(ctx context.Context, s Stream) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	j := &m.journal
	known := j.streams[s.Name]
	if known == nil {
		known = &stream{name: s.Name}
		j.streams[s.Name] = known
	}
	j.want(known.kinds, -1)
	known.kinds = nil
	for _, kind := range []EventKind{FileProgressed, FileFinished} {
		if slices.Contains(s.Kinds, kind) {
			known.kinds = append(known.kinds, kind)
		}
	}
	j.want(known.kinds, 1)
	return nil
}

// CloseStream implements [Store].
func (m *Memory) CloseStream(ctx context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	s := m.journal.streams[name]
	if s == nil {
		return ErrNotFound
	}
	m.journal.want(s.kinds, -1)
	delete(m.journal.streams, name)
	return nil
}

// ListStreams implements [Store].
func (m *Memory) ListStreams(ctx context.Context) ([]Stream, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	listed := make([]Stream, 0, len(m.journal.streams))
	for _, s := range m.journal.streams {
		listed = append(listed, Stream{Name: s.name, Kinds: slices.Clone(s.kinds)})
	}
	slices.SortFunc(listed, func(a, b Stream) int { return cmp.Compare(a.Name, b.Name) })
	return listed, nil
}

// AppendEvents implements [Store].
func (m *Memory) AppendEvents(ctx context.Context, name string, events []Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	s := m.journal.streams[name]
	if s == nil {
		return ErrNotFound
	}
	now := microsOf(time.Now()).time()
	for i := range events {
		e := &events[i]
		m.journal.append(s, Event{Kind: Noted, At: now, TransferID: e.TransferID, FileID: e.FileID, Note: e.Note})
	}
	m.hint(EventsAppended)
	return nil
}

// ListEvents implements [Store].
func (m *Memory) ListEvents(ctx context.Context, q EventQuery) ([]Event, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	s := m.journal.streams[q.Stream]
	if s == nil {
		return nil, nil
	}
	first, known := s.search(q.After)
	if known {
		first++
	}
	var found []Event
	for i, e := range s.events[first:] {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !q.matches(&e) {
			continue
		}
		e.Note = bytes.Clone(e.Note)
		if found = append(found, e); len(found) == q.Limit {
			break
		}
	}
	return found, nil
}

// matches reports whether q selects an event of its stream that is behind After.
func (q *EventQuery) matches(e *Event) bool {
	return e.Kind != 0 &&
		(q.TransferID == "" || e.TransferID == q.TransferID) &&
		(q.FileID == 0 || e.FileID == q.FileID) &&
		(q.From.IsZero() || !e.At.Before(q.From)) &&
		(q.To.IsZero() || !e.At.After(q.To))
}

// search returns the place of the event with this seq, or where it would be.
func (s *stream) search(seq int64) (int, bool) {
	return slices.BinarySearchFunc(s.events, seq, func(e Event, seq int64) int { return cmp.Compare(e.Seq, seq) })
}

// CountEvents implements [Store].
func (m *Memory) CountEvents(ctx context.Context, name string) (int64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return 0, err
	}
	s := m.journal.streams[name]
	if s == nil {
		return 0, nil
	}
	return int64(len(s.events) - s.gone), nil
}

// DropEvents implements [Store].
func (m *Memory) DropEvents(ctx context.Context, name string, seqs []int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	s := m.journal.streams[name]
	if s == nil {
		return nil
	}
	for _, seq := range seqs {
		if at, known := s.search(seq); known && s.events[at].Kind != 0 {
			s.drop(at)
		}
	}
	s.compact()
	return nil
}

// drop makes an event one that is gone. Its Seq stays, for search.
func (s *stream) drop(at int) {
	s.events[at] = Event{Seq: s.events[at].Seq}
	s.gone++
}

// compact forgets the events that are gone once they are most, so that each is moved seldom.
func (s *stream) compact() {
	if s.gone <= len(s.events)/2 {
		return
	}
	left := make([]Event, 0, len(s.events)-s.gone)
	for _, e := range s.events {
		if e.Kind != 0 {
			left = append(left, e)
		}
	}
	s.events, s.gone = left, 0
}

// PurgeEvents implements [Store].
func (m *Memory) PurgeEvents(ctx context.Context, name string, olderThan time.Duration, limit int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return 0, err
	}
	s := m.journal.streams[name]
	if s == nil {
		return 0, nil
	}
	removed, until := 0, microsOf(time.Now()).add(-olderThan)
	for at := 0; at < len(s.events) && removed < limit; at++ {
		if s.events[at].Kind == 0 {
			continue
		}
		if microsOf(s.events[at].At) > until {
			break
		}
		s.drop(at)
		removed++
	}
	s.compact()
	return removed, nil
}
