package transfer

import (
	"context"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// QueueStatsInput selects a queue.
type QueueStatsInput struct {
	ConnectorID string // whose files; empty for those of all connectors
}

// QueueStats is what is not finished in the Store, over all nodes.
type QueueStats struct {
	// Files counts the files that are Queued, Running, Waiting, Paused and Interrupted; each of these states is there.
	Files map[store.State]int64

	// Oldest is how long the file has been ready that has been so for the longest, and was not taken up; 0 if none is
	// ready. It is measured by this node's clock against the Store's.
	Oldest time.Duration
}

// readySample is how many files of a state are read to find the one that has been ready for the longest.
const readySample = 100

// QueueStats counts what waits in the Store and says for how long. It is meant to be called every few seconds: it costs one
// count and three short lists, which read indexes. Of a connector it finds the files that were started under its present
// Partner name. Oldest is exact for files that were never paused and for what waits for its next attempt up to a few
// minutes, by which files that wait may be ready in another order than the one in which they failed.
//
// Errors: ServiceUnavailableException when the Store failed, ResourceNotFoundException for an unknown connector.
func (c *Client) QueueStats(ctx context.Context, in *QueueStatsInput) (*QueueStats, error) {
	q := store.Query{States: unfinished}
	if in != nil && in.ConnectorID != "" {
		info, err := c.connectorInfo(ctx, in.ConnectorID)
		if err != nil {
			return nil, err
		}
		q.ConnectorID, q.Partner = in.ConnectorID, info.Partner
		fill(&q.Partner, in.ConnectorID)
	}
	out := &QueueStats{}
	var err error
	if out.Files, err = c.cfg.Store.CountFiles(ctx, q); err != nil {
		return nil, storeFailure("count files", err)
	}
	for _, s := range unfinished {
		out.Files[s] += 0
	}
	if out.Oldest, err = c.oldestReady(ctx, q, out.Files); err != nil {
		return nil, storeFailure("find the oldest file", err)
	}
	return out, nil
}

// oldestReady looks at the files of each state that has some which are the first in an order that is nearly that of
// becoming ready.
func (c *Client) oldestReady(ctx context.Context, q store.Query, files map[store.State]int64) (time.Duration, error) {
	now := time.Now()
	oldest := now
	for _, by := range []struct {
		state store.State
		order store.Order
	}{{store.Queued, store.ByStart}, {store.Waiting, store.ByStop}, {store.Interrupted, store.ByStop}} {
		if files[by.state] == 0 {
			continue
		}
		q.States, q.Order, q.Limit = []store.State{by.state}, by.order, readySample
		found, err := c.cfg.Store.ListFiles(ctx, q)
		if err != nil {
			return 0, err
		}
		for i := range found {
			if found[i].ReadyAt.Before(oldest) {
				oldest = found[i].ReadyAt
			}
		}
	}
	return now.Sub(oldest), nil
}
