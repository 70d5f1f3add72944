package cms

import (
	"crypto"
	"testing"

	"github.com/stretchr/testify/require"
)

// algorithmOf encodes an AlgorithmIdentifier with these parameters.
func algorithmOf(id oid, params ...[]byte) []byte {
	return der(tagSequence, append([][]byte{derOID(id)}, params...)...)
}

func field(n byte, body ...[]byte) []byte { return der(contextTag(n), body...) }

func TestParsePSS(t *testing.T) {
	t.Parallel()
	sha256 := algorithmOf(oidSHA256, derNull())
	mask := algorithmOf(oidMGF1, sha256)
	salt := func(b ...byte) []byte { return field(2, der(tagInteger, b)) }
	for name, test := range map[string]struct {
		params []byte
		hash   crypto.Hash
		salt   int
		want   error
	}{
		"absent":            {nil, crypto.SHA1, 20, nil},
		"empty":             {der(tagSequence), crypto.SHA1, 20, nil},
		"all":               {der(tagSequence, field(0, sha256), field(1, mask), salt(32), field(3, derVersion(1))), crypto.SHA256, 32, nil},
		"hash without NULL": {der(tagSequence, field(0, algorithmOf(oidSHA256)), field(1, mask)), crypto.SHA256, 20, nil},
		"salt of 190":       {der(tagSequence, field(0, sha256), field(1, mask), salt(0, 190)), crypto.SHA256, 190, nil},
		"no salt":           {der(tagSequence, field(0, sha256), field(1, mask), salt(0)), crypto.SHA256, 0, nil},
		"negative salt":     {der(tagSequence, salt(0xff)), 0, 0, ErrMalformed},
		"empty salt":        {der(tagSequence, salt()), 0, 0, ErrMalformed},
		"long salt":         {der(tagSequence, salt(1, 0, 0)), 0, 0, ErrMalformed},
		"salt as a string":  {der(tagSequence, field(2, derOctets([]byte{32}))), 0, 0, ErrMalformed},
		"another mask":      {der(tagSequence, field(0, sha256)), 0, 0, ErrUnsupported},
		"unknown mask":      {der(tagSequence, field(1, algorithmOf(oidZlib))), 0, 0, ErrUnsupported},
		"unknown hash":      {der(tagSequence, field(0, algorithmOf(oidZlib))), 0, 0, ErrUnsupported},
		"hash's parameters": {der(tagSequence, field(0, algorithmOf(oidSHA256, derVersion(1)))), 0, 0, ErrMalformed},
		"empty hash":        {der(tagSequence, field(0)), 0, 0, ErrMalformed},
		"empty mask":        {der(tagSequence, field(1)), 0, 0, ErrMalformed},
		"no sequence":       {derNull(), 0, 0, ErrMalformed},
		"more":              {der(tagSequence, derNull()), 0, 0, ErrMalformed},
	} {
		hash, size, err := parsePSS(test.params)
		if test.want != nil {
			require.ErrorIs(t, err, test.want, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, test.hash, hash, name)
		require.Equal(t, test.salt, size, name)
	}
}

func TestParseOAEP(t *testing.T) {
	t.Parallel()
	sha256 := algorithmOf(oidSHA256, derNull())
	label := func(text string) []byte { return field(2, algorithmOf(oidPSpecified, derOctets([]byte(text)))) }
	for name, test := range map[string]struct {
		params     []byte
		hash, mask crypto.Hash
		want       error
	}{
		"empty":           {der(tagSequence), crypto.SHA1, crypto.SHA1, nil},
		"hash":            {der(tagSequence, field(0, sha256)), crypto.SHA256, crypto.SHA1, nil},
		"mask":            {der(tagSequence, field(1, algorithmOf(oidMGF1, sha256))), crypto.SHA1, crypto.SHA256, nil},
		"empty label":     {der(tagSequence, label("")), crypto.SHA1, crypto.SHA1, nil},
		"label":           {der(tagSequence, label("x")), 0, 0, ErrUnsupported},
		"unknown source":  {der(tagSequence, field(2, algorithmOf(oidZlib, derOctets(nil)))), 0, 0, ErrUnsupported},
		"source of none":  {der(tagSequence, field(2, algorithmOf(oidPSpecified))), 0, 0, ErrMalformed},
		"source is empty": {der(tagSequence, field(2)), 0, 0, ErrMalformed},
		"more":            {der(tagSequence, field(3, derVersion(1))), 0, 0, ErrMalformed},
		"no sequence":     {derOctets(nil), 0, 0, ErrMalformed},
	} {
		o, err := parseOAEP(test.params)
		if test.want != nil {
			require.ErrorIs(t, err, test.want, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, test.hash, o.Hash, name)
		require.Equal(t, test.mask, o.MGFHash, name)
	}
}

func TestParseGCMParameters(t *testing.T) {
	t.Parallel()
	nonce := derOctets(make([]byte, gcmNonce))
	for name, test := range map[string]struct {
		params []byte
		tag    int
		want   error
	}{
		"default tag":     {der(tagSequence, nonce), 12, nil},
		"tag of 16":       {der(tagSequence, nonce, der(tagInteger, []byte{16})), 16, nil},
		"tag of 8":        {der(tagSequence, nonce, der(tagInteger, []byte{8})), 0, ErrMalformed},
		"tag of 17":       {der(tagSequence, nonce, der(tagInteger, []byte{17})), 0, ErrMalformed},
		"tag of 0":        {der(tagSequence, nonce, der(tagInteger)), 0, ErrMalformed},
		"nonce of 16":     {der(tagSequence, derOctets(make([]byte, 16))), 0, ErrUnsupported},
		"no nonce":        {der(tagSequence), 0, ErrMalformed},
		"more":            {der(tagSequence, nonce, der(tagInteger, []byte{16}), derNull()), 0, ErrMalformed},
		"something else":  {der(tagSequence, nonce, derNull()), 0, ErrMalformed},
		"no sequence":     {nonce, 0, ErrMalformed},
		"nothing":         {nil, 0, ErrMalformed},
		"nonce no string": {der(tagSequence, derNull()), 0, ErrMalformed},
	} {
		_, tag, err := gcmParameters(test.params)
		if test.want != nil {
			require.ErrorIs(t, err, test.want, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, test.tag, tag, name)
	}
}
