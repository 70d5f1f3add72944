//go:build linux

package main

import (
	"fmt"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// The clients. Of rclone there are two, because its defaults hash what they copy and its best flags do not.
var (
	oursClient    = client{"ours", nil, oursCommand}
	rcloneDefault = client{"rclone", &rclone, func(t *task) command { return rcloneCommand(t, nil) }}
	rcloneBest    = client{"rclone, best flags", &rclone, func(t *task) command { return rcloneCommand(t, bestFlags(t)) }}
	openSSH       = client{"OpenSSH sftp", &sftp, sftpCommand}
	lftpClient    = client{"lftp", &lftp, lftpCommand}
)

const fastCipher = "aes128-gcm@openssh.com"

// oursCommand runs this program's other half.
func oursCommand(t *task) command {
	c := command{args: []string{
		t.bed.self, oursName, "-addr", t.host + ":" + t.port, "-user", t.bed.sshd.user,
		"-key", t.bed.sshd.key, "-hostkey", t.bed.sshd.hostKey, "-connections", strconv.Itoa(t.connections),
	}}
	prefix := t.source
	switch t.direction {
	case up:
		c.args = append(c.args, "-dir", t.source, "-to", t.target)
		prefix = ""
	case down:
		c.args = append(c.args, "-retrieve", "-dir", t.target, "-to", "/")
	case fromS3:
		c.args = append(c.args, "-endpoint", t.bed.gateway.endpoint, "-bucket", t.source, "-to", t.target)
		prefix = ""
	case toS3:
		c.args = append(c.args, "-retrieve", "-endpoint", t.bed.gateway.endpoint, "-bucket", t.target, "-to", "/")
	}
	c.args = append(c.args, t.profiles.flags(t.key)...)
	if t.usesS3() {
		c.env = []string{"AWS_ACCESS_KEY_ID=" + t.bed.gateway.accessKey, "AWS_SECRET_ACCESS_KEY=" + t.bed.gateway.secretKey}
	}
	var paths strings.Builder
	for _, name := range t.data.names() {
		paths.WriteString(path.Join(prefix, name) + "\n")
	}
	c.input = paths.String()
	return c
}

// sftpCommand is OpenSSH's own client with its fast cipher.
func sftpCommand(t *task) command {
	batch := fmt.Sprintf("put -r %s %s\n", t.source, path.Dir(t.target))
	if t.retrieves() {
		batch = fmt.Sprintf("get -r %s %s\n", t.source, path.Dir(t.target))
	}
	if t.data.files == 1 {
		name := t.data.names()[0]
		verb, _, _ := strings.Cut(batch, " ")
		batch = fmt.Sprintf("%s %s %s\n", verb, filepath.Join(t.source, name), filepath.Join(t.target, name))
	}
	return command{
		args:  []string{t.bed.paths[&sftp], "-q", "-F", t.bed.sshd.opensshConf, "-c", fastCipher, "-B", "261120", "-R", "128", "-b", "-", "-P", t.port, t.host},
		input: batch, shownInput: true, children: true,
	}
}

// lftpCommand is lftp with several connections where it can use them: for many files, and for one that it retrieves. Its
// sftp:size-write stays as it is: with a larger one it waits for more to send before each packet.
func lftpCommand(t *task) command {
	name := t.data.names()[0]
	var do string
	switch {
	case t.data.files > 1 && t.retrieves():
		do = fmt.Sprintf("mirror --parallel=8 %s %s", t.source, t.target)
	case t.data.files > 1:
		do = fmt.Sprintf("mirror -R --parallel=8 %s %s", t.source, t.target)
	case t.retrieves():
		do = fmt.Sprintf("pget -n %d %s -o %s", max(t.connections, 1), path.Join(t.source, name), path.Join(t.target, name))
	default:
		do = fmt.Sprintf("put %s -o %s", path.Join(t.source, name), path.Join(t.target, name))
	}
	script := strings.Join([]string{
		"set cmd:fail-exit yes",
		"set sftp:connect-program \"ssh -a -x -F " + t.bed.sshd.opensshConf + " -c " + fastCipher + "\"",
		"set sftp:max-packets-in-flight 128",
		"open -u " + t.bed.sshd.user + ",x sftp://" + t.host + ":" + t.port,
		do,
	}, "; ")
	return command{args: []string{t.bed.paths[&lftp], "-c", script}, children: true}
}

// rcloneCommand copies a folder.
func rcloneCommand(t *task, flags []string) command {
	from, to := t.source, t.target
	switch t.direction {
	case up:
		to = "sshd:" + to
	case down:
		from = "sshd:" + from
	case fromS3:
		from, to = "s3:"+from, "sshd:"+to
	case toS3:
		from, to = "sshd:"+from, "s3:"+to
	}
	c := command{args: append([]string{t.bed.paths[&rclone], "copy", from, to}, flags...)}
	c.env = []string{"RCLONE_CONFIG=" + filepath.Join(t.bed.folder, "rclone.conf"), "RCLONE_SFTP_HOST=" + t.host, "RCLONE_SFTP_PORT=" + t.port}
	return c
}

// bestFlags are rclone's fastest ones for a task, of all that were tried: several files in flight on each of few
// connections, because handshakes cost most, no temporary names, and of a large file several parts at once. Uploads in
// parts (--sftp-multithread-upload) are three times slower at a distance than whole ones.
func bestFlags(t *task) []string {
	flags := []string{
		"--sftp-disable-hashcheck", "--ignore-checksum", "--sftp-chunk-size=255k", "--sftp-concurrency=64",
		"--sftp-ciphers=" + fastCipher, "--sftp-set-modtime=false", "--no-check-dest", "--no-traverse",
		"--no-update-dir-modtime", "--inplace", "--buffer-size=0",
	}
	switch {
	case t.data.files > 1 && t.roundTrip == 0:
		flags = append(flags, "--transfers=8", "--checkers=2", "--sftp-connections=4")
	case t.data.files > 1:
		flags = append(flags, "--transfers=32", "--checkers=32")
	case t.direction == down && t.roundTrip > 0:
		flags = append(flags, "--multi-thread-streams="+strconv.Itoa(max(t.connections, 4)), "--multi-thread-cutoff=1M")
	}
	if t.usesS3() {
		flags = append(flags, "--s3-upload-concurrency=4", "--s3-chunk-size=16M", "--s3-disable-checksum", "--s3-no-head",
			"--s3-use-unsigned-payload=true")
	}
	return append(flags, t.bed.rcloneFlags...)
}
