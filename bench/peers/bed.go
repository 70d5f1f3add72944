//go:build linux

package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/seed62b9dc43/transfer/bench/internal/report"
)

// bed is all that the clients need: files, servers, and the clients' own programs.
type bed struct {
	folder   string
	programs programs
	sshd     *sshd
	gateway  *gateway // nil where no row needs it

	rcloneFlags []string // beside the best that are known
}

// programs are the paths of what is run.
type programs struct{ self, rclone, sftp, lftp, versitygw string }

// findPrograms looks for them in the module's bin folder and in PATH.
func findPrograms() (programs, error) {
	self, err := os.Executable()
	p := programs{self: self}
	for _, want := range []struct {
		path      *string
		name, fix string
	}{
		{&p.rclone, "rclone", "run `make bench-tools`"},
		{&p.versitygw, "versitygw", "run `make bench-tools`"},
		{&p.sftp, "sftp", "apt-get install openssh-client"},
		{&p.lftp, "lftp", "apt-get install lftp"},
	} {
		found, lookErr := lookUp(want.name)
		if lookErr != nil {
			err = errors.Join(err, fmt.Errorf("no %s on this machine (%s)", want.name, want.fix))
		}
		*want.path = found
	}
	return p, err
}

func lookUp(name string) (string, error) {
	if path, err := filepath.Abs(filepath.Join("bin", name)); err == nil {
		if found, err := exec.LookPath(path); err == nil {
			return found, nil
		}
	}
	return exec.LookPath(name)
}

// newBed makes the folder, the rows' files and the servers.
func newBed(ctx context.Context, parent string, p programs, rows []row) (b *bed, err error) {
	folder, err := os.MkdirTemp(parent, "bench-peers")
	if err != nil {
		return nil, err
	}
	b = &bed{folder: folder, programs: p}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close(false))
		}
	}()
	if b.sshd, err = startSSHD(ctx, folder); err != nil {
		return b, err
	}
	for _, name := range []string{b.sources(), filepath.Join(folder, "out")} {
		if err := os.Mkdir(name, 0o755); err != nil {
			return b, err
		}
	}
	for _, r := range rows {
		if err := b.provide(ctx, r); err != nil {
			return b, err
		}
	}
	return b, b.configureRclone()
}

func (b *bed) sources() string { return filepath.Join(b.folder, "source") }

// provide makes a row's source.
func (b *bed) provide(ctx context.Context, r row) (err error) {
	if err := r.data.make(b.sources()); err != nil {
		return err
	}
	t := task{row: r}
	if t.usesS3() && b.gateway == nil {
		if b.gateway, err = startGateway(ctx, b.folder, b.programs.versitygw); err != nil {
			return err
		}
	}
	if r.direction == fromS3 {
		return b.gateway.upload(ctx, b.sources(), r.data)
	}
	return nil
}

// configureRclone names both servers as "sshd" and "s3"; host and port come with each task.
func (b *bed) configureRclone() error {
	lines := []string{"[sshd]", "type = sftp", "user = " + b.sshd.user, "key_file = " + b.sshd.key}
	if b.gateway != nil {
		lines = append(lines, "[s3]", "type = s3", "provider = Other", "region = "+region, "endpoint = "+b.gateway.endpoint,
			"access_key_id = "+b.gateway.accessKey, "secret_access_key = "+b.gateway.secretKey)
	}
	return os.WriteFile(filepath.Join(b.folder, "rclone.conf"), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// close ends the servers and removes the folder, unless it is to be kept.
func (b *bed) close(keep bool) error {
	if b.sshd != nil && b.sshd.server != nil {
		b.sshd.stop()
	}
	if b.gateway != nil {
		b.gateway.stop()
	}
	if keep {
		return nil
	}
	return os.RemoveAll(b.folder)
}

// versions names what was measured and against what, and on what machine.
func (p programs) versions() string {
	parts := []string{report.Machine()}
	for _, path := range []string{p.rclone, p.versitygw} {
		if info, err := buildinfo.ReadFile(path); err == nil {
			parts = append(parts, filepath.Base(path)+" "+info.Main.Version)
		}
	}
	for _, said := range []struct {
		args []string
		find string // the whole match is the version
	}{
		{[]string{"ssh", "-V"}, `OpenSSH_[^ ,]+`},
		{[]string{p.lftp, "--version"}, `[0-9]+(\.[0-9]+)+`},
	} {
		output, _ := exec.Command(said.args[0], said.args[1:]...).CombinedOutput()
		if version := regexp.MustCompile(said.find).Find(output); version != nil {
			parts = append(parts, strings.TrimPrefix(filepath.Base(said.args[0])+" ", "ssh ")+string(version))
		}
	}
	return strings.Join(parts, ", ")
}
