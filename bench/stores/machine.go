package main

import (
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/seed62b9dc43/transfer/bench/internal/report"
)

// machine describes where this runs, without names.
func machine() string {
	if version := postgresVersion(); version != "" {
		return report.Machine() + ", " + version
	}
	return report.Machine()
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
