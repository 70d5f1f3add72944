package pgpx_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/pgpx"
)

func TestThereAndBack(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 511, 512, 65_535, 65_536, 1_000_000} {
		for _, armor := range []bool{false, true} {
			t.Run(fmt.Sprint(size, " bytes, armor ", armor), func(t *testing.T) {
				t.Parallel()
				data, e, d := content(size), forUs(t, armor), fromPartner(t)
				for range 2 { // keys are used again
					secret, err := through(e, data)
					require.NoError(t, err)
					require.Equal(t, armor, bytes.HasPrefix(secret, []byte("-----BEGIN PGP MESSAGE-----")))
					require.LessOrEqual(t, int64(len(secret)), e.MaxSize(int64(size)))
					plain, err := throughReader(d, iotest.HalfReader(bytes.NewReader(secret)))
					require.NoError(t, err)
					require.True(t, bytes.Equal(data, plain))
				}
			})
		}
	}
}

func TestManyFilesAtOnce(t *testing.T) {
	t.Parallel()
	e, d := forUs(t, false), fromPartner(t)
	results := make(chan error, 16)
	for i := range cap(results) {
		go func() {
			data := content(10_000 + i)
			secret, err := through(e, data)
			var plain []byte
			if err == nil {
				plain, err = through(d, secret)
			}
			if err == nil && !bytes.Equal(plain, data) {
				err = errors.New("the content is another")
			}
			results <- err
		}()
	}
	for range cap(results) {
		require.NoError(t, <-results)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a.csv.pgp", forUs(t, false).TargetName("a.csv"))
	require.Equal(t, "a.csv.asc", forUs(t, true).TargetName("a.csv"))
	for in, out := range map[string]string{"a.csv.pgp": "a.csv", "a.GPG": "a", "a.asc": "a", "a.csv": "a.csv", ".pgp": ".pgp", "pgp": "pgp"} {
		require.Equal(t, out, fromPartner(t).TargetName(in))
	}
}

// TestDamage cuts a message off everywhere, and turns bits over.
func TestDamage(t *testing.T) {
	t.Parallel()
	data := content(2000)
	for _, armor := range []bool{false, true} {
		secret, err := through(forUs(t, armor), data)
		require.NoError(t, err)
		d := fromPartner(t)
		end := len(bytes.TrimRight(secret, "\n"))
		for cut := 0; cut < end; cut += 1 + cut/40 {
			plain, err := through(d, secret[:cut])
			whole := armor && cut > end-40 && bytes.Equal(plain, data) // what is missing is armor
			require.True(t, whole || err != nil && err != io.EOF, "cut off at %d of %d, armor %v: %v", cut, len(secret), armor, err)
		}
		if armor {
			continue // not every bit of it counts
		}
		for at := 0; at < len(secret); at += 1 + at/40 {
			harmed := bytes.Clone(secret)
			harmed[at] ^= 0x10
			plain, err := through(d, harmed)
			require.True(t, err != nil || bytes.Equal(plain, data), "byte %d of %d", at, len(secret))
		}
		_, err = through(d, append(bytes.Clone(secret), "more"...))
		require.Error(t, err)
	}
}

func TestBehindArmorComesWhiteSpaceAlone(t *testing.T) {
	t.Parallel()
	secret, err := through(forUs(t, true), content(5000))
	require.NoError(t, err)
	_, err = through(fromPartner(t), append(bytes.Clone(secret), "\r\n \t\n"...))
	require.NoError(t, err)
	_, err = through(fromPartner(t), append(bytes.Clone(secret), strings.Repeat(" ", 5000)+"x"...))
	require.Equal(t, transfer.IntegrityError, transfer.CodeOf(err), "%v", err)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	data := content(1000)
	unsigned := pgpx.EncryptOptions{Recipients: []string{us().public}}
	for _, test := range []struct {
		name, says string
		secret     func(t *testing.T) []byte
	}{
		{"unsigned", "not signed", func(t *testing.T) []byte { return must(through(encrypt(t, unsigned), data)) }},
		{"signed by somebody else", "none of DecryptOptions.Signers", func(t *testing.T) []byte {
			o := unsigned
			o.Signer = other().private
			return must(through(encrypt(t, o), data))
		}},
		{"signed by ourselves", "none of DecryptOptions.Signers", func(t *testing.T) []byte {
			o := unsigned
			o.Signer = us().private
			return must(through(encrypt(t, o), data))
		}},
		{"for somebody else", "none of DecryptOptions.Keys", func(t *testing.T) []byte {
			return must(through(encrypt(t, pgpx.EncryptOptions{Recipients: []string{other().public}}), data))
		}},
		{"signed and not encrypted", "not encrypted", func(t *testing.T) []byte { return signedOnly(t, data) }},
		{"encrypted with a password", "none of DecryptOptions.Keys", func(t *testing.T) []byte {
			var b bytes.Buffer
			w, err := openpgp.SymmetricallyEncrypt(&b, []byte("secret"), nil, nil)
			require.NoError(t, err)
			_, err = w.Write(data)
			require.NoError(t, errors.Join(err, w.Close()))
			return b.Bytes()
		}},
		{"a key in place of a message", "no message", func(*testing.T) []byte { return []byte(us().public) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := through(fromPartner(t), test.secret(t))
			require.ErrorContains(t, err, test.says)
			require.Equal(t, transfer.ReadFileError, transfer.CodeOf(err))
		})
	}
}

func must(made []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return made
}

func signedOnly(t *testing.T, data []byte) []byte {
	t.Helper()
	ring, err := openpgp.ReadArmoredKeyRing(strings.NewReader(other().private))
	require.NoError(t, err)
	var b bytes.Buffer
	w, err := openpgp.Sign(&b, ring, nil, nil)
	require.NoError(t, err)
	_, err = w.Write(data)
	require.NoError(t, errors.Join(err, w.Close()))
	return b.Bytes()
}

func TestBomb(t *testing.T) {
	t.Parallel()
	c := &packet.Config{DefaultCompressionAlgo: packet.CompressionZLIB}
	packs := newIdentity(t, "packs", nil, c)
	ring, err := openpgp.ReadArmoredKeyRing(strings.NewReader(packs.public))
	require.NoError(t, err)
	var b bytes.Buffer
	w, err := openpgp.Encrypt(&b, ring, nil, nil, nil, c)
	require.NoError(t, err)
	_, err = w.Write(make([]byte, 30<<20))
	require.NoError(t, errors.Join(err, w.Close()))
	require.Less(t, b.Len(), 100_000)
	d := decrypt(t, pgpx.DecryptOptions{Keys: []string{packs.private}, MaxSize: 1 << 20})
	_, err = through(d, b.Bytes())
	require.ErrorContains(t, err, "more than 1048576 bytes")
	require.Equal(t, transfer.ReadFileError, transfer.CodeOf(err))
	d = decrypt(t, pgpx.DecryptOptions{Keys: []string{packs.private}, MaxSize: -1})
	plain, err := through(d, b.Bytes())
	require.NoError(t, err)
	require.Len(t, plain, 30<<20)
}

func TestEndlessHeader(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]string{
		"text": "lorem ipsum\n", "armor headers": "-----BEGIN PGP MESSAGE-----\nComment: " + strings.Repeat("x", 90),
	} {
		endless := io.MultiReader(strings.NewReader(begin), &repeated{text: []byte("Comment: and so on\n")})
		_, err := throughReader(fromPartner(t), endless)
		require.Error(t, err, name)
	}
}

// repeated says the same again and again.
type repeated struct{ text []byte }

func (r *repeated) Read(p []byte) (int, error) { return copy(p, r.text), nil }

func TestOptions(t *testing.T) {
	t.Parallel()
	weak := newIdentity(t, "weak", nil, &packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 1024})
	_, err := pgpx.Encrypt(pgpx.EncryptOptions{})
	require.ErrorContains(t, err, "Recipients is empty")
	_, err = pgpx.Encrypt(pgpx.EncryptOptions{Recipients: []string{"nonsense", weak.public}, Signer: partner().private})
	require.ErrorContains(t, err, "Recipients[0] holds no armored OpenPGP key")
	require.ErrorContains(t, err, "nothing can be encrypted to")
	require.ErrorContains(t, err, "Passphrase is nil")
	_, err = pgpx.Encrypt(pgpx.EncryptOptions{Recipients: []string{us().public}, Signer: us().public})
	require.ErrorContains(t, err, "is a public key")
	_, err = pgpx.Decrypt(pgpx.DecryptOptions{MaxSize: -2, Signers: []string{""}})
	require.ErrorContains(t, err, "Keys is empty")
	require.ErrorContains(t, err, "MaxSize is -2")
	require.ErrorContains(t, err, "Signers[0]")
	wrong := func() ([]byte, error) { return []byte("hunter2"), nil }
	_, err = pgpx.Decrypt(pgpx.DecryptOptions{Keys: []string{partner().private}, Passphrase: wrong})
	require.ErrorContains(t, err, "does not unlock")
	require.NotContains(t, err.Error(), "hunter2")
	require.NotContains(t, err.Error(), "PRIVATE")
}

// TestSignerDoesNotDecrypt gives a private key as a signer: it must not decrypt.
func TestSignerDoesNotDecrypt(t *testing.T) {
	t.Parallel()
	d := decrypt(t, pgpx.DecryptOptions{Keys: []string{us().private}, Signers: []string{other().private}})
	secret := must(through(encrypt(t, pgpx.EncryptOptions{Recipients: []string{other().public}}), content(10)))
	_, err := through(d, secret)
	require.ErrorContains(t, err, "none of DecryptOptions.Keys")
}
