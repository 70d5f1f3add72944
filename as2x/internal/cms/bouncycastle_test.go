package cms_test

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
	"github.com/seed62b9dc43/transfer/internal/testenv"
)

// bouncy is the program of testdata/BouncyCastle.java, which is started once because that takes seconds.
type bouncy struct {
	dir  string
	mu   sync.Mutex // guards in and out
	in   io.WriteCloser
	out  *bufio.Reader
	said bytes.Buffer // to be read when the program has ended
}

func startBouncy(t *testing.T) *bouncy {
	t.Helper()
	cmd := exec.Command(testenv.Java(t), "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", testenv.BouncyCastle(t),
		filepath.Join("testdata", "BouncyCastle.java"))
	b := &bouncy{dir: t.TempDir()}
	cmd.Stderr = &b.said
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	b.in, b.out = in, bufio.NewReader(out)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = b.in.Close() // ends it
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("BouncyCastle.java: %v\n%s", err, b.said.String())
		}
	})
	return b
}

// try has the program do something and returns what that wrote.
func (b *bouncy) try(t *testing.T, verb string, words map[string]string) ([]byte, error) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	out := filepath.Join(b.dir, "out")
	order := []string{verb, "out=" + out}
	for name, value := range words {
		order = append(order, name+"="+value)
	}
	_, err := io.WriteString(b.in, strings.Join(order, "\t")+"\n")
	require.NoError(t, err)
	answer, err := b.out.ReadString('\n')
	require.NoError(t, err)
	if answer = strings.TrimSpace(answer); answer != "ok" {
		return nil, fmt.Errorf("%s %v: %s", verb, words, answer)
	}
	if verb == "verify" {
		return nil, nil
	}
	made, err := os.ReadFile(out)
	require.NoError(t, err)
	return made, nil
}

func (b *bouncy) run(t *testing.T, verb string, words map[string]string) []byte {
	t.Helper()
	made, err := b.try(t, verb, words)
	require.NoError(t, err)
	return made
}

// TestBouncyCastle has Bouncy Castle open what this package makes, and make what it opens.
func TestBouncyCastle(t *testing.T) {
	t.Parallel()
	b := startBouncy(t)
	for name, test := range map[string]func(*testing.T, *bouncy){
		"opens encrypted": bouncyOpensEncrypted, "makes encrypted": bouncyMakesEncrypted,
		"makes key transports": bouncyMakesKeyTransports, "makes authenticated attributes": bouncyMakesAttributes,
		"verifies": bouncyVerifies, "signs": bouncySigns,
		"opens compressed": bouncyOpensCompressed, "makes compressed": bouncyMakesCompressed,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

// The ciphers by their object identifiers, which Bouncy Castle is told.
var bouncyCiphers = map[cms.Cipher]string{
	cms.AES128CBC: "2.16.840.1.101.3.4.1.2", cms.AES192CBC: "2.16.840.1.101.3.4.1.22",
	cms.AES256CBC: "2.16.840.1.101.3.4.1.42", cms.DESEDE3CBC: "1.2.840.113549.3.7",
	cms.AES128GCM: "2.16.840.1.101.3.4.1.6", cms.AES192GCM: "2.16.840.1.101.3.4.1.26",
	cms.AES256GCM: "2.16.840.1.101.3.4.1.46",
}

// authenticated is not empty for ciphers of AuthEnvelopedData.
func authenticated(c cms.Cipher) string { return strings.Repeat("y", strings.Count(string(c), "GCM")) }

func bouncyOpensEncrypted(t *testing.T, b *bouncy) {
	one, two := the(t, alice), the(t, bob)
	for c := range bouncyCiphers {
		for _, size := range sizes {
			content := randomBytes(size)
			for i, options := range []cms.EncryptOptions{{Size: int64(size)}, {Size: int64(size), Indefinite: true}, {Size: -1}} {
				options.Cipher = c
				options.Recipients = []cms.Recipient{
					{Certificate: one.cert, OAEP: []crypto.Hash{0, crypto.SHA1, crypto.SHA256}[i]},
					{Certificate: two.cert, ByKeyID: true},
				}
				in := save(t, b.dir, "in", encrypt(t, content, options))
				for _, who := range []identity{one, two} {
					cert, key := who.saveDER(t, b.dir)
					got := b.run(t, "decrypt", map[string]string{
						"in": in, "cert": cert, "key": key, "authenticated": authenticated(c),
					})
					require.True(t, bytes.Equal(content, got), "%d bytes, %+v", size, options)
				}
			}
		}
	}
}

// encodings are how Bouncy Castle can be told to write: in pieces, with indefinite lengths, with definite ones, in DER.
var encodings = []map[string]string{{"stream": "y"}, {"encoding": "BER"}, {"encoding": "DL"}, {"encoding": "DER"}}

// with puts more words to an encoding's.
func with(words map[string]string, more ...string) map[string]string {
	all := map[string]string{}
	for name, value := range words {
		all[name] = value
	}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

func bouncyMakesEncrypted(t *testing.T, b *bouncy) {
	one, two := the(t, alice), the(t, bob)
	certOne, _ := one.saveDER(t, b.dir)
	certTwo, _ := two.saveDER(t, b.dir)
	for c, id := range bouncyCiphers {
		for _, size := range sizes {
			content := randomBytes(size)
			in := save(t, b.dir, "in", content)
			for _, encoding := range encodings {
				if authenticated(c) != "" && encoding["stream"] != "" {
					continue // Bouncy Castle's stream of it is not in Debian's version
				}
				words := with(encoding, "in", in, "cert", certOne+","+certTwo, "cipher", id, "authenticated", authenticated(c))
				raw := b.run(t, "encrypt", words)
				for _, who := range []identity{one, two} {
					got, err := decrypt(raw, []cms.KeyPair{who.pair()}, cms.Limits{})
					require.NoError(t, err, "%v", words)
					require.True(t, bytes.Equal(content, got), "%v", words)
				}
			}
		}
	}
}

func bouncyMakesKeyTransports(t *testing.T, b *bouncy) {
	one := the(t, alice)
	cert, _ := one.saveDER(t, b.dir)
	content := randomBytes(1000)
	in := save(t, b.dir, "in", content)
	for _, transport := range []map[string]string{
		{"byKeyID": "y"}, {"oaep": "SHA-1", "mask": "SHA-1"}, {"oaep": "SHA-256", "mask": "SHA-256"},
		{"oaep": "SHA-256", "mask": "SHA-1"}, {"oaep": "SHA-512", "mask": "SHA-512"}, {"oaep": "SHA-224", "mask": "SHA-384"},
	} {
		for _, encoding := range encodings {
			words := with(with(encoding, "in", in, "cert", cert, "cipher", bouncyCiphers[cms.AES256CBC]))
			for name, value := range transport {
				words[name] = value
			}
			got, err := decrypt(b.run(t, "encrypt", words), []cms.KeyPair{one.pair()}, cms.Limits{})
			require.NoError(t, err, "%v", words)
			require.True(t, bytes.Equal(content, got), "%v", words)
		}
	}
}

func bouncyMakesAttributes(t *testing.T, b *bouncy) {
	one := the(t, alice)
	cert, _ := one.saveDER(t, b.dir)
	content := randomBytes(100_001)
	raw := b.run(t, "encrypt", map[string]string{
		"in": save(t, b.dir, "in", content), "cert": cert, "cipher": bouncyCiphers[cms.AES128GCM], "authenticated": "y",
		"attributes": "authenticated, not encrypted", "encoding": "DER",
	})
	got, err := decrypt(raw, []cms.KeyPair{one.pair()}, cms.Limits{})
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
	at := bytes.Index(raw, []byte("not encrypted"))
	require.Positive(t, at)
	raw[at] = 'N'
	_, err = decrypt(raw, []cms.KeyPair{one.pair()}, cms.Limits{})
	require.ErrorIs(t, err, cms.ErrDecrypt)
}

// bouncyHashes by Java's names.
var bouncyHashes = map[crypto.Hash]string{
	crypto.SHA1: "SHA1", crypto.SHA224: "SHA224", crypto.SHA256: "SHA256", crypto.SHA384: "SHA384", crypto.SHA512: "SHA512",
}

func bouncyVerifies(t *testing.T, b *bouncy) {
	one, two, three := the(t, alice), the(t, bob), the(t, carol)
	content := randomBytes(5000)
	in := save(t, b.dir, "content", content)
	pss := two.signer()
	pss.PSS = true
	for h := range bouncyHashes {
		for _, test := range []struct {
			signers []cms.Signer
			who     []identity
		}{
			{[]cms.Signer{one.signer()}, []identity{one}},
			{[]cms.Signer{pss}, []identity{two}},
			{[]cms.Signer{three.signer()}, []identity{three}},
			{[]cms.Signer{three.signer(), one.signer(), pss}, []identity{one, two, three}},
		} {
			for _, omit := range []bool{false, true} {
				raw, err := cms.Sign(sum(h, content), cms.SignOptions{
					Hash: h, Signers: test.signers, Time: time.Now(), AlgorithmProtection: true, OmitCertificates: omit,
				})
				require.NoError(t, err)
				var certs []string
				for _, who := range test.who {
					cert, _ := who.saveDER(t, b.dir)
					certs = append(certs, cert)
				}
				sent := len(certs)
				if omit {
					sent = 0
				}
				words := map[string]string{
					"cert": strings.Join(certs, ","), "signature": save(t, b.dir, "signature", raw), "sent": fmt.Sprint(sent),
				}
				b.run(t, "verify", with(words, "in", in))
				_, err = b.try(t, "verify", with(words, "in", words["signature"]))
				require.Error(t, err, "another content")
			}
		}
	}
}

func bouncySigns(t *testing.T, b *bouncy) {
	content := randomBytes(10_001)
	in := save(t, b.dir, "content", content)
	for who, endings := range map[*identity][]string{
		ptr(the(t, alice)): {"withRSA", "withRSAandMGF1"}, ptr(the(t, carol)): {"withECDSA"},
	} {
		cert, key := who.saveDER(t, b.dir)
		for h, name := range bouncyHashes {
			for _, ending := range endings {
				for _, encoding := range encodings {
					for _, how := range [][]string{
						nil, {"attached", "y"}, {"direct", "y"}, {"byKeyID", "y"}, {"bare", "y", "attached", "y", "direct", "y"},
					} {
						words := with(with(encoding, how...), "in", in, "cert", cert, "key", key, "algorithm", name+ending)
						verified := requireSigned(t, b.run(t, "sign", words), content, *who)
						require.Equal(t, h, verified.Hash, "%v", words)
						require.Equal(t, words["direct"] != "", verified.Time.IsZero(), "%v", words)
					}
				}
			}
		}
	}
}

func ptr[T any](v T) *T { return &v }

// contents are those that compress and those that do not.
func contents() [][]byte {
	return [][]byte{{}, []byte("a"), bytes.Repeat([]byte("all work and no play\r\n"), 50_000), randomBytes(200_001)}
}

func bouncyOpensCompressed(t *testing.T, b *bouncy) {
	for _, content := range contents() {
		var data bytes.Buffer
		w := zlib.NewWriter(&data)
		_, err := w.Write(content)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		definite := append(cms.CompressedHeader(int64(data.Len())), data.Bytes()...)
		for _, raw := range [][]byte{definite, compress(t, content)} {
			got := b.run(t, "decompress", map[string]string{"in": save(t, b.dir, "in", raw)})
			require.True(t, bytes.Equal(content, got), "%d bytes", len(content))
		}
	}
}

func bouncyMakesCompressed(t *testing.T, b *bouncy) {
	for _, content := range contents() {
		in := save(t, b.dir, "in", content)
		for _, encoding := range encodings {
			got, err := decompress(b.run(t, "compress", with(encoding, "in", in)), cms.Limits{})
			require.NoError(t, err, "%d bytes, %v", len(content), encoding)
			require.True(t, bytes.Equal(content, got), "%d bytes, %v", len(content), encoding)
		}
	}
}
