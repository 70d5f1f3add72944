//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPage(t *testing.T) {
	t.Parallel()
	run := func(ours, peer time.Duration) pair {
		return pair{
			ours: usage{wall: ours, cpu: ours, memory: 40 * mib},
			peer: usage{wall: peer, cpu: 2 * ours, memory: 79 * mib},
		}
	}
	got := page([]result{
		{
			row: row{work: "1 GiB up", data: large, isLarge: true}, opponent: opponent{rcloneBest, 1.2}, shown: "rclone copy A B",
			pairs: []pair{run(2*time.Second, 3*time.Second), run(2*time.Second, time.Second), run(2*time.Second, 5*time.Second)},
		},
		{
			row: row{work: "few", data: few}, opponent: opponent{lftpClient, 0}, shown: "lftp -c x",
			pairs: []pair{run(100*time.Millisecond, time.Second)},
		},
	})
	require.Equal(t, ""+
		"| work     | against                |          ours |        peer | ratio |   min–max |   goal |     CPU ours |     CPU peer | CPU ratio | MiB ours | MiB peer |\n"+
		"|----------|------------------------|--------------:|------------:|------:|----------:|-------:|-------------:|-------------:|----------:|---------:|---------:|\n"+
		"| 1 GiB up | rclone, best flags (a) |     512 MiB/s |   341 MiB/s |  1.50 | 0.50–2.50 | 1.20 ✓ |   2.00 s/GiB |   4.00 s/GiB |    0.50 ✓ |     40 ✗ |       79 |\n"+
		"| few      | lftp (b)               | 2,000 files/s | 200 files/s |  10.0 | 10.0–10.0 |        | 0.50 ms/file | 1.00 ms/file |      0.50 |       40 |       79 |\n"+
		"\n2 of 3 goals are met.\n\nCommand lines:\n\n- a: `rclone copy A B`\n- b: `lftp -c x`\n", got)
}

func TestCommandLetters(t *testing.T) {
	t.Parallel()
	var c commandList
	var last string
	for i := range 30 {
		last = c.letter(string(rune('A' + i)))
	}
	require.Equal(t, "ad", last)
	require.Equal(t, "a", c.letter("A"))
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for want, x := range map[string]float64{"0.05": 0.05, "9.99": 9.99, "10.0": 10, "99.9": 99.9, "100": 100.2, "1,234": 1234.4} {
		require.Equal(t, want, number(x))
	}
}
