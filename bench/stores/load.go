package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

const (
	wave      = 20_000         // files that are created before any of them is claimed
	loadBatch = 1000           // files of one call
	reported  = 100_000        // how many files are between two reports of progress
	farAhead  = 24 * time.Hour // leases and delays of what shall stay as it is
)

// codes are those of files that failed, the frequent ones first.
var codes = []string{"SEND_FILE_NOT_FOUND", "CONNECTION_ERROR", "RETRIEVE_FILE_NOT_FOUND", "WRITE_FILE_ERROR", "TIMEOUT_ERROR"}

// load puts the generator's files into s, by the calls that a client makes: they are created, claimed and finished in
// waves, within a wave in a random order, so that the orders by id, start and stop differ.
func load(ctx context.Context, s store.Store, g *generator, progress func(files int)) error {
	random := rand.New(rand.NewPCG(seed, 1))
	for more := true; more; {
		var err error
		before := g.made
		if more, err = createWave(ctx, s, g); err != nil {
			return fmt.Errorf("create: %w", err)
		}
		claimed, err := claimAll(ctx, s)
		if err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		random.Shuffle(len(claimed), func(i, j int) { claimed[i], claimed[j] = claimed[j], claimed[i] })
		for part := range slices.Chunk(claimed, loadBatch) {
			if err := settle(ctx, s, part); err != nil {
				return err
			}
		}
		if !more || g.made/reported > before/reported {
			progress(g.made)
		}
	}
	return nil
}

// createWave creates transfers until there are enough files for a wave, and tells whether there may be more.
func createWave(ctx context.Context, s store.Store, g *generator) (bool, error) {
	for n := 0; n < wave; {
		t, files, ok := g.next()
		if !ok {
			break
		}
		if _, err := s.CreateTransfer(ctx, t, files); err != nil {
			return false, err
		}
		n += len(files)
	}
	return g.made < g.rows, nil
}

// allConnectors are limits that never hold a claim back.
func allConnectors() map[string]int {
	limits := make(map[string]int, connectors)
	for k := range connectors {
		limits[connectorName(k)] = 1 << 30
	}
	return limits
}

func claimAll(ctx context.Context, s store.Store) ([]store.Claimed, error) {
	request := store.ClaimRequest{Worker: "node-1/worker-1", Max: loadBatch, Lease: farAhead, Limits: allConnectors()}
	var all []store.Claimed
	for {
		claimed, err := s.Claim(ctx, request)
		if err != nil || len(claimed) == 0 {
			return all, err
		}
		all = append(all, claimed...)
	}
}

// settle gives claimed files their fates.
func settle(ctx context.Context, s store.Store, claimed []store.Claimed) error {
	changes := make([]store.Change, len(claimed))
	var paused, cancelled []int64
	for i := range claimed {
		f := &claimed[i].File
		switch fateOf(&f.NewFile) {
		case fatePaused:
			paused = append(paused, f.ID)
		case fateCancelled:
			cancelled = append(cancelled, f.ID)
		}
		changes[i] = changeOf(f)
	}
	if err := update(ctx, s, changes); err != nil {
		return err
	}
	if err := control(ctx, s, paused, store.Paused); err != nil {
		return err
	}
	return control(ctx, s, cancelled, store.Cancelled)
}

// changeOf is what the worker writes. Who is to be paused or cancelled is interrupted first.
func changeOf(f *store.File) store.Change {
	size := int64(1000 + hash(f.TargetPath)%50_000_000)
	c := store.Change{ID: f.ID, Token: f.Token, State: store.Interrupted, Delay: farAhead, Progress: halfWay(size)}
	switch fateOf(&f.NewFile) {
	case fateDone:
		c.State, c.Progress = store.Done, whole(size)
	case fateFailed:
		c.State, c.Failure, c.Failures = store.Failed, failureOf(f), 1
		if hash(f.TargetPath)%10 != 0 { // of the others something is left to be swept
			c.Checkpoint = nil
		}
	case fateWaiting:
		c.State, c.Failure, c.Failures = store.Waiting, failureOf(f), 1
	case fateRunning:
		c.State, c.Lease = store.Running, farAhead
	}
	return c
}

const window = 8 << 20

func halfWay(size int64) store.Progress {
	return store.Progress{
		Phase: store.PhaseData, Size: size, Offset: size / 2, BlockSize: window, Rank: size / 2 / window,
		Checkpoint: []byte(`{"v":1,"temporary":".transfer-0192f1c2d3e4-part","etag":"5d41402abc4b2a76b9719d911017c592"}`),
	}
}

func whole(size int64) store.Progress {
	return store.Progress{
		Phase: store.PhaseFinalize, Size: size, Offset: size, BlockSize: window, Rank: (size + window - 1) / window,
		SHA256: make([]byte, 32),
	}
}

func failureOf(f *store.File) store.Failure {
	n := hash(f.TargetPath) % 16
	code := codes[0]
	for i := range codes { // 1/2, 1/4, …
		if n>>i&1 == 1 {
			code = codes[i]
			break
		}
	}
	return store.Failure{Code: code, Message: "open " + f.SourcePath + " on " + f.Partner + ".example.com: refused"}
}

func update(ctx context.Context, s store.Store, changes []store.Change) error {
	verdicts, err := s.Update(ctx, changes)
	return firstError("update", verdicts, err)
}

func control(ctx context.Context, s store.Store, ids []int64, to store.State) error {
	if len(ids) == 0 {
		return nil
	}
	verdicts, err := s.Control(ctx, store.ControlRequest{IDs: ids, To: to})
	return firstError("control", verdicts, err)
}

func firstError(doing string, verdicts []error, err error) error {
	for i := 0; err == nil && i < len(verdicts); i++ {
		err = verdicts[i]
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}
