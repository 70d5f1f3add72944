package main

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// What the rows look like. Partner k has a share of 1/k, so that the first has about 28 % of the files and the last 1.4 %.
const (
	partners     = 20
	rules        = 30
	connectors   = 8
	applications = 12
	mostFiles    = 100 // of one transfer
)

// seed makes all runs, and all stores of a run, have the same rows.
const seed = 20260301

// firstDay is the date in the first path; later ones follow by the second.
var firstDay = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// generator makes the same transfers each time, up to a number of files.
type generator struct {
	random *rand.Rand
	now    time.Time // scheduled files start after this
	rows   int
	made   int // files so far
	sample sample
}

// sample is a transfer of a few files in the middle, to ask for.
type sample struct {
	transferID, followID, localPath, prefix string
}

func newGenerator(rows int, now time.Time) *generator {
	return &generator{random: rand.New(rand.NewPCG(seed, 0)), now: now, rows: rows}
}

// next returns a transfer that is not stored yet and its files, and false once there are enough.
func (g *generator) next() (store.Transfer, []store.NewFile, bool) {
	if g.made >= g.rows {
		return store.Transfer{}, nil, false
	}
	partner := g.partner()
	t := g.transfer(partner)
	direction := store.Send
	if g.random.IntN(10) < 4 {
		direction = store.Retrieve
	}
	files := make([]store.NewFile, min(g.size(), g.rows-g.made))
	for i := range files {
		files[i] = g.file(direction, partner)
	}
	g.choose(&t, files)
	return t, files, true
}

// partner draws one by its share.
func (g *generator) partner() int {
	total := 0.0
	for k := 1; k <= partners; k++ {
		total += 1 / float64(k)
	}
	drawn := g.random.Float64() * total
	for k := 1; k < partners; k++ {
		if drawn -= 1 / float64(k); drawn < 0 {
			return k
		}
	}
	return partners
}

// transfer returns one without its files. Half have a rule, a third metadata, a third a follow id of an earlier hop.
func (g *generator) transfer(partner int) store.Transfer {
	t := store.Transfer{ID: g.uuid(), ConnectorID: connectorName(partner % connectors), Spec: []byte(`{"overwrite":"replace"}`)}
	t.FollowID = t.ID
	if g.random.IntN(3) == 0 {
		t.FollowID = g.uuid()
	}
	if g.random.IntN(2) == 0 {
		t.RuleName = ruleName(1 + g.random.IntN(rules))
	}
	if g.random.IntN(3) == 0 {
		t.Metadata = map[string]string{"application": applicationName(g.random.IntN(applications)), "batch": fmt.Sprint(g.made / 5000)}
	}
	return t
}

// size draws the number of a transfer's files: often one, some, or many.
func (g *generator) size() int {
	switch n := g.random.IntN(10); {
	case n < 4:
		return 1
	case n < 8:
		return 2 + g.random.IntN(19)
	}
	return 21 + g.random.IntN(mostFiles-20)
}

func (g *generator) file(direction store.Direction, partner int) store.NewFile {
	at := firstDay.Add(time.Duration(g.made) * 20 * time.Second)
	kind := [...]string{"invoices", "orders", "payments", "statements", "stock"}[g.random.IntN(5)]
	name := fmt.Sprintf("%s_%s_%07d.xml.gz", kind, at.Format("20060102T150405"), g.made)
	ours := fmt.Sprintf("/data/%s/%s/%s/%s", partnerName(partner), kind, at.Format("2006/01/02"), name)
	f := store.NewFile{Direction: direction, Partner: partnerName(partner), SourcePath: ours, TargetPath: "/in/" + kind + "/" + name}
	if direction == store.Retrieve {
		f.SourcePath, f.TargetPath = "/out/"+kind+"/"+name, ours
	}
	if fateOf(&f) == fateQueued {
		f.StartAt = g.now.Add(time.Hour + time.Duration(g.random.IntN(72*3600))*time.Second)
	}
	g.made++
	return f
}

// choose keeps a transfer of the second half as the sample.
func (g *generator) choose(t *store.Transfer, files []store.NewFile) {
	if g.sample != (sample{}) || g.made < g.rows/2 || len(files) < 3 || len(files) > 20 {
		return
	}
	path := (&store.File{NewFile: files[0]}).LocalPath()
	g.sample = sample{t.ID, t.FollowID, path, path[:len(path)-len("0000.xml.gz")]}
}

// uuid returns a UUIDv7 whose time follows the number of files.
func (g *generator) uuid() string {
	ms := firstDay.Add(time.Duration(g.made) * 20 * time.Second).UnixMilli()
	a, b := g.random.Uint32(), g.random.Uint64()
	return fmt.Sprintf("%08x-%04x-7%03x-%04x-%012x", ms>>16, ms&0xffff, a&0xfff, 0x8000|a>>16&0x3fff, b&0xffffffffffff)
}

func partnerName(k int) string     { return fmt.Sprintf("partner-%02d", k) }
func ruleName(k int) string        { return fmt.Sprintf("rule-%02d", k) }
func connectorName(k int) string   { return fmt.Sprintf("connector-%d", k) }
func applicationName(k int) string { return fmt.Sprintf("app-%02d", k) }

// fate is what becomes of a file.
type fate int

// Fates.
const (
	fateDone fate = iota
	fateFailed
	fateQueued
	fateCancelled
	fateWaiting
	fatePaused
	fateInterrupted
	fateRunning
)

// fates are the shares in a thousand.
var fates = [...]struct {
	fate  fate
	share uint32
}{
	{fateDone, 920},
	{fateFailed, 30},
	{fateQueued, 30},
	{fateCancelled, 10},
	{fateWaiting, 3},
	{fatePaused, 3},
	{fateInterrupted, 3},
	{fateRunning, 1},
}

// fateOf is a file's fate, the same in every store.
func fateOf(f *store.NewFile) fate {
	drawn := hash(f.SourcePath) % 1000
	for _, f := range fates {
		if drawn < f.share {
			return f.fate
		}
		drawn -= f.share
	}
	return fateDone
}

func hash(text string) uint32 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // never fails
	sum := h.Sum64()
	return uint32(sum>>32) ^ uint32(sum)
}
