package cms_test

import (
	"bytes"
	"crypto"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
	"github.com/seed62b9dc43/transfer/internal/testenv"
)

// openssl runs `openssl cms` and returns what it writes to its output file.
type openssl struct{ program, dir string }

func newOpenSSL(t *testing.T) openssl {
	t.Helper()
	return openssl{testenv.OpenSSL(t), t.TempDir()}
}

func (o openssl) try(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	out := filepath.Join(o.dir, "out")
	_ = os.Remove(out)
	args = append([]string{"cms", "-binary", "-out", out}, args...)
	said, err := exec.CommandContext(t.Context(), o.program, args...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("openssl %s: %w\n%s", strings.Join(args, " "), err, said)
	}
	made, err := os.ReadFile(out)
	require.NoError(t, err)
	return made, nil
}

func (o openssl) run(t *testing.T, args ...string) []byte {
	t.Helper()
	made, err := o.try(t, args...)
	require.NoError(t, err)
	return made
}

// The ciphers by openssl's names.
var opensslCiphers = map[cms.Cipher]string{
	cms.AES128CBC: "-aes-128-cbc", cms.AES192CBC: "-aes-192-cbc", cms.AES256CBC: "-aes-256-cbc",
	cms.DESEDE3CBC: "-des-ede3-cbc",
	cms.AES128GCM:  "-aes-128-gcm", cms.AES192GCM: "-aes-192-gcm", cms.AES256GCM: "-aes-256-gcm",
}

// sizes are nothing, whole blocks or not, and several buffers.
var sizes = []int{0, 1, 16, 100_001}

func TestOpenSSLOpensEncrypted(t *testing.T) {
	t.Parallel()
	a, b := the(t, alice), the(t, bob)
	for c := range opensslCiphers {
		t.Run(string(c), func(t *testing.T) {
			t.Parallel()
			o := newOpenSSL(t)
			cert, key := a.savePEM(t, o.dir)
			for _, size := range sizes {
				content := randomBytes(size)
				for _, options := range []cms.EncryptOptions{{Size: int64(size)}, {Size: int64(size), Indefinite: true}, {Size: -1}} {
					options.Cipher = c
					options.Recipients = []cms.Recipient{{Certificate: b.cert, ByKeyID: true}, {Certificate: a.cert}}
					in := save(t, o.dir, "in", encrypt(t, content, options))
					got := o.run(t, "-decrypt", "-inform", "DER", "-in", in, "-recip", cert, "-inkey", key)
					require.True(t, bytes.Equal(content, got), "%d bytes, %+v", size, options)
				}
			}
		})
	}
}

func TestOpenSSLOpensKeyTransports(t *testing.T) {
	t.Parallel()
	a, b := the(t, alice), the(t, bob)
	o := newOpenSSL(t)
	content := randomBytes(1000)
	for _, h := range []crypto.Hash{0, crypto.SHA1, crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		for _, byKeyID := range []bool{false, true} {
			raw := encrypt(t, content, cms.EncryptOptions{Cipher: cms.AES256CBC, Size: 1000, Recipients: []cms.Recipient{
				{Certificate: a.cert, OAEP: h, ByKeyID: byKeyID}, {Certificate: b.cert, OAEP: h, ByKeyID: byKeyID},
			}})
			in := save(t, o.dir, "in", raw)
			for _, who := range []identity{a, b} {
				cert, key := who.savePEM(t, o.dir)
				got := o.run(t, "-decrypt", "-inform", "DER", "-in", in, "-recip", cert, "-inkey", key)
				require.True(t, bytes.Equal(content, got), "%v, by key id %v", h, byKeyID)
			}
		}
	}
}

func TestOpenSSLMakesEncrypted(t *testing.T) {
	t.Parallel()
	a, b := the(t, alice), the(t, bob)
	for c, name := range opensslCiphers {
		t.Run(string(c), func(t *testing.T) {
			t.Parallel()
			o := newOpenSSL(t)
			certA, _ := a.savePEM(t, o.dir)
			certB, _ := b.savePEM(t, o.dir)
			for _, size := range sizes {
				content := randomBytes(size)
				in := save(t, o.dir, "in", content)
				for _, form := range opensslForms(c) {
					for _, id := range [][]string{nil, {"-keyid"}} {
						args := append([]string{"-encrypt", "-outform", "DER", "-in", in, name, form}, id...)
						raw := o.run(t, append(args, certB, certA)...)
						for _, who := range []identity{a, b} {
							got, err := decrypt(raw, []cms.KeyPair{who.pair()}, cms.Limits{})
							require.NoError(t, err, "%v", args)
							require.True(t, bytes.Equal(content, got), "%v", args)
						}
					}
				}
			}
		})
	}
}

// opensslForms are definite lengths, and indefinite ones, which openssl does not have for GCM.
func opensslForms(c cms.Cipher) []string {
	if strings.HasSuffix(string(c), "GCM") {
		return []string{"-noindef"}
	}
	return []string{"-noindef", "-stream"}
}

func TestOpenSSLMakesKeyTransports(t *testing.T) {
	t.Parallel()
	a := the(t, alice)
	o := newOpenSSL(t)
	cert, _ := a.savePEM(t, o.dir)
	content := randomBytes(1000)
	in := save(t, o.dir, "in", content)
	for _, md := range []string{"sha1", "sha224", "sha256", "sha384", "sha512"} {
		for _, mask := range []string{"sha1", "sha256", "sha512"} {
			raw := o.run(t, "-encrypt", "-outform", "DER", "-in", in, "-aes-128-cbc", "-recip", cert,
				"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:"+md, "-keyopt", "rsa_mgf1_md:"+mask)
			got, err := decrypt(raw, []cms.KeyPair{a.pair()}, cms.Limits{})
			require.NoError(t, err, "%s, mask %s", md, mask)
			require.True(t, bytes.Equal(content, got), "%s, mask %s", md, mask)
		}
	}
}

// opensslHashes by openssl's names.
var opensslHashes = map[crypto.Hash]string{
	crypto.SHA1: "sha1", crypto.SHA224: "sha224", crypto.SHA256: "sha256", crypto.SHA384: "sha384", crypto.SHA512: "sha512",
}

func TestOpenSSLVerifies(t *testing.T) {
	t.Parallel()
	a, b, c := the(t, alice), the(t, bob), the(t, carol)
	o := newOpenSSL(t)
	content := randomBytes(5000)
	in := save(t, o.dir, "content", content)
	pss := b.signer()
	pss.PSS = true
	for h := range opensslHashes {
		for name, signers := range map[string][]cms.Signer{
			"rsa": {a.signer()}, "pss": {pss}, "ecdsa": {c.signer()}, "all": {c.signer(), pss, a.signer()},
		} {
			options := cms.SignOptions{Hash: h, Signers: signers, Time: time.Now(), AlgorithmProtection: name == "all"}
			raw, err := cms.Sign(sum(h, content), options)
			require.NoError(t, err)
			signature := save(t, o.dir, "signature", raw)
			verify := []string{"-verify", "-inform", "DER", "-in", signature, "-noverify", "-content"}
			got := o.run(t, append(verify, in)...)
			require.True(t, bytes.Equal(content, got), "%v %s", h, name)
			_, err = o.try(t, append(verify, signature)...)
			require.Error(t, err, "another content")
		}
	}
}

// TestOpenSSLVerifiesWithoutCertificates has openssl take the certificate from elsewhere, and check its chain.
func TestOpenSSLVerifiesWithoutCertificates(t *testing.T) {
	t.Parallel()
	a := the(t, alice)
	o := newOpenSSL(t)
	cert, _ := a.savePEM(t, o.dir)
	content := randomBytes(5000)
	raw, err := cms.Sign(sum(crypto.SHA256, content), cms.SignOptions{
		Hash: crypto.SHA256, Signers: []cms.Signer{a.signer()}, OmitCertificates: true,
	})
	require.NoError(t, err)
	signature, in := save(t, o.dir, "signature", raw), save(t, o.dir, "content", content)
	args := []string{"-verify", "-inform", "DER", "-in", signature, "-content", in, "-CAfile", cert, "-purpose", "any"}
	_, err = o.try(t, args...)
	require.Error(t, err, "no certificate")
	require.Equal(t, content, o.run(t, append(args, "-certfile", cert)...))
}

func TestOpenSSLSigns(t *testing.T) {
	t.Parallel()
	a, c := the(t, alice), the(t, carol)
	o := newOpenSSL(t)
	content := randomBytes(100_001)
	in := save(t, o.dir, "content", content)
	certA, keyA := a.savePEM(t, o.dir)
	certB, _ := the(t, bob).savePEM(t, o.dir)
	certC, keyC := c.savePEM(t, o.dir)
	signers := map[string][]string{
		"rsa":   {"-signer", certA, "-inkey", keyA},
		"pss":   {"-signer", certA, "-inkey", keyA, "-keyopt", "rsa_padding_mode:pss"},
		"salt":  {"-signer", certA, "-inkey", keyA, "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:20"},
		"ecdsa": {"-signer", certC, "-inkey", keyC},
		"both":  {"-signer", certC, "-inkey", keyC, "-signer", certA, "-inkey", keyA},
	}
	forms := [][]string{
		nil, {"-nodetach"}, {"-stream"}, {"-stream", "-nodetach"}, {"-noattr"}, {"-noattr", "-nodetach"},
		{"-nocerts", "-keyid"}, {"-nosmimecap", "-cades"}, {"-certfile", certB},
	}
	for h, md := range opensslHashes {
		for name, signer := range signers {
			for _, form := range forms {
				if strings.Contains(strings.Join(signer, " "), ":pss") && slices.Contains(form, "-stream") {
					continue // openssl 3.0 fails to write that
				}
				args := append([]string{"-sign", "-outform", "DER", "-in", in, "-md", md}, append(signer, form...)...)
				raw := o.run(t, args...)
				pin := a
				if name == "ecdsa" {
					pin = c
				}
				verified := requireSigned(t, raw, content, pin)
				require.Equal(t, h, verified.Hash, "%v", args)
			}
		}
	}
}

// requireSigned checks that someone signed a content, in a signature that is detached or around the content.
func requireSigned(t *testing.T, raw, content []byte, pin identity) *cms.Verified {
	t.Helper()
	var carried bytes.Buffer
	s, err := cms.ReadSigned(bytes.NewReader(raw), &carried, cms.Limits{})
	require.NoError(t, err)
	if !s.Detached {
		require.True(t, bytes.Equal(content, carried.Bytes()))
	}
	verified, err := s.Verify(certificates(pin), digest(content))
	require.NoError(t, err)
	require.Same(t, pin.cert, verified.Certificate)
	_, err = s.Verify(certificates(the(t, bob)), digest(content))
	require.ErrorIs(t, err, cms.ErrNoSigner)
	if s.Detached {
		_, err = s.Verify(certificates(pin), digest(content[1:]))
		require.Error(t, err)
	}
	return verified
}
