package sftpx

import (
	"encoding/binary"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
)

// A temporary name stays in the target's directory unless the pattern names another one, and is never the target.
func FuzzTempName(f *testing.F) {
	const key = "0123456789abcdef"
	for _, target := range []string{"/in/a.csv", "a", "../a", "/a%k", "//a", "a/%n/b", "a\xff", ".transfer-%k.part", "\x00"} {
		for _, pattern := range []string{".transfer-%k.part", "%n.%k", "../tmp/%k", "/tmp/%n-%k", "%k%%n", "%k/%n", "a/../%k", "[\\%k", "\xff%k"} {
			f.Add(target, pattern, key)
		}
	}
	f.Add("/a", "%k", "..")
	f.Fuzz(func(t *testing.T, target, pattern, key string) {
		name := target[strings.LastIndex(target, "/")+1:]
		if checkPath("create", target) != nil || name == "" || name == "." || name == ".." || !isKey(key) ||
			tempNameProblem(pattern) != "" {
			return
		}
		c := &Connector{cfg: Config{Profile: Profile{TempName: pattern}}}
		temp := c.tempName(target, key)
		require.Contains(t, temp, key)
		require.NoError(t, checkPath("create", temp))
		if !strings.Contains(pattern, "/") {
			require.Equal(t, path.Dir(target), path.Dir(temp))
			require.Greater(t, len(path.Base(temp)), 2)
		}
		if c.temporary = c.cfg.temporaries(); c.temporary != nil {
			require.True(t, c.isOurs(path.Dir(temp), path.Base(temp)), "%q by %s", temp, c.temporary)
		}
		c.cfg.RenameMode = RenameDirect
		require.Equal(t, target, c.tempName(target, key))
		require.Nil(t, c.cfg.temporaries())
	})
}

// Every key that is understood is written and understood again; what is not is refused in words fit to be logged.
func FuzzHostKeyRoundTrip(f *testing.F) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPTZNLEZBwuEO9CJwuiLPMRLP9fC0qWBw3JZq5QmhGbP"
	for _, line := range []string{
		key, "[host]:2222 " + key + " comment", key + " " + key, "@revoked * " + key, "# " + key, "", "ssh-rsa AAAA",
		"SHA256:abc", "-----BEGIN OPENSSH PRIVATE KEY-----", "ssh-ed25519 ssh-ed25519", "\x00 \x1b[31m",
		"ssh-ed25519-cert-v01@openssh.com AAAA",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		key, err := parseHostKeyLine(line)
		if err != nil {
			require.Nil(t, key)
			require.Less(t, len(err.Error()), 300)
			require.False(t, strings.ContainsFunc(err.Error(), unicode.IsControl))
			return
		}
		if key == nil {
			return
		}
		again, err := parseHostKeyLine("host " + keyLine(key))
		require.NoError(t, err)
		require.Equal(t, key.Marshal(), again.Marshal())
		require.True(t, strings.HasPrefix(ssh.FingerprintSHA256(again), "SHA256:"))
	})
}

// Whatever a checkpoint says, a delivery goes on at the begin of a window within the file, or starts again.
func FuzzCheckpoint(f *testing.F) {
	const temp = "/in/.transfer-0123456789abcdef.part"
	for _, c := range []checkpoint{{temp, 10}, {temp, 25}, {temp, 5}, {temp, 0}, {temp, -10}, {"/etc/passwd", 10}, {temp, 1 << 62}} {
		state, err := json.Marshal(c)
		require.NoError(f, err)
		f.Add(state, int64(25), int64(10))
	}
	f.Add([]byte("x"), int64(0), int64(0))
	f.Add([]byte(`{"temp":"`+temp+`","acked":1e3}`), int64(-1), int64(-1))
	f.Fuzz(func(t *testing.T, state []byte, size, window int64) {
		acked, err := parseCheckpoint(temp, transfer.CreateOptions{Size: size, WindowSize: window, Checkpoint: state})
		if err != nil {
			return
		}
		require.Positive(t, acked)
		require.LessOrEqual(t, acked, size)
		require.True(t, acked == size || acked%window == 0)
	})
}

// However a greeting comes in, it is the same, bounded, and fit to be logged.
func FuzzGreeting(f *testing.F) {
	packet := func(fields ...string) []byte {
		b := []byte{0, 0, 0, 0, fxpVersion, 0, 0, 0, 3}
		for _, field := range fields {
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(field))), field...)
		}
		binary.BigEndian.PutUint32(b, uint32(len(b)-4))
		return b
	}
	f.Add(packet("posix-rename@openssh.com", "1", "statvfs@openssh.com", "2"), 7)
	f.Add(packet(), 1)
	f.Add(packet("\x1b[31m", strings.Repeat("x", 1000), "half"), 4)
	f.Add(append(packet("a", "b"), packet("c", "d")...), 5)
	f.Add([]byte{255, 255, 255, 255, fxpVersion, 255, 255, 255, 255, 255}, 3)
	f.Fuzz(func(t *testing.T, in []byte, piece int) {
		whole, pieces := new(greeting), new(greeting)
		whole.note(in)
		piece = min(max(1, piece), 1<<20)
		for rest := range slices.Chunk(in, piece) {
			pieces.note(rest)
		}
		require.Equal(t, whole.packet, pieces.packet)
		require.LessOrEqual(t, len(whole.packet), maxGreeting+4)
		_, extensions := whole.parse()
		require.LessOrEqual(t, len(extensions), maxExtensions)
		for name, value := range extensions {
			require.LessOrEqual(t, max(len(name), len(value)), maxText+len("…"))
			require.False(t, strings.ContainsFunc(name+value, unicode.IsControl))
		}
	})
}
