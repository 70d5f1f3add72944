package as2x

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

func TestHTTPRefusals(t *testing.T) {
	t.Parallel()
	p := newPartner(t)
	header := func(name, value string) func(http.Header) { return func(h http.Header) { set(h, name, value) } }
	m := usual(t, "a.edi", []byte("x"))
	for name, test := range map[string]struct {
		change func(http.Header)
		status int
	}{
		"unknown sender":   {header("AS2-From", "NOBODY"), http.StatusForbidden},
		"unknown receiver": {header("AS2-To", "NOBODY"), http.StatusForbidden},
		"case counts":      {header("AS2-From", "us"), http.StatusForbidden},
		"no sender":        {header("AS2-From", ""), http.StatusBadRequest},
		"no id":            {header("Message-ID", ""), http.StatusBadRequest},
		"endless id":       {header("Message-ID", strings.Repeat("a", 999)), http.StatusBadRequest},
		"MDN to anybody":   {header("Receipt-Delivery-Option", "http://169.254.169.254/"), http.StatusForbidden},
	} {
		require.Equal(t, test.status, p.post(t, m, "1@us", test.change).status, name)
	}
	out, err := http.Get(p.server.URL)
	require.NoError(t, err)
	require.NoError(t, out.Body.Close())
	require.Equal(t, http.StatusMethodNotAllowed, out.StatusCode)
	require.Empty(t, p.storage.Paths())
	require.Empty(t, p.rows(t))
}

func TestWithoutMDN(t *testing.T) {
	t.Parallel()
	p := newPartner(t)
	none := func(h http.Header) { h.Del("Disposition-Notification-To") }
	r := p.post(t, usual(t, "a.edi", []byte("x")), "1@us", none)
	require.Equal(t, http.StatusOK, r.status)
	require.Empty(t, r.body)
	r = p.post(t, payload(t, "a.edi", nil).encrypt(otherKey), "2@us", none)
	require.Equal(t, http.StatusBadRequest, r.status)
	require.Empty(t, r.body)
}

// TestABrokenUpload is no message: nothing is recorded, and the whole one is taken.
func TestABrokenUpload(t *testing.T) {
	t.Parallel()
	p := newPartner(t)
	m := usual(t, "a.edi", random(9, 100_000))
	req := m.request(p.server.URL, "1@us")
	req.Body = io.NopCloser(io.MultiReader(bytes.NewReader(m.body()[:50_000]), brokenReader{}))
	_, err := http.DefaultClient.Do(req)
	require.Error(t, err)
	require.Equal(t, "processed", p.post(t, m, "1@us").said(t))
	require.Len(t, p.rows(t), 1)
	require.Len(t, p.payloads(), 1)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

// TestChunked takes a message without a length.
func TestChunked(t *testing.T) {
	t.Parallel()
	p := newPartner(t)
	m := usual(t, "a.edi", random(9, 100_000))
	req := m.request(p.server.URL, "1@us")
	req.ContentLength, req.Body = -1, io.NopCloser(bytes.NewReader(m.body()))
	require.Equal(t, "processed", do(t, req).said(t))
}

// TestAgreementsAreChecked names every wrong field.
func TestAgreementsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := NewReceiver(ReceiverConfig{Agreements: []Agreement{{}, {MaxSize: -2, Overwrite: "X", AsyncMDNHosts: []string{"http://a/"}}}, MaxMessages: -1, MDNDelay: -1})
	for _, part := range []string{
		"Agreements[0].ID is", "Agreements[0].Local.AS2ID", "Agreements[0].Partner.Signing is empty", "Agreements[0].Local.Decryption is empty",
		"Agreements[1] has the same AS2 names as Agreements[0]", "Agreements[1].ID is that of", "Agreements[1].MaxSize", "Agreements[1].Overwrite",
		"Agreements[1].AsyncMDNHosts[0]", "Storage is nil", "Records is nil", "MaxMessages is -1", "MDNDelay is -1ns",
	} {
		require.ErrorContains(t, err, part)
	}
	_, err = NewReceiver(ReceiverConfig{Storage: transfer.NewMemory(), Records: &Records{Storage: transfer.NewMemory()}})
	require.ErrorContains(t, err, "Agreements is empty")
}
