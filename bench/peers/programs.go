//go:build linux

package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/seed62b9dc43/transfer/bench/internal/report"
)

// program is one that is run but not ours.
type program struct {
	name, fix string
	version   string // the argument that makes it say its version, or empty for a Go program, which carries it
}

// The programs, and how to get them.
var (
	rclone    = program{name: "rclone", fix: "make bench-tools"}
	versitygw = program{name: "versitygw", fix: "make bench-tools"}
	sftp      = program{name: "sftp", fix: "apt-get install openssh-client"}
	ssh       = program{name: "ssh", fix: "apt-get install openssh-client", version: "-V"}
	lftp      = program{name: "lftp", fix: "apt-get install lftp", version: "--version"}
)

// paths of programs.
type paths map[*program]string

// findPrograms looks for what the rows need, in the module's bin folder and in PATH.
func findPrograms(rows []row) (paths, error) {
	found := paths{}
	var errs []error
	for _, p := range needed(rows) {
		path, err := lookUp(p.name)
		if err != nil {
			errs = append(errs, fmt.Errorf("no %s on this machine (try %s)", p.name, p.fix))
		}
		found[p] = path
	}
	return found, errors.Join(errs...)
}

func needed(rows []row) []*program {
	programs := []*program{&ssh}
	for _, r := range rows {
		if r.usesS3() {
			programs = append(programs, &versitygw)
		}
		for _, o := range r.opponents {
			programs = append(programs, o.client.program)
		}
	}
	return programs
}

func lookUp(name string) (string, error) {
	if path, err := filepath.Abs(filepath.Join("bin", name)); err == nil {
		if found, err := exec.LookPath(path); err == nil {
			return found, nil
		}
	}
	return exec.LookPath(name)
}

// versions names the machine and the programs, without those that are part of another.
func (p paths) versions() string {
	parts := []string{report.Machine()}
	for _, program := range []*program{&rclone, &lftp, &ssh, &versitygw} {
		if path := p[program]; path != "" {
			parts = append(parts, program.identify(path))
		}
	}
	return strings.Join(parts, ", ")
}

var versionPattern = regexp.MustCompile(`OpenSSH_\S+[^\s,]|\d+(\.\d+)+`)

// identify returns the program's name and version.
func (p *program) identify(path string) string {
	if p.version == "" {
		if info, err := buildinfo.ReadFile(path); err == nil {
			return p.name + " " + info.Main.Version
		}
		return p.name
	}
	said, _ := exec.Command(path, p.version).CombinedOutput() // a version is no reason to fail
	version := versionPattern.FindString(string(said))
	if strings.HasPrefix(version, "OpenSSH") {
		return strings.ReplaceAll(version, "_", " ")
	}
	return p.name + " " + version
}
