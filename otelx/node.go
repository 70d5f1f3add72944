package otelx

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/seed62b9dc43/transfer"
)

// queueTimeout is how long the Store may take to say what waits, in each collection, for files and for sinks.
const queueTimeout = 5 * time.Second

// node is a Client that runs.
type node struct {
	o      *Observer
	client *transfer.Client
}

// Started has what the Client does measured in each collection, until it has ended.
func (o *Observer) Started(c *transfer.Client) (stopped func()) {
	n := &node{o, c}
	registered, err := o.meter.RegisterCallback(n.observe, o.observed()...)
	if err != nil {
		otel.Handle(err)
		return nil
	}
	return func() {
		if err := registered.Unregister(); err != nil {
			otel.Handle(err)
		}
	}
}

func (n *node) observe(ctx context.Context, to metric.Observer) error {
	stats := n.client.NodeStats()
	to.ObserveInt64(n.o.memory, stats.MemoryUsed, n.o.sets.of(labels{}).option)
	to.ObserveInt64(n.o.memoryBudget, stats.MemoryBudget, n.o.sets.of(labels{}).option)
	for i := range stats.Connectors {
		n.observeConnector(to, &stats.Connectors[i])
	}
	if n.o.cfg.Queue == QueueNotMeasured {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	return errors.Join(n.observeQueues(ctx, to, stats.Connectors), n.observeSinks(ctx, to))
}

var breakerStates = []transfer.BreakerState{transfer.BreakerClosed, transfer.BreakerOpen, transfer.BreakerHalfOpen}

func (n *node) observeConnector(to metric.Observer, s *transfer.ConnectorStats) {
	at := connectorID.String(s.ConnectorID)
	set := n.o.sets.with
	to.ObserveInt64(n.o.running, int64(s.Running), set(at))
	to.ObserveInt64(n.o.sessions, int64(s.Sessions), set(at))
	if s.Connections >= 0 {
		to.ObserveInt64(n.o.connections, int64(s.Connections-s.IdleConnections), set(at, connectionState.String("used")))
		to.ObserveInt64(n.o.connections, int64(s.IdleConnections), set(at, connectionState.String("idle")))
	}
	for _, state := range breakerStates {
		is := int64(0)
		if state == s.Breaker {
			is = 1
		}
		to.ObserveInt64(n.o.breaker, is, set(at, breakerState.String(string(state))))
	}
}

// observeQueues asks for the queue, or the queues, as Config.Queue says.
func (n *node) observeQueues(ctx context.Context, to metric.Observer, connectors []transfer.ConnectorStats) error {
	if n.o.cfg.Queue == QueueTotal {
		return n.observeQueue(ctx, to, "")
	}
	for _, c := range connectors[:min(len(connectors), mostQueues)] {
		err := n.observeQueue(ctx, to, c.ConnectorID)
		if gone := new(transfer.ResourceNotFoundException); err != nil && !errors.As(err, &gone) {
			return err
		}
	}
	return nil
}

func (n *node) observeSinks(ctx context.Context, to metric.Observer) error {
	all, err := n.client.SinkStatus(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		age := time.Duration(0)
		if s.Pending > 0 {
			age = max(0, time.Since(s.Oldest))
		}
		to.ObserveInt64(n.o.sinkPending, s.Pending, n.o.sets.with(sinkName.String(s.Name)))
		to.ObserveFloat64(n.o.sinkAge, age.Seconds(), n.o.sets.with(sinkName.String(s.Name)))
	}
	return nil
}

func (n *node) observeQueue(ctx context.Context, to metric.Observer, connector string) error {
	stats, err := n.client.QueueStats(ctx, &transfer.QueueStatsInput{ConnectorID: connector})
	if err != nil {
		return err
	}
	l := labels{connector: connector}
	to.ObserveFloat64(n.o.queueAge, stats.Oldest.Seconds(), n.o.sets.of(l).option)
	for state, count := range stats.Files {
		to.ObserveInt64(n.o.queueDepth, count, n.o.sets.with(append(l.attributes(), fileState.String(strings.ToLower(state.String())))...))
	}
	return nil
}
