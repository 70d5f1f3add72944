package pgstore

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed62b9dc43/transfer/store"
)

const (
	firstBackoff    = 100 * time.Millisecond // after the connection was lost, doubled at each failure
	maxBackoff      = 10 * time.Second
	pingEvery       = time.Minute // a connection that died without a word is noticed after that
	announceTimeout = 5 * time.Second
)

// channel is the name that notifications are sent under; the payload is the topic's number.
func (s *Store) channel() string { return s.schema + "_files" }

// watcher is what stands behind one Watch.
type watcher struct {
	topic store.Topic
	hints chan struct{} // capacity 1: hints that nobody took yet are merged
	stop  func() bool   // undoes context.AfterFunc
}

func (w *watcher) hint() {
	select {
	case w.hints <- struct{}{}:
	default:
	}
}

// Watch implements [store.Store]. The first one takes a connection of its own, which is kept until Close. After Close
// the channel receives once, so that who waits sees ErrClosed at the next call.
func (s *Store) Watch(ctx context.Context, topic store.Topic) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &watcher{topic: topic, hints: make(chan struct{}, 1)}
	if s.closed {
		w.hint()
		return w.hints
	}
	s.watchers[w] = struct{}{}
	w.stop = context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, w)
	})
	if !s.listening {
		s.listening = true
		s.running.Go(s.listen)
	}
	return w.hints
}

// hint tells the watchers of topic, or all of them if it is 0.
func (s *Store) hint(topic store.Topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watchers {
		if topic == 0 || w.topic == topic {
			w.hint()
		}
	}
}

// listen passes notifications on until Close. What fails is tried again: hints may be missing.
func (s *Store) listen() {
	backoff := firstBackoff
	for {
		if connected := s.listenOnce(s.background); connected {
			backoff = firstBackoff
		}
		retry := time.NewTimer(backoff)
		select {
		case <-retry.C:
		case <-s.background.Done():
			retry.Stop()
			return
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// listenOnce returns when the connection is lost, and whether there was one.
func (s *Store) listenOnce(ctx context.Context) (connected bool) {
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return false
	}
	conn := pooled.Hijack() // it is not the pool's any more, whose limit is for short calls
	defer func() {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTimeout)
		defer cancel()
		_ = conn.Close(cleanup)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+quote(s.channel())); err != nil {
		return false
	}
	s.hint(0) // for what happened while nobody listened
	for {
		if err := s.pass(ctx, conn); err != nil {
			return true
		}
	}
}

// pass waits for one notification, or finds that the connection still lives.
func (s *Store) pass(ctx context.Context, conn *pgx.Conn) error {
	wait, cancel := context.WithTimeout(ctx, pingEvery)
	defer cancel()
	n, err := conn.WaitForNotification(wait)
	switch {
	case err == nil:
		if topic, err := strconv.ParseUint(n.Payload, 10, 8); err == nil && topic != 0 {
			s.hint(store.Topic(topic))
		}
		return nil
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return conn.Ping(ctx)
	}
	return err
}

// announce tells all nodes soon. It is not part of the transaction, because PostgreSQL commits those that notify one
// after another; what happens meanwhile is merged into one notification.
func (s *Store) announce(topic store.Topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.pending[topic] = struct{}{}
	if !s.announcing {
		s.announcing = true
		s.running.Go(s.announceAll)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// announceAll sends what is pending until Close, and what is pending then.
func (s *Store) announceAll() {
	for ended := false; !ended; {
		select {
		case <-s.wake:
		case <-s.background.Done():
			ended = true
		}
		s.mu.Lock()
		topics := make([]string, 0, len(s.pending))
		for topic := range s.pending {
			topics = append(topics, strconv.Itoa(int(topic)))
		}
		clear(s.pending)
		s.mu.Unlock()
		s.notify(topics)
	}
}

// notify sends hints; one that gets lost costs others the time until their next poll.
func (s *Store) notify(topics []string) {
	if len(topics) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.background), announceTimeout)
	defer cancel()
	_, _ = s.pool.Exec(ctx, "SELECT pg_notify($1, topic) FROM unnest($2::text[]) AS topic", s.channel(), topics)
}
