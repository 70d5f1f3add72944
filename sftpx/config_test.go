package sftpx_test

import (
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer/sftpx"
)

const ed25519Line = "sftp.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPTZNLEZBwuEO9CJwuiLPMRLP9fC0qWBw3JZq5QmhGbP"

func validConfig() sftpx.Config {
	return sftpx.Config{
		Addr: "sftp.example.com", User: "alice", HostKeys: []string{ed25519Line},
		Auth: []sftpx.Auth{sftpx.Password(secret("x"))},
	}
}

func TestAddr(t *testing.T) {
	t.Parallel()
	for addr, url := range map[string]string{
		"sftp.example.com":      "sftp://alice@sftp.example.com:22",
		"sftp.example.com:2222": "sftp://alice@sftp.example.com:2222",
		"192.0.2.1":             "sftp://alice@192.0.2.1:22",
		"2001:db8::1":           "sftp://alice@[2001:db8::1]:22",
		"[2001:db8::1]":         "sftp://alice@[2001:db8::1]:22",
		"[2001:db8::1]:2222":    "sftp://alice@[2001:db8::1]:2222",
		"":                      "", ":22": "", "host:": "", "host:ssh": "", "host:0": "", "host:65536": "", "a:b:c": "",
		"sftp://host": "", "alice@host": "", "host ": "", "host/in": "",
	} {
		t.Run(addr, func(t *testing.T) {
			t.Parallel()
			cfg := validConfig()
			cfg.Addr = addr
			c, err := sftpx.New(cfg)
			if url == "" {
				require.ErrorContains(t, err, "sftpx: Config.Addr is")
				return
			}
			require.NoError(t, err)
			require.Equal(t, url, c.Info().URL)
			require.NoError(t, c.Close())
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg := validConfig()
	cfg.User, cfg.Partner = "al/ice@x", "acme"
	info := connect(t, cfg).Info()
	require.Equal(t, 2*32, info.MaxFiles)
	require.Nil(t, info.Retry, "the client's policy")
	require.Equal(t, "acme", info.Partner)
	require.Equal(t, "sftp://al%2Fice%40x@sftp.example.com:22", info.URL)
}

// All mistakes are named at once, each with the fix.
func TestEveryWrongFieldIsNamed(t *testing.T) {
	t.Parallel()
	_, err := sftpx.New(sftpx.Config{
		Addr: "sftp://host", User: "alice\n", HostKeys: []string{"nonsense"}, KnownHosts: []string{"/nowhere/known_hosts"},
		Auth: []sftpx.Auth{{}, sftpx.PublicKey(), sftpx.Password(nil), sftpx.KeyboardInteractive(nil), sftpx.Agent(nil),
			sftpx.PublicKey([]ssh.Signer{nil}...)},
		Algorithms: 7, MaxConnections: -1, FilesPerConnection: 5000,
		Profile:        sftpx.Profile{RenameMode: 7, Verify: 7, MaxPacket: 1 << 20, TempName: "x%q", FileMode: fs.ModeSetuid | 0o755},
		ConnectTimeout: 30, OperationTimeout: 30, StallTimeout: 30, KeepAlive: 30, IdleTimeout: 30,
	})
	require.Error(t, err)
	for _, field := range []string{
		"Addr", "User", "HostKeys[0]", "KnownHosts", "Auth[0]", "Auth[1]", "Auth[2]", "Auth[3]", "Auth[4]", "Auth[5]",
		"Algorithms", "RenameMode", "MaxConnections", "FilesPerConnection", "MaxPacket", "TempName", "Verify", "FileMode", "ConnectTimeout",
		"OperationTimeout", "StallTimeout", "KeepAlive", "IdleTimeout",
	} {
		require.ErrorContains(t, err, "sftpx: Config."+field+" ")
	}
	_, err = sftpx.New(sftpx.Config{})
	for _, field := range []string{"Addr", "User", "Auth", "HostKeys"} {
		require.ErrorContains(t, err, "sftpx: Config."+field+" is")
	}
}

func TestOff(t *testing.T) {
	t.Parallel()
	cfg := validConfig()
	cfg.ConnectTimeout, cfg.OperationTimeout, cfg.StallTimeout, cfg.KeepAlive, cfg.IdleTimeout = -1, -1, -1, -1, -1
	connect(t, cfg)
	cfg.IdleTimeout = time.Hour
	connect(t, cfg)
}

func TestTempName(t *testing.T) {
	t.Parallel()
	for pattern, ok := range map[string]bool{
		"": true, "%k": true, ".%n.%k": true, "../tmp/%k": true, "/tmp/%k.part": true,
		"part": false, "%n": false, "%k/": false, "%k%": false, "%k\x00": false,
	} {
		cfg := validConfig()
		cfg.TempName = pattern
		c, err := sftpx.New(cfg)
		if !ok {
			require.ErrorContains(t, err, "sftpx: Config.TempName is", pattern)
			continue
		}
		require.NoError(t, err, pattern)
		require.NoError(t, c.Close())
	}
}
