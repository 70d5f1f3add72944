//go:build linux

package main

import (
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// client is a program that moves files: ours, or a peer.
type client struct {
	name    string
	program *program // that must be there; nil for ours
	command func(*task) command
}

// profiles are folders for those of ours; an empty one is for none.
type profiles struct{ cpu, memory string }

func (p profiles) make() error {
	for _, folder := range []string{p.cpu, p.memory} {
		if folder == "" {
			continue
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// flags for a row's profiles.
func (p profiles) flags(key string) (flags []string) {
	if p.cpu != "" {
		flags = append(flags, "-cpuprofile", filepath.Join(p.cpu, key+".cpu.pprof"))
	}
	if p.memory != "" {
		flags = append(flags, "-memprofile", filepath.Join(p.memory, key+".mem.pprof"))
	}
	return flags
}

// task is what a client is to do once: all files of a row, into a folder that is there and empty.
type task struct {
	row
	bed        *bed
	host, port string // of sshd, or of the relay before it
	source     string // folder, or "bucket/prefix"
	target     string // the same; its last part is the dataset's folder
	profiles   profiles
}

// newTask names the run's target after it.
func (b *bed) newTask(r row, addr, run string) *task {
	host, port, _ := net.SplitHostPort(addr)
	t := &task{row: r, bed: b, host: host, port: port}
	t.source = filepath.Join(b.sources(), r.data.folder())
	if r.direction == fromS3 {
		t.source = path.Join(sourceBucket, r.data.folder())
	}
	t.target = filepath.Join(b.folder, "out", run, r.data.folder())
	if r.direction == toS3 {
		t.target = path.Join(targetBucket, run, r.data.folder())
	}
	return t
}

// arrived is the folder in which the files are to be found at the end, wherever they went.
func (t *task) arrived() string {
	if t.direction == toS3 {
		return filepath.Join(t.bed.gateway.dir, filepath.FromSlash(t.target))
	}
	return t.target
}

// shown is a command line as the page has it, without this run's names.
func (t *task) shown(c command) string {
	line := filepath.Base(c.args[0]) + " " + strings.Join(c.args[1:], " ")
	if c.input != "" && c.shownInput {
		line += " <<< '" + strings.TrimSpace(c.input) + "'"
	}
	return strings.NewReplacer(
		t.source, "SOURCE", t.target, "TARGET", path.Dir(t.target), "TARGETS", t.data.names()[0], "FILE",
		t.bed.sshd.opensshConf, "CONFIG", t.bed.sshd.user+",", "USER,",
		t.host+":"+t.port, "HOST", t.port, "PORT", t.host, "HOST",
	).Replace(line)
}
