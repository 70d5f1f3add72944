package otelx

import (
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/seed62b9dc43/transfer"
)

// set is a set of attributes, ready to be measured with: what counters and histograms take differs in type only.
type set struct {
	option metric.MeasurementOption
	add    []metric.AddOption
	record []metric.RecordOption
}

// labels are the attributes of a measurement; those that are empty are left out.
type labels struct {
	connector, direction, outcome, phase, operation, store, code, errorType string
}

func (l labels) attributes() (attrs []attribute.KeyValue) {
	for _, a := range [...]struct {
		key   attribute.Key
		value string
	}{
		{connectorID, l.connector}, {direction, l.direction}, {outcome, l.outcome}, {phase, l.phase}, {operationName, l.operation},
		{storeOperation, l.store}, {failureCode, l.code}, {errorType, l.errorType},
	} {
		if a.value != "" {
			attrs = append(attrs, a.key.String(a.value))
		}
	}
	return attrs
}

// mostSets is how many sets of attributes are kept. What comes beyond is made each time.
const mostSets = 10_000

// sets keeps sets of attributes, which cost more to make than a measurement.
type sets struct {
	always []attribute.KeyValue
	known  sync.Map // labels → *set
	routes sync.Map // route → *routeSets
	count  atomic.Int64
}

// with makes a set of attrs and those that always come.
func (s *sets) with(attrs ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(append(attrs, s.always...)...))
}

func (s *sets) of(l labels) *set {
	if known, ok := s.known.Load(l); ok {
		return known.(*set)
	}
	made := s.make(l)
	if s.count.Add(1) <= mostSets {
		s.known.Store(l, made)
	}
	return made
}

func (s *sets) make(l labels) *set {
	option := s.with(l.attributes()...)
	return &set{option, []metric.AddOption{option}, []metric.RecordOption{option}}
}

// route is which way files go between us and one partner.
type route struct{ connector, direction string }

// routeSets are the sets of the measurements of a file where nothing fails, which are found without making labels.
type routeSets struct {
	route
	plain    *set
	phases   map[transfer.Part]*set
	outcomes map[transfer.Outcome]*set
}

func (s *sets) route(r route) *routeSets {
	if known, ok := s.routes.Load(r); ok {
		return known.(*routeSets)
	}
	made := &routeSets{route: r, plain: s.make(labels{connector: r.connector, direction: r.direction})}
	made.phases, made.outcomes = make(map[transfer.Part]*set), make(map[transfer.Outcome]*set)
	for _, p := range []transfer.Part{
		transfer.PartConnect, transfer.PartBefore, transfer.PartOpen, transfer.PartCreate, transfer.PartData, transfer.PartFinalize,
		transfer.PartVerify, transfer.PartAfter, transfer.PartOnError, transfer.PartTask, transfer.PartReceipt,
	} {
		made.phases[p] = s.make(labels{connector: r.connector, direction: r.direction, phase: string(p)})
	}
	for _, o := range []transfer.Outcome{
		transfer.OutcomeCompleted, transfer.OutcomeSkipped, transfer.OutcomeFailed, transfer.OutcomeCancelled, transfer.OutcomeRetry,
		transfer.OutcomeHandedOver, transfer.OutcomePaused, transfer.OutcomeInterrupted, transfer.OutcomeLost,
	} {
		made.outcomes[o] = s.make(labels{connector: r.connector, direction: r.direction, outcome: string(o)})
	}
	if s.count.Add(1) <= mostSets {
		s.routes.Store(r, made)
	}
	return made
}
