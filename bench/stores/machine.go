package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// machine describes where this runs, without names.
func machine() string {
	parts := []string{fmt.Sprintf("%d cores", runtime.NumCPU())}
	if model := procValue("/proc/cpuinfo", "model name"); model != "" {
		parts[0] += " (" + model + ")"
	}
	var kilobytes float64
	if n, _ := fmt.Sscan(procValue("/proc/meminfo", "MemTotal"), &kilobytes); n == 1 { // "24684084 kB"
		parts = append(parts, fmt.Sprintf("%.0f GB of memory", kilobytes*1024/1e9))
	}
	parts = append(parts, runtime.GOOS+"/"+runtime.GOARCH, runtime.Version())
	if version := postgresVersion(); version != "" {
		parts = append(parts, version)
	}
	return strings.Join(parts, ", ")
}

// procValue returns the first value of a key in one of Linux's files, or nothing.
func procValue(path, key string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// postgresVersion is such as "PostgreSQL 15.13", or nothing.
func postgresVersion() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // the pattern is a constant
	if len(found) == 0 {
		return ""
	}
	output, err := exec.Command(found[len(found)-1], "--version").Output()
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(output)) // "postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)"
	if len(fields) < 3 {
		return ""
	}
	return "PostgreSQL " + fields[2]
}
