// Package storetest checks that an implementation of [store.Store] keeps the contract.
//
// A store's test is one call:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store { return store.NewMemory() })
//	}
//
// The checks run in real time and read the store's clock from what it returns, so the store may be slow, be on another
// machine and have a clock of its own.
//
// One of the checks compares the store with a model over random lives of files. It uses package rapid, whose flags set
// how often and how long (-rapid.checks, -rapid.steps) and repeat what failed (-rapid.seed, -rapid.failfile).
package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

// promise is one sentence of the contract and the check of it.
type promise struct {
	name  string
	check func(t *testing.T, s store.Store)
}

// Run checks every promise of [store.Store], each in a parallel subtest with a store of its own. Each call of open MUST
// return an empty store; Run closes it, and what else it needs is removed with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	groups := []struct {
		name     string
		promises []promise
	}{
		{"CreateTransfer", createPromises},
		{"ClientToken", tokenPromises},
		{"ListFiles", listPromises},
		{"CountFiles", countPromises},
		{"Query", queryPromises},
		{"Claim", claimPromises},
		{"Limits", limitPromises},
		{"Priority", priorityPromises},
		{"Lease", leasePromises},
		{"Update", updatePromises},
		{"Control", controlPromises},
		{"Wanted", wantedPromises},
		{"Swept", sweptPromises},
		{"Purge", purgePromises},
		{"Watch", watchPromises},
		{"Connectors", connectorPromises},
		{"Operations", operationPromises},
		{"Duties", dutyPromises},
		{"Streams", streamPromises},
		{"Journal", journalPromises},
		{"Ledger", ledgerPromises},
		{"Concurrent", concurrentPromises},
		{"Context", contextPromises},
		{"Close", closePromises},
	}
	t.Run("Model", func(t *testing.T) {
		t.Parallel()
		checkModel(t, open)
	})
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for _, p := range group.promises {
				t.Run(p.name, func(t *testing.T) {
					t.Parallel()
					s := open(t)
					t.Cleanup(func() { require.NoError(t, s.Close()) })
					p.check(t, s)
				})
			}
		})
	}
}
