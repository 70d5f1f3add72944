//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// bed is all that the clients need: files, servers, and the clients' own programs.
type bed struct {
	folder  string
	self    string // path of this program
	paths   paths
	sshd    *sshd
	gateway *gateway // nil where no row needs it

	rcloneFlags []string // beside the best that are known
}

// newBed makes the folder, the rows' files and the servers.
func newBed(ctx context.Context, parent string, p paths, rows []row) (b *bed, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(parent, "bench-peers")
	if err != nil {
		return nil, err
	}
	b = &bed{folder: folder, self: self, paths: p}
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
	if r.usesS3() && b.gateway == nil {
		if b.gateway, err = startGateway(ctx, b.folder, b.paths[&versitygw]); err != nil {
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
	public, err := os.ReadFile(b.sshd.hostKey)
	if err != nil {
		return err
	}
	lines := []string{
		"[sshd]", "type = sftp", "user = " + b.sshd.user, "key_file = " + b.sshd.key, "host_keys = " + strings.TrimSpace(string(public)),
	}
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
