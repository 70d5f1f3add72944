package awsapi

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// FuzzRequest: whatever a body is, it is refused with one of two exceptions, or is a request that comes out of its own
// JSON again and stays within the limits. What AWS's limits allow, ours do.
func FuzzRequest(f *testing.F) {
	names := slices.Sorted(maps.Keys(operations))
	for i, name := range names {
		op := operations[name]
		body, err := json.Marshal(request(reflect.TypeOf(op.newRequest()).Elem(), nil, nil))
		require.NoError(f, err)
		f.Add(uint(i), body)
		for _, p := range places(reflect.TypeOf(op.newRequest()).Elem(), nil) {
			for _, v := range constraints[p.shape].inside {
				body, err := json.Marshal(request(reflect.TypeOf(op.newRequest()).Elem(), p.keys, v))
				require.NoError(f, err)
				f.Add(uint(i), body)
			}
		}
	}
	for _, odd := range []string{``, ` `, `null`, `[]`, `{}`, `{"ConnectorId":null}`, `{"connectorid":"c-0123456789abcdef0"}`, `{"ConnectorId":"a"}{}`,
		`{"ConnectorId":{}}`, `{"MaxResults":1e2}`, `{"MaxResults":99999999999999999999}`, `{"SendFilePaths":[null]}`, `{"Tags":[null]}`, "\xff", `{"ConnectorId":"\ud800"}`} {
		f.Add(uint(8), []byte(odd))
	}
	f.Fuzz(func(t *testing.T, which uint, body []byte) {
		op := operations[names[which%uint(len(names))]]
		strict, errStrict := op.parse(body, true)
		request, err := op.parse(body, false)
		if errStrict == nil {
			require.NoError(t, err)
			require.Equal(t, strict, request)
		}
		if err != nil {
			requireException(t, err)
			return
		}
		text, err := json.Marshal(request)
		require.NoError(t, err)
		again, err := op.parse(text, false)
		require.NoError(t, err)
		require.Equal(t, request, again)
	})
}

func requireException(t *testing.T, err error) {
	t.Helper()
	var invalid *transfer.InvalidRequestException
	var refused failure
	require.True(t, errors.As(err, &invalid) || errors.As(err, &refused) && refused.code == "SerializationException")
	e := exceptionOf(err)
	require.Equal(t, http.StatusBadRequest, e.status)
	require.NotEmpty(t, e.Message)
	require.True(t, utf8.ValidString(e.Message))
	require.Less(t, len(e.Message), 30_000)
}

// FuzzSignature: no Authorization header gets through without the secret, and none does harm.
func FuzzSignature(f *testing.F) {
	const good = "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/transfer/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
	f.Add(good, "20261121T220601Z", "/")
	for _, odd := range [][2]string{{"AWS4-HMAC-SHA256 ", ""}, {"/us-east-1", ""}, {"AKID", ""}, {";x-amz-target", ""}, {"host", "Host"}, {", ", ","}, {"Signature=5d", "Signature="}, {"host;", "host;;"}, {"Credential", "Signature"}} {
		f.Add(strings.Replace(good, odd[0], odd[1], 1), "20261121T220601Z", "/a%2Fb c")
	}
	now := time.Date(2026, 11, 21, 22, 6, 1, 0, time.UTC)
	f.Fuzz(func(t *testing.T, header, date, path string) {
		h := &handler{cfg: Config{AccessKeys: StaticKeys{"AKID": {SecretKey: "secret"}}, ClockSkew: time.Minute, ReadTimeout: time.Minute}}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://transfer.example/", nil)
		r.RequestURI = path
		r.Header.Set("Authorization", header)
		r.Header.Set(dateHeader, date)
		r.Header.Set(targetHeader, "TransferService.ListConnectors")
		who, err := h.begin(t.Context(), r, now)
		if err == nil {
			require.Equal(t, "AKID", who.keyID)
			require.Contains(t, who.signed, "host")
			require.Contains(t, who.signed, "x-amz-target")
			err = who.verify(r, []byte("{}"))
		}
		var refused failure
		require.True(t, errors.As(err, &refused))
		require.Equal(t, http.StatusForbidden, refused.status)
	})
}
