package transfer

import (
	"context"
	"fmt"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// Wait returns when every file of the transfer is COMPLETED or FAILED, on whatever node; it waits for retries, and for
// paused files to be resumed. A file that failed is no error of Wait: see the summary. If ctx ends first, the summary is as of then, next to ctx's error. Without a started
// Client over the same Store nothing moves, and only ctx ends the wait.
//
// Errors: ResourceNotFoundException for an unknown transfer, ServiceUnavailableException when the Store failed.
func (c *Client) Wait(ctx context.Context, transferID string) (TransferSummary, error) {
	if _, err := c.findTransfer(ctx, "", transferID); err != nil {
		return TransferSummary{}, err
	}
	watch, unwatch := context.WithCancel(ctx)
	defer unwatch()
	finished := c.cfg.Store.Watch(watch, store.FilesFinished)
	poll := time.NewTimer(0)
	defer poll.Stop()
	var s TransferSummary
	var pace pace
	for {
		counts, err := c.cfg.Store.CountFiles(ctx, store.Query{TransferID: transferID})
		if err != nil {
			return s, storeFailure("wait for transfer "+transferID, err)
		}
		if s = summarize(counts); s.Completed+s.Failed == s.Files {
			return s, nil
		}
		left := s.Files - s.Completed - s.Failed
		poll.Reset(pace.next(left, min(c.cfg.PollInterval, waitInterval)))
		hint := finished
		if left > manyFiles {
			hint = nil // each count costs the Store something, and many files finish in a moment
		}
		select {
		case <-hint:
		case <-poll.C:
		case <-ctx.Done():
			return s, fmt.Errorf("wait for transfer %s: %w", transferID, ctx.Err())
		}
	}
}

// waitInterval is how often Wait looks at least; with a longer PollInterval many small files would be done long before it
// sees it.
const waitInterval = 100 * time.Millisecond

// manyFiles is how many must be left for Wait to look at intervals only, and not after each hint.
const manyFiles = 100

// shortestWait is how soon Wait looks again, when only few are left above manyFiles.
const shortestWait = 5 * time.Millisecond

// pace is how fast files finish.
type pace struct {
	left int       // when Wait looked last
	at   time.Time // which was then
}

// next returns the time until manyFiles are left at the present pace, or longest if that comes first.
func (p *pace) next(left int, longest time.Duration) time.Duration {
	before := *p
	*p = pace{left, time.Now()}
	if done := before.left - left; done > 0 && left > manyFiles {
		ahead := float64(p.at.Sub(before.at)) * float64(left-manyFiles) / float64(done)
		return time.Duration(min(max(ahead, float64(shortestWait)), float64(longest)))
	}
	return longest
}
