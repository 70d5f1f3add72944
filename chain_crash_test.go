package transfer_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// The node dies at every step, before and after it was done, of a flow with every kind of task.
func TestANodeDiesAtEveryStepOfAFlow(t *testing.T) {
	for _, after := range []bool{false, true} {
		reached := true
		for at := 1; reached; at++ {
			require.Less(t, at, 200)
			synctest.Test(t, func(t *testing.T) { reached = dieInAFlow(t, at, after) })
		}
	}
}

func dieInAFlow(t *testing.T, at int, after bool) (reached bool) {
	f := newFated(t, at, after)
	f.rule = transfer.Rule{
		Direction: store.Retrieve, SourceDirectory: "drop", TargetDirectory: "in",
		Before: []transfer.Task{f.effect("b0", false), transfer.MoveSource("work"), f.effect("b2", true)},
		After: []transfer.Task{
			transfer.VerifyTarget(), transfer.GunzipTarget(0), f.effect("a2", false), transfer.RenameTarget("{base}.ready"), transfer.CopyTarget("archive"),
			transfer.DeleteSource(), transfer.Forward("second", "in"), f.effect("a7", true),
		},
		OnError: []transfer.Task{f.effect("e0", true)},
	}
	plain := content(5, 2600)
	f.remote.WriteFile("drop/a.csv.gz", gzipped(t, plain))
	r := f.live(transfer.StartFileTransferInput{RuleName: "r", RetrieveFilePaths: []string{"a.csv.gz"}, FollowID: "flow"}, func() {})
	why := fmt.Sprintf("step %d, after=%v: %v; %v %s", at, after, f.deaths, r.State, r.FailureMessage)

	require.LessOrEqual(t, f.runs("b0"), 1, why)
	require.LessOrEqual(t, f.runs("a2"), 1, why)
	if r.State == store.Failed {
		require.Equal(t, transfer.TaskInterrupted, r.FailureDetail, why)
		require.Equal(t, 1, f.runs("e0"), why)
		return true
	}
	require.Equal(t, store.Done, r.State, why)
	require.Equal(t, []int{1, 1, 0}, []int{f.runs("b0"), f.runs("a2"), f.runs("e0")}, why)
	require.GreaterOrEqual(t, f.runs("b2"), 1, why)
	require.GreaterOrEqual(t, f.runs("a7"), 1, why)
	require.Equal(t, 1, f.madeOf("ours:in/a.csv.gz"), "delivered exactly once: %s", why)
	require.Equal(t, []string{"archive/a.ready", "in/a.csv.gz", "in/a.ready"}, f.local.Paths(), why)
	require.Empty(t, f.remote.Paths(), why)
	require.Equal(t, []string{"in/a.ready"}, f.second.Paths(), why)
	got, err := f.second.ReadFile("in/a.ready")
	require.NoError(t, err)
	require.True(t, bytes.Equal(plain, got), why)
	forwarded, err := f.client.ListTransfers().FollowID("flow").Partner("second").All(t.Context())
	require.NoError(t, err)
	require.Len(t, forwarded, 1, why)
	require.Empty(t, f.local.Partials(), why)
	return len(f.deaths) > 0
}

// A node that died in a before-task has delivered nothing: what is at the target is somebody else's, whatever its content.
func TestACrashInABeforeTaskLeavesNoDoubt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFated(t, 2, true)
		f.rule = transfer.Rule{Overwrite: transfer.OverwriteFail, Before: []transfer.Task{f.effect("b0", true)}}
		f.local.WriteFile("a.bin", content(1, 2500))
		f.remote.WriteFile("in/a.bin", content(1, 2500))
		r := f.live(transfer.StartFileTransferInput{RuleName: "r", SendFilePaths: []string{"a.bin"}, RemoteDirectoryPath: "in"}, func() {})
		require.Equal(t, []string{"dies at task b0"}, f.deaths)
		require.Equal(t, transfer.FileExists, r.FailureDetail)
		require.Equal(t, []string{"b0", "b0"}, f.read(), "%v %d", f.deaths, r.Attempts)
	})
}

// Random chains meet a crash, faults and wishes at random; SEED=n runs one of them again, SEEDS=n the first n.
func TestChainsAtRandom(t *testing.T) {
	from, to := 0, 150
	if s := os.Getenv("SEED"); s != "" {
		from, _ = strconv.Atoi(s)
		to = from + 1
	}
	if s := os.Getenv("SEEDS"); s != "" {
		to, _ = strconv.Atoi(s)
	}
	for seed := from; seed < to; seed++ {
		synctest.Test(t, func(t *testing.T) { chainAtRandom(t, uint64(seed)) })
	}
}

func chainAtRandom(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 11))
	f := newFated(t, random.IntN(20), random.IntN(2) == 0)
	once := make(map[string]bool)
	chain := func(prefix string) (tasks []transfer.Task) {
		for i := range random.IntN(4) {
			name := prefix + strconv.Itoa(i)
			once[name] = random.IntN(2) == 0
			tasks = append(tasks, f.effect(name, !once[name]))
		}
		return tasks
	}
	f.rule = transfer.Rule{Before: chain("b"), After: chain("a"), OnError: chain("e")}
	send := random.IntN(2) == 0
	size := []int{0, 500, 2500}[random.IntN(3)]
	in := transfer.StartFileTransferInput{RuleName: "r", SendFilePaths: []string{"a.bin"}, RemoteDirectoryPath: "in"}
	src, dst, target := f.local, f.remote, "theirs:in/a.bin"
	if !send {
		in = transfer.StartFileTransferInput{RuleName: "r", RetrieveFilePaths: []string{"a.bin"}, LocalDirectoryPath: "in"}
		src, dst, target = f.remote, f.local, "ours:in/a.bin"
	}
	src.WriteFile("a.bin", content(seed, size))
	for range random.IntN(3) {
		f.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect | transfertest.OpWriteWindow | transfertest.OpCommit, Nth: 1 + random.IntN(4),
			Err: []transfer.Code{transfer.ConnectionLost, transfer.PermissionDenied}[random.IntN(2)], Done: random.IntN(2) == 0})
	}
	cancelled := false
	r := f.live(in, func() {
		for range random.IntN(3) {
			time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
			rows, err := f.client.ListTransfers().All(t.Context())
			require.NoError(t, err)
			switch what := (&transfer.ControlInput{TransferID: rows[0].TransferID}); random.IntN(3) {
			case 0:
				_, _ = pause(f.client, t.Context(), what)
			case 1:
				_, _ = resume(f.client, t.Context(), what)
			case 2:
				_, err := cancel(f.client, t.Context(), what)
				cancelled = err == nil
			}
		}
	})
	why := fmt.Sprintf("seed %d: %v %v; %v %v %s", seed, f.deaths, f.read(), r.State, r.FailureDetail, r.FailureMessage)
	for name, is := range once {
		if is {
			require.LessOrEqual(t, f.runs(name), 1, why)
		}
	}
	require.LessOrEqual(t, f.madeOf(target), 1, why)
	requireOrder(t, f.read(), why)
	all := func(prefix string, tasks []transfer.Task) {
		for i := range tasks {
			require.GreaterOrEqual(t, f.runs(prefix+strconv.Itoa(i)), 1, why)
		}
	}
	switch r.State {
	case store.Done:
		all("b", f.rule.Before)
		all("a", f.rule.After)
		require.Equal(t, 1, f.madeOf(target), why)
		got, err := dst.ReadFile("in/a.bin")
		require.NoError(t, err, why)
		require.True(t, bytes.Equal(content(seed, size), got), why)
		require.NotContains(t, strings.Join(f.read(), " "), "e", why)
	case store.Failed:
		if !strings.Contains(r.FailureMessage, "then task OnError") {
			all("e", f.rule.OnError)
		}
		if r.FailureDetail != transfer.TaskInterrupted && r.FailureDetail != transfer.PermissionDenied && r.FailureDetail != transfer.ConnectionLost {
			t.Errorf("failed for no reason: %s", why)
		}
	case store.Cancelled:
		require.True(t, cancelled, why)
	default:
		t.Errorf("not at an end: %s", why)
	}
}

// requireOrder makes sure that tasks run in their order, each again at once or not at all.
func requireOrder(t *testing.T, lines []string, why string) {
	t.Helper()
	rank := map[byte]int{'b': 0, 'a': 1, 'e': 2}
	for i := 1; i < len(lines); i++ {
		before, now := lines[i-1], lines[i]
		same := before[0] == now[0]
		if same {
			require.LessOrEqual(t, before, now, why)
		} else {
			require.Less(t, rank[before[0]], rank[now[0]], why)
		}
	}
}
