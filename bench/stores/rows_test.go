package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

// drawn is what a generator made.
type drawn struct {
	transfers []store.Transfer
	files     []store.NewFile
	sample    sample
}

func draw(rows int, now time.Time) drawn {
	g := newGenerator(rows, now)
	var d drawn
	for {
		t, files, ok := g.next()
		if !ok {
			d.sample = g.sample
			return d
		}
		d.transfers, d.files = append(d.transfers, t), append(d.files, files...)
	}
}

func TestGeneratorRepeats(t *testing.T) {
	t.Parallel()
	now := time.Now()
	first := draw(5000, now)
	require.Len(t, first.files, 5000)
	require.Equal(t, first, draw(5000, now))
}

func TestGeneratorShares(t *testing.T) {
	t.Parallel()
	const rows = 50_000
	d := draw(rows, time.Now())
	partners, fates := make(map[string]float64), make(map[fate]float64)
	paths := make(map[string]bool)
	for i := range d.files {
		f := &d.files[i]
		partners[f.Partner] += 100. / rows
		fates[fateOf(f)] += 100. / rows
		paths[f.SourcePath] = true
	}
	require.Len(t, partners, 20)
	require.InDelta(t, 28, partners[partnerName(1)], 4)
	require.InDelta(t, 1.4, partners[partnerName(20)], 1)
	require.InDelta(t, 92, fates[fateDone], 1)
	require.InDelta(t, 3, fates[fateFailed], 0.5)
	require.InDelta(t, 3, fates[fateQueued], 0.5)
	require.InDelta(t, 1, fates[fateCancelled], 0.3)
	require.Len(t, paths, rows, "no path twice")
}

func TestGeneratorTransfers(t *testing.T) {
	t.Parallel()
	d := draw(50_000, time.Now())
	rules, ids := make(map[string]int), make(map[string]bool)
	for _, transfer := range d.transfers {
		rules[transfer.RuleName]++
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, transfer.ID)
		ids[transfer.ID] = true
	}
	require.Len(t, rules, 31)
	require.InDelta(t, len(d.transfers)/2, rules[""], float64(len(d.transfers))/20)
	require.Len(t, ids, len(d.transfers))
}

// TestGeneratorQueued holds that what stays queued is scheduled, so that loading never claims it.
func TestGeneratorQueued(t *testing.T) {
	t.Parallel()
	now := time.Now()
	d := draw(5000, now)
	for i := range d.files {
		f := &d.files[i]
		require.Equal(t, fateOf(f) == fateQueued, f.StartAt.After(now))
	}
}

func TestGeneratorSample(t *testing.T) {
	t.Parallel()
	d := draw(5000, time.Now())
	n := 0
	for i := range d.files {
		path := (&store.File{NewFile: d.files[i]}).LocalPath()
		if path == d.sample.localPath {
			n++
		}
	}
	require.Equal(t, 1, n)
	require.NotEmpty(t, d.sample.transferID)
	require.NotEmpty(t, d.sample.followID)
	require.Contains(t, d.sample.localPath, d.sample.prefix)
}
