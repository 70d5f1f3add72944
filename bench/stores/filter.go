package main

import "github.com/seed62b9dc43/transfer/store"

// goal says in which orders a filter's pages have a goal.
type goal int

// Goals.
const (
	noGoal     goal = iota
	indexed         // in the orders by id, start and stop
	everywhere      // few files: in any order
)

// filter is what is asked for.
type filter struct {
	name  string
	query store.Query
	goal  goal
}

// status is one of Waarp's, which are sets of states.
type status struct {
	name   string
	states []store.State
}

var statuses = []status{
	{"TOSUBMIT", []store.State{store.Queued, store.Waiting}},
	{"RUNNING", []store.State{store.Running}},
	{"INTERRUPTED", []store.State{store.Paused, store.Interrupted}},
	{"INERROR", []store.State{store.Failed, store.Cancelled}},
	{"DONE", []store.State{store.Done}},
}

// filters are all that are measured.
func filters(s sample) []filter {
	first, middle, last := partnerName(1), partnerName(5), partnerName(partners)
	all := []filter{
		{"none", store.Query{}, indexed},
		{"partner (largest)", store.Query{Partner: first}, indexed},
		{"partner (smallest)", store.Query{Partner: last}, indexed},
		{"rule", store.Query{RuleName: ruleName(7)}, indexed},
	}
	for _, status := range statuses {
		all = append(all, filter{status.name, store.Query{States: status.states}, indexed})
	}
	for _, status := range statuses {
		all = append(all, filter{"partner, " + status.name, store.Query{Partner: middle, States: status.states}, indexed})
	}
	return append(all,
		filter{"follow id", store.Query{FollowID: s.followID}, everywhere},
		filter{"filename", store.Query{LocalPath: s.localPath}, everywhere},
		filter{"transfer id", store.Query{TransferID: s.transferID}, everywhere},
		filter{"partner, rule", store.Query{Partner: middle, RuleName: ruleName(7)}, noGoal},
		filter{"connector", store.Query{ConnectorID: connectorName(3)}, noGoal},
		filter{"failure code", store.Query{Code: codes[3]}, noGoal},
		filter{"metadata", store.Query{Metadata: map[string]string{"application": applicationName(4)}}, noGoal},
		filter{"path prefix", store.Query{LocalPrefix: s.prefix}, noGoal},
		filter{"litter", store.Query{Litter: true}, noGoal},
	)
}

// order is one of the orders of pages.
type order struct {
	name  string
	order store.Order
}

var orders = []order{
	{"id", store.ByID},
	{"id desc", store.ByIDDesc},
	{"start", store.ByStart},
	{"start desc", store.ByStartDesc},
	{"stop", store.ByStop},
	{"stop desc", store.ByStopDesc},
	{"filename", store.BySource},
	{"filename desc", store.BySourceDesc},
}

// hasGoal tells whether f's pages in this order have a goal.
func (f *filter) hasGoal(o store.Order) bool {
	bySource := o == store.BySource || o == store.BySourceDesc
	return f.goal == everywhere || f.goal == indexed && !bySource
}
