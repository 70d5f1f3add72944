package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Pages of many running files, each of which goes on at times of its own, are what Matches and Compare say.
func TestMemoryPagesOfManyRunningFiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 3 * blockSize / 2
		random, m := rand.New(rand.NewPCG(4, 1)), NewMemory()
		files := make([]NewFile, n+100)
		for i := range files {
			files[i].Partner, files[i].SourcePath = fmt.Sprint(i%3), fmt.Sprint(i%7)
		}
		_, err := m.CreateTransfer(t.Context(), Transfer{ID: "t", ConnectorID: "c", RuleName: "r"}, files)
		require.NoError(t, err)
		claimed, err := m.Claim(t.Context(), ClaimRequest{Max: n, Lease: time.Hour, Limits: map[string]int{"c": n}})
		require.NoError(t, err)
		require.Len(t, claimed, n)
		for range 40 {
			time.Sleep(time.Millisecond)
			var changes []Change
			for _, i := range random.Perm(n)[:n/10] {
				changes = append(changes, Change{ID: claimed[i].ID, Token: claimed[i].Token, State: Running, Lease: time.Hour})
			}
			_, err := m.Update(t.Context(), changes)
			require.NoError(t, err)
			requireInvariants(t, m)
			all := m.everything()
			for order := ByID; order <= ByStopDesc; order++ {
				requireAnswer(t, m, all, queryOfRunning(random, all, order))
			}
		}
	})
}

// queryOfRunning returns a random query for a page that has running files, most times.
func queryOfRunning(random *rand.Rand, all []File, order Order) Query {
	q, like := Query{Order: order}, &all[random.IntN(len(all))]
	for _, set := range []func(){
		func() { q.Partner = like.Partner },
		func() { q.RuleName = like.RuleName },
		func() { q.States = []State{Running} },
		func() { q.SourcePath = like.SourcePath },
		func() { q.Updated = like.UpdatedAt },
		func() { q.After = q.CursorOf(like) },
		func() { q.Offset = random.IntN(60) },
		func() { q.Limit = 1 + random.IntN(60) },
	} {
		if random.IntN(2) == 0 {
			set()
		}
	}
	return q
}
