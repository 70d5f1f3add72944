//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	samplePeriod = 20 * time.Millisecond
	scanPeriod   = 250 * time.Millisecond // to look for children costs more
	killDelay    = 5 * time.Second
)

// command is a program to run.
type command struct {
	args       []string
	env        []string // beside the environment of this program
	input      string
	shownInput bool // the input is part of what was asked for
	children   bool // it starts programs, whose memory counts too
}

// usage is what a program took from its start to its end. cpu is that of the program and of the children that it waited
// for. memory is the most that was resident; of several processes the sum of what each had at most.
type usage struct {
	wall, cpu time.Duration
	memory    int64
}

// run runs the program in a process group of its own. An error has what the program said.
func (c command) run(ctx context.Context) (u usage, err error) {
	said, err := os.CreateTemp("", "bench-said") // a file: the end of a pipe might come later than that of the program
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(err, said.Close(), os.Remove(said.Name())) }()
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdin = strings.NewReader(c.input)
	cmd.Stdout, cmd.Stderr = said, said
	isolate(cmd)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return u, err
	}
	ended := make(chan struct{})
	peak := make(chan int64, 1)
	go func() { peak <- watchMemory(cmd.Process.Pid, c.children, ended) }()
	err = cmd.Wait()
	u.wall = time.Since(began)
	close(ended)
	if u.memory = <-peak; u.memory == 0 { // it ended before the first look
		u.memory = maxResident(cmd.ProcessState)
	}
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if err != nil {
		text, _ := os.ReadFile(said.Name())
		return u, fmt.Errorf("%s: %w\n%s", strings.Join(c.args, " "), err, text)
	}
	return u, nil
}

// isolate gives a command a process group, which an interrupt at the terminal does not reach and which is ended as a
// whole.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killDelay
}

// watchMemory returns the sum of the peaks of a process and its descendants, in bytes.
func watchMemory(pid int, children bool, ended <-chan struct{}) int64 {
	peaks := map[int]int64{pid: 0}
	sample := time.NewTicker(samplePeriod)
	defer sample.Stop()
	for scanned := time.Now(); ; {
		for p := range peaks {
			peaks[p] = max(peaks[p], residentPeak(p))
		}
		if children && time.Since(scanned) > scanPeriod {
			addChildren(peaks)
			scanned = time.Now()
		}
		select {
		case <-sample.C:
		case <-ended:
			return total(peaks)
		}
	}
}

func total(peaks map[int]int64) (sum int64) {
	for _, peak := range peaks {
		sum += peak
	}
	return sum
}

// residentPeak reads the VmHWM of a process: unlike ru_maxrss it does not have what the parent took when it forked.
func residentPeak(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest) // "12345 kB …"
	if len(fields) == 0 {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(fields[0], 10, 64)
	return kilobytes << 10
}

// maxResident is the ru_maxrss of a process that has ended, in bytes.
func maxResident(s *os.ProcessState) int64 {
	if r, ok := s.SysUsage().(*syscall.Rusage); ok {
		return r.Maxrss << 10
	}
	return 0
}

// addChildren adds the children of the processes in peaks.
func addChildren(peaks map[int]int64) {
	found, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a constant
	for _, path := range found {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		pid, parent, ok := parseStat(string(stat))
		if _, known := peaks[pid]; !ok || known {
			continue
		}
		if _, ours := peaks[parent]; ours {
			peaks[pid] = residentPeak(pid)
		}
	}
}

// parseStat reads "pid (name) state parent …"; the name may have anything in it.
func parseStat(stat string) (pid, parent int, ok bool) {
	head, tail := strings.Index(stat, " ("), strings.LastIndex(stat, ") ")
	if head < 0 || tail < head {
		return 0, 0, false
	}
	fields := strings.Fields(stat[tail+2:])
	if len(fields) < 2 {
		return 0, 0, false
	}
	pid, errPid := strconv.Atoi(stat[:head])
	parent, errParent := strconv.Atoi(fields[1])
	return pid, parent, errPid == nil && errParent == nil
}
