package as2x

import (
	"bytes"
	"compress/zlib"
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// built is a message made layer by layer, in any order.
type built struct {
	t testing.TB
	entity
}

func payload(t testing.TB, name string, data []byte) built {
	return built{t, entity{header{
		{"Content-Type", "application/edi-x12"}, {"Content-Transfer-Encoding", "binary"}, {"Content-Disposition", disposition(name)},
	}, []piece{{data: data}}}}
}

func (b built) bytes() []byte {
	data, err := io.ReadAll(reader(b.whole()))
	require.NoError(b.t, err)
	return data
}

func (b built) body() []byte { return b.bytes()[len(b.header.bytes()):] }

// edited changes the bytes of the entity.
func (b built) edited(change func([]byte) []byte) built {
	return built{b.t, entity{b.header, []piece{{data: change(b.body())}}}}
}

func (b built) compress() built {
	var data bytes.Buffer
	z := zlib.NewWriter(&data)
	_, err := z.Write(b.bytes())
	require.NoError(b.t, err)
	require.NoError(b.t, z.Close())
	return built{b.t, entity{compressedHeader, []piece{{data: cms.CompressedHeader(int64(data.Len()))}, {data: data.Bytes()}}}}
}

func (b built) sign(key *testKey) built {
	k := key.get(b.t)
	e, err := b.signed(crypto.SHA256, sum(crypto.SHA256, b.bytes()), fmt.Sprintf("==%d==", size(b.pieces)), cms.SignOptions{
		Signers: []cms.Signer{{Certificate: k.Certificate.Certificate, Key: k.Key}},
	})
	require.NoError(b.t, err)
	return built{b.t, e}
}

func (b built) encrypt(key *testKey) built {
	v := b.encrypted(cms.EncryptOptions{Cipher: cms.AES128CBC, Recipients: []cms.Recipient{{Certificate: key.certificate(b.t).Certificate}}})
	r := v.open()
	data, err := io.ReadAll(r)
	require.NoError(b.t, err)
	require.NoError(b.t, r.Close())
	return built{b.t, entity{encryptedHeader, []piece{{data: data}}}}
}

// usual is what we send: signed and encrypted.
func usual(t testing.TB, name string, data []byte) built {
	return payload(t, name, data).sign(ourKey).encrypt(partnerKey)
}

// request is the message as a request; change may alter its header.
func (b built) request(url, id string, change ...func(http.Header)) *http.Request {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(b.body()))
	require.NoError(b.t, err)
	for _, f := range b.header {
		set(req.Header, f.name, f.value)
	}
	for name, value := range map[string]string{
		"AS2-Version": "1.2", "AS2-From": "US", "AS2-To": "PARTNER", "Message-ID": "<" + id + ">", "Disposition-Notification-To": "us",
		"Disposition-Notification-Options": "signed-receipt-protocol=required, pkcs7-signature; signed-receipt-micalg=required, sha-256",
	} {
		set(req.Header, name, value)
	}
	for _, f := range change {
		f(req.Header)
	}
	return req
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func do(t testing.TB, req *http.Request) reply {
	t.Helper()
	out, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(out.Body)
	require.NoError(t, err)
	require.NoError(t, out.Body.Close())
	return reply{out.StatusCode, out.Header, body}
}

// mdn is the MDN in the reply, which must be signed by the partner.
func (r reply) mdn(t testing.TB) *mdn {
	t.Helper()
	require.Equal(t, http.StatusOK, r.status, string(r.body))
	n := noteOf(r.header, r.body)
	m, err := parseMDN(n.header, n.body)
	require.NoError(t, err)
	e := expected{signed: true, signers: []*x509.Certificate{partnerKey.certificate(t).Certificate}}
	require.NoError(t, e.verifySignature(m))
	return m
}

// said is the disposition, shortly.
func (r reply) said(t testing.TB) string {
	t.Helper()
	kind, detail := r.mdn(t).disposition()
	if detail == "" {
		return kind
	}
	return fmt.Sprintf("%s: %s", kind, detail)
}

func (p *partnerSide) post(t testing.TB, b built, id string, change ...func(http.Header)) reply {
	t.Helper()
	return do(t, b.request(p.server.URL, id, change...))
}
