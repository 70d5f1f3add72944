package as2x

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
)

// openSSL is the program as an implementation of S/MIME that is not ours.
type openSSL struct {
	t   *testing.T
	dir string
}

func newOpenSSL(t *testing.T) *openSSL {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		testenv.Skip(t, "no openssl on this machine (apt-get install openssl)")
	}
	o := &openSSL{t, t.TempDir()}
	for name, key := range map[string]*testKey{"us": ourKey, "partner": partnerKey} {
		pair := key.get(t)
		private, err := x509.MarshalPKCS8PrivateKey(pair.Key)
		require.NoError(t, err)
		o.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
		o.write(name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Raw}))
	}
	return o
}

func (o *openSSL) write(name string, data []byte) {
	o.t.Helper()
	require.NoError(o.t, os.WriteFile(filepath.Join(o.dir, name), data, 0o600))
}

func (o *openSSL) read(name string) []byte {
	o.t.Helper()
	data, err := os.ReadFile(filepath.Join(o.dir, name))
	require.NoError(o.t, err)
	return data
}

// run runs openssl cms or smime.
func (o *openSSL) run(args ...string) {
	o.t.Helper()
	cmd := exec.CommandContext(o.t.Context(), "openssl", args...)
	cmd.Dir = o.dir
	out, err := cmd.CombinedOutput()
	require.NoError(o.t, err, "openssl %v: %s", args, out)
}

// requireSigned lets openssl check the signature of a multipart/signed, and returns what was signed.
func (o *openSSL) requireSigned(n note, signer string) []byte {
	o.t.Helper()
	kind := parseMediaType(n.header.get("Content-Type"))
	require.True(o.t, kind.isSigned(), "%v", n.header)
	parts, err := newMultipart(bytes.NewReader(n.body), kind)
	require.NoError(o.t, err)
	signed, err := parts.nextSmall(10 << 20)
	require.NoError(o.t, err)
	part, err := parts.nextSmall(1 << 20)
	require.NoError(o.t, err)
	_, signature, err := splitPart(part)
	require.NoError(o.t, err)
	o.write("signed", signed)
	o.write("signature", signature)
	for _, command := range []string{"cms", "smime"} {
		o.run(command, "-verify", "-binary", "-inform", "DER", "-in", "signature", "-content", "signed", "-CAfile", signer+".crt", "-purpose", "any", "-out", "checked")
		require.Equal(o.t, signed, o.read("checked"))
	}
	return signed
}

// TestOpenSSLReadsWhatWeSend takes messages off the wire, and has openssl decrypt and verify them with each algorithm.
func TestOpenSSLReadsWhatWeSend(t *testing.T) {
	t.Parallel()
	o := newOpenSSL(t)
	data := random(11, 200_000)
	for _, encryption := range []EncryptionAlgorithm{AES128CBC, AES192CBC, AES256CBC, DESEDE3CBC} {
		for _, signing := range []SigningAlgorithm{SHA1, SHA256, SHA384, SHA512, SigningNone} {
			script, server := newScript(t, confirm(t, partnerKey, nil))
			cfg := configOf(t, server.URL)
			cfg.EncryptionAlgorithm, cfg.SigningAlgorithm, cfg.MDNSigningAlgorithm = encryption, signing, SHA256
			cfg.OAEP = map[SigningAlgorithm]crypto.Hash{SHA384: crypto.SHA256}[signing]
			require.NoError(t, newSender(t, cfg).send(t, "/a.edi", data).Err())
			o.write("message", script.bodies[0])
			for _, command := range []string{"cms", "smime"} {
				if command == "smime" && cfg.OAEP != 0 {
					continue // it knows PKCS #7 only
				}
				o.run(command, "-decrypt", "-binary", "-inform", "DER", "-in", "message", "-recip", "partner.crt", "-inkey", "partner.key", "-out", "plain")
				n, err := parseNote(o.read("plain"))
				require.NoError(t, err)
				if signing != SigningNone {
					n, err = parseNote(o.requireSigned(n, "us"))
					require.NoError(t, err)
				}
				require.True(t, bytes.Equal(data, n.body))
			}
		}
	}
}

// TestOpenSSLReadsOurMDNs has openssl verify what a Receiver answers.
func TestOpenSSLReadsOurMDNs(t *testing.T) {
	t.Parallel()
	o := newOpenSSL(t)
	p := newPartner(t)
	r := p.post(t, usual(t, "a.edi", []byte("x")), "1@us")
	o.requireSigned(noteOf(r.header, r.body), "partner")
	r = p.post(t, usual(t, "a.edi", []byte("x")).edited(func(b []byte) []byte { return b[:50] }), "2@us")
	o.requireSigned(noteOf(r.header, r.body), "partner")
}

// TestReceivingWhatOpenSSLMakes has openssl make messages: signatures detached and around their content, with definite
// and with indefinite lengths.
func TestReceivingWhatOpenSSLMakes(t *testing.T) {
	t.Parallel()
	o := newOpenSSL(t)
	data := random(12, 100_000)
	o.write("entity", payload(t, "a.edi", data).bytes())
	for _, cipher := range []string{"-aes-128-cbc", "-aes-192-cbc", "-aes-256-cbc", "-des-ede3-cbc"} {
		for _, md := range []string{"sha1", "sha256", "sha384", "sha512"} {
			for _, style := range []string{"detached", "opaque", "smime", "no certificate"} {
				t.Run(fmt.Sprint(cipher, " ", md, " ", style), func(t *testing.T) {
					o := &openSSL{t, o.dir}
					signed := o.signed(style, md)
					o.write("signed.eml", signed.bytes())
					args := []string{"cms", "-encrypt", "-binary", cipher, "-outform", "DER", "-in", "signed.eml", "-out", "message"}
					if md == "sha256" {
						args = append(args, "-stream") // indefinite lengths
					}
					o.run(append(args, "partner.crt")...)
					p := newPartner(t)
					message := built{t, entity{encryptedHeader, []piece{{data: o.read("message")}}}}
					r := p.post(t, message, "1@us")
					require.Equal(t, "processed", r.said(t))
					_, got := p.received(t)
					require.True(t, bytes.Equal(data, got))
				})
			}
		}
	}
}

// signed has openssl sign the entity in a style.
func (o *openSSL) signed(style, md string) built {
	o.t.Helper()
	args := []string{"cms", "-sign", "-binary", "-md", md, "-signer", "us.crt", "-inkey", "us.key", "-in", "entity", "-out", "signature.out"}
	switch style {
	case "opaque":
		o.run(append(args, "-nodetach", "-outform", "DER")...)
		h := header{{"Content-Type", "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m"}}
		return built{o.t, entity{h, []piece{{data: o.read("signature.out")}}}}
	case "smime":
		o.run(args...)
		return built{o.t, entity{}}.withRaw(o.read("signature.out"))
	case "no certificate":
		args = append(args, "-nocerts")
	}
	o.run(append(args, "-outform", "DER")...)
	e := o.read("entity")
	body := bytes.Join([][]byte{
		[]byte("Content-Type: a preamble\r\n\r\n--b\r\n"), e, []byte("\r\n--b\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: binary\r\n\r\n"),
		o.read("signature.out"), []byte("\r\n--b--\r\n"),
	}, nil)
	h := header{{"Content-Type", `multipart/signed; protocol="application/pkcs7-signature"; boundary=b`}} // no micalg
	return built{o.t, entity{h, []piece{{data: body}}}}
}

// TestMDNsThatOpenSSLSigns verifies MDNs that openssl signed.
func TestMDNsThatOpenSSLSigns(t *testing.T) {
	t.Parallel()
	o := newOpenSSL(t)
	_, server := newScript(t, func(w http.ResponseWriter, r *http.Request) {
		u := opened(t, r.Header, r.Body)
		e := report{
			from: "PARTNER", to: "US", originalID: bareID(r.Header.Get("Message-ID")), messageID: "1@partner", mic: u.digest.String(),
		}.entity()
		o.write("entity", built{t, e}.bytes())
		o.run("cms", "-sign", "-binary", "-md", "sha256", "-signer", "partner.crt", "-inkey", "partner.key", "-in", "entity", "-out", "mdn")
		n, err := parseNote(o.read("mdn"))
		if err == nil {
			answer{http.StatusOK, &n}.write(w)
		}
	})
	r := newSender(t, configOf(t, server.URL)).send(t, "/a.edi", []byte("x"))
	require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
}
