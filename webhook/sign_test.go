package webhook_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/webhook"
)

func secret(t testing.TB, text string) webhook.Secret {
	t.Helper()
	s, err := webhook.ParseSecret(text)
	require.NoError(t, err)
	return s
}

// TestVerifyKnownAnswer has a signature that was computed by openssl:
//
//	printf 'msg_1.1614265330.{"test": 2432232314}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:<32 × 42> -binary | base64
func TestVerifyKnownAnswer(t *testing.T) {
	t.Parallel()
	s, err := webhook.NewSecret(bytes.Repeat([]byte{0x42}, 32))
	require.NoError(t, err)
	header := http.Header{}
	header.Set(webhook.HeaderID, "msg_1")
	header.Set(webhook.HeaderTimestamp, "1614265330")
	header.Set(webhook.HeaderSignature, "v1,"+knownSignature)
	body := []byte(`{"test": 2432232314}`)
	require.NoError(t, webhook.Verify(header, body, []webhook.Secret{s}, -1))
	require.ErrorIs(t, webhook.Verify(header, body, []webhook.Secret{s}, 0), webhook.ErrSignature, "it is old")
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	s, err := webhook.NewSecret(bytes.Repeat([]byte{0x42}, 32))
	require.NoError(t, err)
	other, err := webhook.NewSecret(bytes.Repeat([]byte{0x43}, 32))
	require.NoError(t, err)
	body := []byte(`{"test": 2432232314}`)
	good := func() http.Header {
		header := http.Header{}
		header.Set(webhook.HeaderID, "msg_1")
		header.Set(webhook.HeaderTimestamp, "1614265330")
		header.Set(webhook.HeaderSignature, "v1a,AAAA v1,AAAA v1,"+knownSignature)
		return header
	}
	require.NoError(t, webhook.Verify(good(), body, []webhook.Secret{other, s}, -1))
	require.ErrorIs(t, webhook.Verify(good(), body, []webhook.Secret{other}, -1), webhook.ErrSignature)
	unsigned := good() // as anybody can sign, with an empty key
	mac := hmac.New(sha256.New, nil)
	_, _ = mac.Write([]byte("msg_1.1614265330." + string(body)))
	unsigned.Set(webhook.HeaderSignature, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	require.ErrorIs(t, webhook.Verify(unsigned, body, []webhook.Secret{{}}, -1), webhook.ErrSignature)
	require.ErrorIs(t, webhook.Verify(good(), append(body, ' '), []webhook.Secret{s}, -1), webhook.ErrSignature)
	for name, value := range map[string]string{
		webhook.HeaderID: "msg_2", webhook.HeaderTimestamp: "1614265331", webhook.HeaderSignature: "v1," + base64.StdEncoding.EncodeToString(make([]byte, 32)),
	} {
		header := good()
		header.Set(name, value)
		require.ErrorIs(t, webhook.Verify(header, body, []webhook.Secret{s}, -1), webhook.ErrSignature, name)
		header.Del(name)
		require.ErrorIs(t, webhook.Verify(header, body, []webhook.Secret{s}, -1), webhook.ErrSignature, name)
	}
	for _, at := range []string{"now", "", "99999999999999999999", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10), "-9223372036854775808"} {
		header := good()
		header.Set(webhook.HeaderTimestamp, at)
		require.ErrorIs(t, webhook.Verify(header, body, []webhook.Secret{s}, 0), webhook.ErrSignature, at)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	s := secret(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.Equal(t, s, secret(t, " MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"))
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s)
	text, err := json.Marshal(map[string]any{"s": s})
	require.NoError(t, err)
	for _, shown := range []string{fmt.Sprint(s), fmt.Sprintf("%+v %#v %s %q %x", s, s, s, s, s), log.String(), string(text)} {
		require.NotContains(t, shown, "MfKQ")
		require.NotContains(t, shown, "31f290f6")
		require.NotContains(t, shown, "49, 242")
	}
	for _, wrong := range []string{"", "whsec_", "whsec_AAAA", "whsec_!!!!", base64.StdEncoding.EncodeToString(make([]byte, 65))} {
		_, err := webhook.ParseSecret(wrong)
		require.Error(t, err, wrong)
		require.NotContains(t, err.Error(), "!!")
	}
}

func FuzzVerify(f *testing.F) {
	s, err := webhook.NewSecret(bytes.Repeat([]byte{0x42}, 32))
	require.NoError(f, err)
	f.Add("msg_1", "1614265330", "v1,"+knownSignature, []byte(`{"test": 2432232314}`))
	f.Add("msg_1", "1614265330", "v1,AAAA v2,x  v1,", []byte(``))
	f.Fuzz(func(t *testing.T, id, at, signatures string, body []byte) {
		header := http.Header{webhook.HeaderID: {id}, webhook.HeaderTimestamp: {at}, webhook.HeaderSignature: {signatures}}
		err := webhook.Verify(header, body, []webhook.Secret{s}, -1)
		if err == nil && (id != "msg_1" || at != "1614265330" || string(body) != `{"test": 2432232314}`) {
			t.Fatal("it has taken what nobody has signed")
		}
	})
}

const knownSignature = "proYIqljS0Oj5H6zBjQKWZzV85HWPL/fGG+EYLmyOC4="
