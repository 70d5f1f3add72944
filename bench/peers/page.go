//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer/bench/internal/report"
)

// Goals of 1 GiB against rclone, ours divided by theirs: CPU time against its defaults, which hash as ours do, and against
// its best flags, which do not; memory against its best flags, and in bytes.
const (
	cpuOfDefaults = 0.8
	cpuOfBest     = 1.2
	memoryOfBest  = 0.5
	mostMemory    = 64 * mib
)

// page is the table of results, how many goals are met, and the command lines.
func page(results []result) string {
	commands := &commandList{}
	t := &report.Table{Left: 2, Heads: []string{
		"work", "against", "ours", "peer", "ratio", "min–max", "goal", "CPU ours", "CPU peer", "CPU ratio", "MiB ours", "MiB peer",
	}}
	var goals tally
	for _, r := range results {
		t.Add(r.cells(commands, &goals)...)
	}
	return t.String() + "\n" + goals.String() + "\n\nCommand lines:\n\n" + commands.String()
}

// cells of a result's line.
func (r *result) cells(commands *commandList, goals *tally) []string {
	ours, peer := r.middle(func(p pair) usage { return p.ours }), r.middle(func(p pair) usage { return p.peer })
	ratio, least, most := r.ratio()
	cells := []string{
		r.work, fmt.Sprintf("%s (%s)", r.client.name, commands.letter(r.shown)), r.rate(ours.wall), r.rate(peer.wall),
		number(ratio), number(least) + "–" + number(most), "",
		r.effort(ours.cpu), r.effort(peer.cpu), number(share(ours.cpu, peer.cpu)), megabytes(ours.memory), megabytes(peer.memory),
	}
	if r.goal > 0 {
		cells[6] = goals.mark(number(r.goal), ratio >= r.goal)
	}
	if limit := r.cpuGoal(); limit > 0 {
		cells[9] = goals.mark(cells[9], share(ours.cpu, peer.cpu) <= limit)
	}
	if r.isLarge && r.client.name == rcloneBest.name {
		cells[10] = goals.mark(cells[10], ours.memory < mostMemory && float64(ours.memory) <= memoryOfBest*float64(peer.memory))
	}
	return cells
}

// cpuGoal is 0 where there is none.
func (r *result) cpuGoal() float64 {
	switch {
	case !r.isLarge:
		return 0
	case r.client.name == rcloneDefault.name:
		return cpuOfDefaults
	case r.client.name == rcloneBest.name:
		return cpuOfBest
	}
	return 0
}

// ratio is how many times as fast ours are: the median of the pairs, and the extremes.
func (r *result) ratio() (middle, least, most float64) {
	ratios := make([]float64, len(r.pairs))
	for i, p := range r.pairs {
		ratios[i] = share(p.peer.wall, p.ours.wall)
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1]
}

// middle is the median of each figure.
func (r *result) middle(of func(pair) usage) usage {
	var walls, cpus []time.Duration
	var memory []int64
	for _, p := range r.pairs {
		u := of(p)
		walls, cpus, memory = append(walls, u.wall), append(cpus, u.cpu), append(memory, u.memory)
	}
	return usage{wall: median(walls), cpu: median(cpus), memory: median(memory)}
}

func median[T time.Duration | int64](values []T) T {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// rate is MiB or files per second.
func (r *result) rate(wall time.Duration) string {
	if r.data.files == 1 {
		return number(float64(r.data.bytes())/mib/wall.Seconds()) + " MiB/s"
	}
	return number(float64(r.data.files)/wall.Seconds()) + " files/s"
}

// effort is the CPU time for each GiB or file.
func (r *result) effort(cpu time.Duration) string {
	if r.data.files == 1 {
		return fmt.Sprintf("%.2f s/GiB", cpu.Seconds()*gib/float64(r.data.bytes()))
	}
	return fmt.Sprintf("%.2f ms/file", cpu.Seconds()*1000/float64(r.data.files))
}

func share(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

func megabytes(n int64) string { return fmt.Sprintf("%.0f", float64(n)/mib) }

// number has about three digits.
func number(x float64) string {
	switch {
	case x >= 100:
		return report.Thousands(int64(x + 0.5))
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// tally counts goals.
type tally struct{ all, met int }

func (t *tally) mark(cell string, met bool) string {
	t.all++
	if met {
		t.met++
	}
	return report.Mark(cell, met)
}

func (t *tally) String() string { return fmt.Sprintf("%d of %d goals are met.", t.met, t.all) }

// commandList gives each command line a letter.
type commandList struct{ lines []string }

func (c *commandList) letter(line string) string {
	i := slices.Index(c.lines, line)
	if i < 0 {
		i = len(c.lines)
		c.lines = append(c.lines, line)
	}
	if i < 26 {
		return string(rune('a' + i))
	}
	return string(rune('a'+i/26-1)) + string(rune('a'+i%26))
}

func (c *commandList) String() string {
	var b strings.Builder
	for _, line := range c.lines {
		fmt.Fprintf(&b, "- %s: `%s`\n", c.letter(line), line)
	}
	return b.String()
}
