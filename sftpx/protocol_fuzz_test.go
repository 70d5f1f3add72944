package sftpx

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// What a server answers to READDIR takes no more memory than it has bytes, give or take, and breaks nothing.
func FuzzNames(f *testing.F) {
	for _, text := range []string{
		"", "\x00\x00\x00\x00", "\xff\xff\xff\xff", "\x00\x00\x00\x01\x00\x00\x00\x01a\x00\x00\x00\x05drwxr\x00\x00\x00\x00",
		"\x00\x00\x00\x01\x00\x00\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x0f\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x81\xa4\x00\x00\x00\x01\x00\x00\x00\x02",
		"\x00\x00\x00\x01\x00\x00\x00\x01a\x00\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01x\x00\x00\x00\x01y",
		"\x00\x00\x00\x01\x00\x00\x00\x01a\x00\x00\x00\x00\x80\x00\x00\x00\xff\xff\xff\xff",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		names, err := parseNames(text)
		if err != nil {
			require.ErrorIs(t, err, errProtocol)
			require.Nil(t, names)
			return
		}
		require.LessOrEqual(t, 12*len(names), len(text))
		for _, n := range names {
			require.GreaterOrEqual(t, n.size, int64(-1))
			require.LessOrEqual(t, len(n.name)+len(n.long), len(text))
			n.kind()
		}
	})
}

// A secret is understood or refused, and no error shows any part of it.
func FuzzSecret(f *testing.F) {
	for _, text := range []string{
		`{"Username":"u","Password":"p"}`, `{"Username":"u","PrivateKey":"-----BEGIN"}`, `{"Username":"u\u0000","PrivateKey":"x","Certificate":"y"}`, `[]`, `nul`,
	} {
		f.Add(text, "hunter2-hunter2")
	}
	f.Fuzz(func(t *testing.T, text, secret string) {
		if len(secret) < 8 {
			return
		}
		hidden, _ := json.Marshal(secret)
		for _, text := range []string{text, strings.ReplaceAll(text, `"p"`, string(hidden)), text + secret, `{"Username":"u","PrivateKey":` + string(hidden) + `}`} {
			account, err := parseSecret("id", []byte(text))
			if err != nil {
				require.NotContains(t, err.Error(), secret)
				require.Equal(t, transfer.AuthenticationFailed, transfer.CodeOf(err))
				continue
			}
			require.NotEmpty(t, account.User)
			require.NotEmpty(t, account.Auth)
		}
	})
}

// A profile is understood, and then written and understood again, or refused in short words.
func FuzzSettings(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"RenameMode":"RenameDirect","FileMode":"0640","KeepAlive":"-1ns"}`, `{"Verify":5}`, `{"Password":"x"}`, `null`, `[]`, `{"ReadOnce":true}{}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseSettings(text)
		if err != nil {
			require.Less(t, len(err.Error()), 300)
			return
		}
		again, err := parseSettings(s.JSON())
		require.NoError(t, err)
		require.Equal(t, s, again)
		var c Config
		s.apply(&c, func(string, string, ...any) {})
		_ = c.withDefaults().validate()
	})
}
