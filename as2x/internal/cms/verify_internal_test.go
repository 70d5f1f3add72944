package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crafted is a signature to be made in ways in which Sign makes none.
type crafted struct {
	id         []byte
	digest     []byte // algorithm
	attributes [][]byte
	signed     []byte // what the signature is over, if not the attributes in DER
	signature  []byte // algorithm
	kind       oid    // of the content
}

func newSigner(t *testing.T) Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: "Dave", Organization: []string{"Dave & Co"}},
		NotAfter: time.Now().Add(time.Hour), SubjectKeyId: []byte{1, 2, 3, 4},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	return Signer{Certificate: cert, Key: key}
}

// verifyCrafted makes the signature, reads it and verifies it, over the given content.
func verifyCrafted(t *testing.T, s Signer, c crafted, content string) (*Verified, error) {
	t.Helper()
	if c.signed == nil {
		c.signed = derSet(tagSet, c.attributes...)
	}
	over := sha256.Sum256(c.signed)
	value, err := s.Key.Sign(rand.Reader, over[:], crypto.SHA256)
	require.NoError(t, err)
	var sent []byte
	if c.attributes != nil {
		sent = der(contextTag(0), c.attributes...)
	}
	raw := der(tagSequence, derOID(oidSignedData), der(contextTag(0), der(tagSequence, derVersion(1), der(tagSet, c.digest),
		der(tagSequence, derOID(c.kind)),
		der(tagSet, der(tagSequence, derVersion(1), c.id, c.digest, sent, c.signature, derOctets(value))),
	)))
	signed, err := ReadSigned(bytes.NewReader(raw), nil, Limits{})
	require.NoError(t, err)
	return signed.Verify([]*x509.Certificate{nil, s.Certificate}, func(h crypto.Hash) ([]byte, error) {
		return hashed(h, []byte(content)), nil
	})
}

const craftedContent = "pay 100 EUR"

func newCrafted(t *testing.T, s Signer) crafted {
	t.Helper()
	algorithm, err := digestAlgorithm(crypto.SHA256)
	require.NoError(t, err)
	return crafted{
		id: issuerAndSerial(s.Certificate), digest: algorithm, kind: oidData,
		attributes: [][]byte{
			attribute(oidContentType, derOID(oidData)),
			attribute(oidMessageDigest, derOctets(hashed(crypto.SHA256, []byte(craftedContent)))),
		},
		signature: der(tagSequence, derOID(oidECDSASHA256)),
	}
}

func TestVerifyCrafted(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for name, test := range map[string]struct {
		change func(*crafted)
		want   error
	}{
		"as it should be": {func(*crafted) {}, nil},
		"in another order, signed in DER": {func(c *crafted) {
			c.attributes[0], c.attributes[1] = c.attributes[1], c.attributes[0]
		}, nil},
		"in another order, signed so": {func(c *crafted) {
			c.attributes[0], c.attributes[1] = c.attributes[1], c.attributes[0]
			c.signed = der(tagSet, c.attributes...)
		}, nil},
		"key identifier": {func(c *crafted) { c.id = der(tagContext0, []byte{1, 2, 3, 4}) }, nil},
		"key identifier in pieces": {func(c *crafted) {
			c.id = der(contextTag(0), derOctets([]byte{1}), derOctets([]byte{2, 3, 4}))
		}, nil},
		"another key identifier": {func(c *crafted) { c.id = der(tagContext0, []byte{1, 2, 3, 5}) }, ErrNoSigner},
		"a name of other strings": {func(c *crafted) {
			c.id = bytes.ReplaceAll(c.id, []byte{0x13, 4, 'D'}, []byte{0x0c, 4, 'D'})
		}, nil},
		"another name":   {func(c *crafted) { c.id = bytes.ReplaceAll(c.id, []byte("Dave"), []byte("Eve!")) }, ErrNoSigner},
		"another serial": {func(c *crafted) { c.id[len(c.id)-1]++ }, ErrNoSigner},
		"no name":        {func(c *crafted) { c.id = derNull() }, ErrNoSigner},
		"signed something else": {func(c *crafted) {
			c.signed = []byte("something else")
		}, ErrSignature},
		"signed as [0]":      {func(c *crafted) { c.signed = der(contextTag(0), c.attributes...) }, ErrSignature},
		"no content type":    {func(c *crafted) { c.attributes = c.attributes[1:] }, ErrMalformed},
		"no digest":          {func(c *crafted) { c.attributes = c.attributes[:1] }, ErrMalformed},
		"no attributes":      {func(c *crafted) { c.attributes = [][]byte{} }, ErrMalformed},
		"digest twice":       {func(c *crafted) { c.attributes = append(c.attributes, c.attributes[1]) }, ErrMalformed},
		"two digests in one": {func(c *crafted) { c.attributes[1] = twoDigests() }, ErrMalformed},
		"digest as a string": {func(c *crafted) {
			c.attributes[1] = attribute(oidMessageDigest, der(0x0c, hashed(crypto.SHA256, []byte(craftedContent))))
		}, ErrMalformed},
		"attribute no sequence": {func(c *crafted) { c.attributes = append(c.attributes, derNull()) }, ErrMalformed},
		"another content type": {func(c *crafted) {
			c.attributes[0] = attribute(oidContentType, derOID(oidSignedData))
		}, ErrMalformed},
		"digest algorithm unknown": {func(c *crafted) { c.digest = der(tagSequence, derOID(oidZlib)) }, ErrUnsupported},
		"another digest algorithm": {func(c *crafted) { c.digest, _ = digestAlgorithm(crypto.SHA512) }, ErrDigest},
		"RSA's algorithm for ECDSA": {func(c *crafted) {
			c.signature = der(tagSequence, derOID(oidRSA), derNull())
		}, ErrUnsupported},
		"algorithm with another digest": {func(c *crafted) {
			c.signature = der(tagSequence, derOID(oidECDSASHA384))
		}, ErrUnsupported},
		"protected":                     {func(c *crafted) { c.protect(c.digest, oidECDSASHA256) }, nil},
		"protected, another digest":     {func(c *crafted) { c.protect(der(tagSequence, derOID(oidSHA1)), oidECDSASHA256) }, ErrMalformed},
		"protected, another signature":  {func(c *crafted) { c.protect(c.digest, oidRSA) }, ErrMalformed},
		"protected, without signature":  {func(c *crafted) { c.addAttribute(oidAlgorithmProtection, der(tagSequence, c.digest)) }, ErrMalformed},
		"without attributes":            {func(c *crafted) { c.attributes, c.signed = nil, []byte(craftedContent) }, nil},
		"without attributes, something": {func(c *crafted) { c.attributes, c.signed = nil, []byte("something") }, ErrSignature},
		"without attributes, not data": {func(c *crafted) {
			c.attributes, c.signed, c.kind = nil, []byte(craftedContent), oidCompressedData
		}, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrafted(t, s)
			test.change(&c)
			verified, err := verifyCrafted(t, s, c, craftedContent)
			if test.want != nil {
				require.ErrorIs(t, err, test.want)
				require.Nil(t, verified)
				return
			}
			require.NoError(t, err)
			require.Same(t, s.Certificate, verified.Certificate)
			_, err = verifyCrafted(t, s, c, "pay 900 EUR")
			require.Error(t, err)
		})
	}
}

func twoDigests() []byte {
	return der(tagSequence, derOID(oidMessageDigest), der(tagSet,
		derOctets(hashed(crypto.SHA256, []byte(craftedContent))), derOctets(hashed(crypto.SHA256, []byte("other")))))
}

func (c *crafted) addAttribute(id oid, value []byte) {
	c.attributes = append(c.attributes, attribute(id, value))
}

func (c *crafted) protect(digest []byte, signature oid) {
	c.addAttribute(oidAlgorithmProtection, der(tagSequence, digest, der(contextTag(1), derOID(signature))))
}

func TestSigningTime(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for _, test := range []struct {
		tag   byte
		value string
		want  string // empty: an error
	}{
		{tagUTCTime, "261122070000Z", "2026-11-22T07:00:00Z"},
		{tagUTCTime, "490101000000Z", "2049-01-01T00:00:00Z"},
		{tagUTCTime, "500101000000Z", "1950-01-01T00:00:00Z"},
		{tagUTCTime, "681231235959Z", "1968-12-31T23:59:59Z"},
		{tagUTCTime, "990101000000Z", "1999-01-01T00:00:00Z"},
		{tagUTCTime, "261122080000+0100", "2026-11-22T07:00:00Z"},
		{tagTime, "20510101000000Z", "2051-01-01T00:00:00Z"},
		{tagTime, "20261122070000.5Z", "2026-11-22T07:00:00.5Z"},
		{tagUTCTime, "yesterday", ""},
		{tagUTCTime, "", ""},
		{tagTime, "20261322070000Z", ""},
	} {
		c := newCrafted(t, s)
		c.addAttribute(oidSigningTime, der(test.tag, []byte(test.value)))
		verified, err := verifyCrafted(t, s, c, craftedContent)
		if test.want == "" {
			require.ErrorIs(t, err, ErrMalformed, test.value)
			continue
		}
		require.NoError(t, err, test.value)
		require.Equal(t, test.want, verified.Time.UTC().Format(time.RFC3339Nano))
	}
	for _, year := range []int{1949, 1950, 2026, 2049, 2050} {
		at := time.Date(year, 2, 3, 4, 5, 6, 0, time.UTC)
		c := newCrafted(t, s)
		c.attributes = append(c.attributes, attribute(oidSigningTime, derTime(at)))
		verified, err := verifyCrafted(t, s, c, craftedContent)
		require.NoError(t, err)
		require.True(t, at.Equal(verified.Time), "%v became %v", at, verified.Time)
	}
}

// TestVerifyNeedsDigest asks for what a detached signature cannot know.
func TestVerifyNeedsDigest(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	raw, err := Sign(hashed(crypto.SHA256, []byte(craftedContent)), SignOptions{Hash: crypto.SHA256, Signers: []Signer{s}})
	require.NoError(t, err)
	signed, err := ReadSigned(bytes.NewReader(raw), nil, Limits{})
	require.NoError(t, err)
	require.Equal(t, []crypto.Hash{crypto.SHA256}, signed.Hashes())
	require.Len(t, signed.Certificates, 1)
	_, err = signed.Verify(signed.Certificates, nil)
	require.ErrorContains(t, err, "give the content's digest")
	lost := errors.New("file is gone")
	_, err = signed.Verify(signed.Certificates, func(crypto.Hash) ([]byte, error) { return nil, lost })
	require.ErrorIs(t, err, lost)
	_, err = signed.Verify(signed.Certificates, func(crypto.Hash) ([]byte, error) { return make([]byte, 20), nil })
	require.ErrorContains(t, err, "digest of 20 bytes")
}
