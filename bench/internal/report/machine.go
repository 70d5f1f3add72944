package report

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Machine describes where this runs, without names, such as "2 cores (AMD EPYC), 25 GB of memory, linux/amd64, go1.26.8".
func Machine() string {
	parts := []string{fmt.Sprintf("%d cores", runtime.NumCPU())}
	if model := procValue("/proc/cpuinfo", "model name"); model != "" {
		parts[0] += " (" + model + ")"
	}
	var kilobytes float64
	if n, _ := fmt.Sscan(procValue("/proc/meminfo", "MemTotal"), &kilobytes); n == 1 { // "24684084 kB"
		parts = append(parts, fmt.Sprintf("%.0f GB of memory", kilobytes*1024/1e9))
	}
	parts = append(parts, runtime.GOOS+"/"+runtime.GOARCH, runtime.Version())
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
