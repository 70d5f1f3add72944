package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

func TestSignOptions(t *testing.T) {
	t.Parallel()
	a, b := the(t, alice), the(t, bob)
	ed, err := newIdentity("Ed", func() (crypto.Signer, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	})
	require.NoError(t, err)
	for want, test := range map[string]struct {
		size int
		o    cms.SignOptions
	}{
		"Hash is":           {32, cms.SignOptions{Hash: crypto.MD5, Signers: []cms.Signer{a.signer()}}},
		"digest of 20":      {20, cms.SignOptions{Hash: crypto.SHA256, Signers: []cms.Signer{a.signer()}}},
		"Signers is empty":  {32, cms.SignOptions{Hash: crypto.SHA256}},
		"give both":         {32, cms.SignOptions{Hash: crypto.SHA256, Signers: []cms.Signer{{Certificate: a.cert}}}},
		"is not the key of": {32, cms.SignOptions{Hash: crypto.SHA256, Signers: []cms.Signer{{Certificate: a.cert, Key: b.key}}}},
		"use an RSA or":     {32, cms.SignOptions{Hash: crypto.SHA256, Signers: []cms.Signer{ed.signer()}}},
		"no smart card":     {32, cms.SignOptions{Hash: crypto.SHA256, Signers: []cms.Signer{{Certificate: a.cert, Key: broken{a.key}}}}},
	} {
		_, err := cms.Sign(make([]byte, test.size), test.o)
		require.ErrorContains(t, err, want)
	}
}

// broken is a key that fails to sign.
type broken struct{ crypto.Signer }

func (broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("no smart card")
}

// TestSignSendsCertificatesOnce sends those of the signers and others, each once.
func TestSignSendsCertificatesOnce(t *testing.T) {
	t.Parallel()
	a, b, c := the(t, alice), the(t, bob), the(t, carol)
	o := cms.SignOptions{
		Hash: crypto.SHA256, Signers: []cms.Signer{a.signer(), c.signer()},
		Certificates: []*x509.Certificate{b.cert, a.cert, b.cert},
	}
	raw, err := cms.Sign(sum(crypto.SHA256, nil), o)
	require.NoError(t, err)
	s, err := cms.ReadSigned(bytes.NewReader(raw), nil, cms.Limits{})
	require.NoError(t, err)
	require.ElementsMatch(t, raws(certificates(a, b, c)), raws(s.Certificates))
	o.OmitCertificates = true
	raw, err = cms.Sign(sum(crypto.SHA256, nil), o)
	require.NoError(t, err)
	s, err = cms.ReadSigned(bytes.NewReader(raw), nil, cms.Limits{})
	require.NoError(t, err)
	require.Empty(t, s.Certificates)
}

func raws(certificates []*x509.Certificate) [][]byte {
	var all [][]byte
	for _, c := range certificates {
		all = append(all, c.Raw)
	}
	return all
}

// TestVerifyChoosesAmongCertificates has several trusted certificates, as while one is being replaced.
func TestVerifyChoosesAmongCertificates(t *testing.T) {
	t.Parallel()
	a, b, c := the(t, alice), the(t, bob), the(t, carol)
	raw, err := cms.Sign(sum(crypto.SHA256, sampleContent), cms.SignOptions{
		Hash: crypto.SHA256, Signers: []cms.Signer{b.signer()},
	})
	require.NoError(t, err)
	s, err := cms.ReadSigned(bytes.NewReader(raw), nil, cms.Limits{})
	require.NoError(t, err)
	verified, err := s.Verify(certificates(a, b, c), digest(sampleContent))
	require.NoError(t, err)
	require.Same(t, b.cert, verified.Certificate)
	_, err = s.Verify(certificates(a, c), digest(sampleContent))
	require.ErrorIs(t, err, cms.ErrNoSigner)
	_, err = s.Verify(certificates(a, b, c), digest([]byte("another content")))
	require.ErrorIs(t, err, cms.ErrDigest)
	other := *b.cert // another key under the same name and number
	other.PublicKey = a.cert.PublicKey
	_, err = s.Verify([]*x509.Certificate{&other}, digest(sampleContent))
	require.ErrorIs(t, err, cms.ErrSignature)
}

// TestReadSignedWantsDetached refuses a content where there should be none.
func TestReadSignedWantsDetached(t *testing.T) {
	t.Parallel()
	raw := []byte("\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80\x30\x80\x02\x01\x01\x31\x00" +
		"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x80\x24\x80\x04\x02hi\x00\x00\x00\x00\x00\x00" +
		"\x31\x00\x00\x00\x00\x00\x00\x00")
	_, err := cms.ReadSigned(bytes.NewReader(raw), nil, cms.Limits{})
	require.ErrorIs(t, err, cms.ErrMalformed)
	require.ErrorContains(t, err, "detached")
	var content bytes.Buffer
	s, err := cms.ReadSigned(bytes.NewReader(raw), &content, cms.Limits{})
	require.NoError(t, err)
	require.Equal(t, "hi", content.String())
	_, err = s.Verify(certificates(the(t, alice)), nil)
	require.ErrorIs(t, err, cms.ErrNoSigner, "nobody signed")
	_, err = cms.ReadSigned(bytes.NewReader(raw), &content, cms.Limits{Content: 1})
	require.ErrorIs(t, err, cms.ErrLimit)
	_, err = cms.ReadSigned(bytes.NewReader(raw), &failing{}, cms.Limits{})
	require.ErrorIs(t, err, errFull)
}
