//go:build linux

package main

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Directions of a row.
type direction string

const (
	up     direction = "up"        // directory → sshd
	down   direction = "down"      // sshd → directory
	fromS3 direction = "S3 → sshd" // up, from S3
	toS3   direction = "sshd → S3" // down, to S3
)

// row is one piece of work, which ours and each of its opponents do.
type row struct {
	key       string // for -rows, such as "1GiB-up-50ms"
	work      string
	direction direction
	data      dataset
	distance
	connections int  // that are allowed; 0 leaves it to the client
	isLarge     bool // the goals of CPU time and memory hold
	opponents   []opponent
}

func (r *row) retrieves() bool { return r.direction == down || r.direction == toS3 }

func (r *row) usesS3() bool { return r.direction == fromS3 || r.direction == toS3 }

// opponent is a peer and how many times as fast as it we want to be. Without a goal the line shows what to expect.
type opponent struct {
	client client
	goal   float64
}

const (
	mib = 1 << 20
	gib = 1 << 30
)

var (
	large  = dataset{files: 1, size: gib}
	medium = dataset{files: 1, size: 100 * mib}
	small  = dataset{files: 2000, size: 4 << 10}
	few    = dataset{files: 200, size: 4 << 10}
)

// near is a distance of nothing; far and farther are what a continent and an ocean cost.
var (
	near    = distance{}
	far     = distance{roundTrip: 50 * time.Millisecond}
	farther = distance{roundTrip: 100 * time.Millisecond}
	farest  = distance{roundTrip: 200 * time.Millisecond}
	lossy   = distance{roundTrip: 50 * time.Millisecond, loss: 0.001}
)

// allRows are the rows of the table. Their goals are this project's.
func allRows() []row {
	var rows []row
	add := func(work string, d direction, data dataset, at distance, connections int, against ...opponent) {
		rows = append(rows, row{key: rowKey(data, d, at), work: work, direction: d, data: data, distance: at, connections: connections, isLarge: data == large, opponents: against})
	}
	for _, d := range []direction{up, down} {
		add("1 GiB "+string(d), d, large, near, 0, opponent{rcloneBest, 1.2}, opponent{rcloneDefault, 2}, opponent{openSSH, 1})
	}
	add("1 GiB up, 50 ms, 4 connections", up, large, far, 4, opponent{openSSH, 4}, opponent{rcloneBest, 4})
	add("1 GiB down, 50 ms, 4 connections", down, large, far, 4, opponent{rcloneBest, 1.5}, opponent{lftpClient, 1.1})
	for _, d := range []direction{up, down} {
		add("100 MiB "+string(d)+", 50 ms", d, medium, far, 0, opponent{rcloneBest, 1.8})
	}
	for _, d := range []direction{up, down} {
		add("2,000 × 4 KiB "+string(d), d, small, near, 0, opponent{rcloneBest, 2.5}, opponent{rcloneDefault, 10}, opponent{openSSH, 2.5})
	}
	add("200 × 4 KiB up, 50 ms", up, few, far, 0, opponent{openSSH, 14}, opponent{rcloneDefault, 14}, opponent{lftpClient, 2.8})
	add("200 × 4 KiB down, 50 ms", down, few, far, 0, opponent{openSSH, 14}, opponent{rcloneDefault, 8}, opponent{lftpClient, 2.8})
	add("1 GiB, S3 → sshd", fromS3, large, near, 0, opponent{rcloneBest, 1.05}, opponent{rcloneDefault, 1.8})
	add("1 GiB, sshd → S3", toS3, large, near, 0, opponent{rcloneBest, 1.4}, opponent{rcloneDefault, 2.3})
	for _, d := range []direction{fromS3, toS3} {
		add("2,000 × 4 KiB, "+string(d), d, small, near, 0, opponent{rcloneBest, 2.5})
	}
	for _, at := range []distance{farther, farest, lossy} {
		for _, d := range []direction{up, down} {
			add("100 MiB "+string(d)+", "+at.String()+", 4 connections", d, medium, at, 4, opponent{rcloneBest, 0}, opponent{lftpClient, 0})
			add("200 × 4 KiB "+string(d)+", "+at.String(), d, few, at, 0, opponent{rcloneBest, 0}, opponent{lftpClient, 0})
		}
	}
	return rows
}

// String is such as "50 ms, 0.1 % loss".
func (d distance) String() string {
	if d.loss == 0 {
		return fmt.Sprintf("%d ms", d.roundTrip.Milliseconds())
	}
	return fmt.Sprintf("%d ms, %.2g %% loss", d.roundTrip.Milliseconds(), d.loss*100)
}

// rowKey names a row: what, which way and how far.
func rowKey(data dataset, d direction, at distance) string {
	names := map[dataset]string{large: "1GiB", medium: "100MiB", small: "2000x4KiB", few: "200x4KiB"}
	ways := map[direction]string{up: "up", down: "down", fromS3: "s3-to-sshd", toS3: "sshd-to-s3"}
	key := names[data] + "-" + ways[d]
	if at.roundTrip > 0 {
		key += fmt.Sprintf("-%dms", at.roundTrip.Milliseconds())
	}
	if at.loss > 0 {
		key += "-loss"
	}
	return key
}

// chooseRows returns those whose key matches, with the opponents whose name matches and with their sizes scaled.
func chooseRows(pattern, against string, scale float64) ([]row, error) {
	match, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("-rows is %q: %w", pattern, err)
	}
	opponents, err := regexp.Compile(against)
	if err != nil {
		return nil, fmt.Errorf("-against is %q: %w", against, err)
	}
	var chosen []row
	for _, r := range allRows() {
		r.opponents = slices.DeleteFunc(r.opponents, func(o opponent) bool { return !opponents.MatchString(o.client.name) })
		if match.MatchString(r.key) && len(r.opponents) > 0 {
			r.data = r.data.scaled(scale)
			chosen = append(chosen, r)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-rows %q and -against %q leave none (try -list)", pattern, against)
	}
	return chosen, nil
}

// scaled has fewer files, or smaller ones if there is only one.
func (d dataset) scaled(by float64) dataset {
	if d.files > 1 {
		return dataset{files: max(1, int(float64(d.files)*by)), size: d.size}
	}
	return dataset{files: 1, size: max(1, int64(float64(d.size)*by))}
}
