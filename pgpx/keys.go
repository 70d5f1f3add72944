package pgpx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// minRSABits is the shortest RSA key that is used.
const minRSABits = 2048

// config is what both directions go by. It is never changed.
func config(limit int64) *packet.Config {
	c := &packet.Config{DefaultCipher: packet.CipherAES256, AEADConfig: &packet.AEADConfig{}, MinRSABits: minRSABits}
	if limit > 0 {
		c.MaxDecompressedMessageSize = &limit
	}
	return c
}

// keyring holds keys in their binary form. The library keeps what it has verified of a key in the key, so that one may not
// be used by two at once: each file takes its own, and gives it back.
type keyring struct {
	raw  []byte
	free sync.Pool // of openpgp.EntityList
}

func newKeyring(all openpgp.EntityList) (*keyring, error) {
	var raw bytes.Buffer
	for _, e := range all {
		write := e.Serialize
		if e.PrivateKey != nil {
			write = func(w io.Writer) error { return e.SerializePrivateWithoutSigning(w, nil) }
		}
		if err := write(&raw); err != nil {
			return nil, fmt.Errorf("keep key %s: %w", fingerprint(e), err)
		}
	}
	k := &keyring{raw: raw.Bytes()}
	first, err := openpgp.ReadKeyRing(bytes.NewReader(k.raw))
	if err != nil {
		return nil, fmt.Errorf("keep keys: %w", err)
	}
	k.giveBack(first)
	return k, nil
}

// take returns the keys for one file.
func (k *keyring) take() (openpgp.EntityList, error) {
	if list, ok := k.free.Get().(*openpgp.EntityList); ok {
		return *list, nil
	}
	return openpgp.ReadKeyRing(bytes.NewReader(k.raw))
}

func (k *keyring) giveBack(list openpgp.EntityList) { k.free.Put(&list) }

func fingerprint(e *openpgp.Entity) string { return fmt.Sprintf("%X", e.PrimaryKey.Fingerprint) }

// problems collects what is wrong with options.
type problems struct{ errs []error }

func (p *problems) add(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("pgpx: "+format, args...))
}

func (p *problems) err() error { return errors.Join(p.errs...) }

// read parses armored keys. A text may hold several. The text is never part of an error: it may be a private key.
func (p *problems) read(field string, texts []string) (all openpgp.EntityList) {
	for i, text := range texts {
		list, err := openpgp.ReadArmoredKeyRing(strings.NewReader(text))
		if err != nil || len(list) == 0 {
			p.add("%s[%d] holds no armored OpenPGP key (export one with gpg --armor --export, or --export-secret-keys): %v", field, i, err)
			continue
		}
		all = append(all, list...)
	}
	return all
}

// unlock decrypts the private keys of all entities.
func (p *problems) unlock(field string, all openpgp.EntityList, passphrase func() ([]byte, error)) {
	var secret []byte
	for _, e := range all {
		if e.PrivateKey == nil {
			p.add("%s: %s is a public key (give the private one)", field, fingerprint(e))
			continue
		}
		if !isLocked(e) {
			continue
		}
		if secret == nil {
			if secret = p.ask(field, passphrase); secret == nil {
				return
			}
		}
		if err := e.DecryptPrivateKeys(secret); err != nil {
			p.add("%s: the passphrase does not unlock %s: %v", field, fingerprint(e), err)
		}
	}
}

// ask returns the passphrase, or nil if there is none.
func (p *problems) ask(field string, passphrase func() ([]byte, error)) []byte {
	if passphrase == nil {
		p.add("%s has a key with a passphrase, and Passphrase is nil (set it)", field)
		return nil
	}
	secret, err := passphrase()
	if err != nil || len(secret) == 0 {
		p.add("Passphrase returns none: %v", err)
		return nil
	}
	return secret
}

func isLocked(e *openpgp.Entity) bool {
	locked := e.PrivateKey.Encrypted
	for _, sub := range e.Subkeys {
		locked = locked || sub.PrivateKey != nil && sub.PrivateKey.Encrypted
	}
	return locked
}

// canEncrypt reports entities that nothing can be encrypted to now.
func (p *problems) canEncrypt(field string, all openpgp.EntityList) {
	for _, e := range all {
		if _, err := e.EncryptionKeyWithError(time.Now(), config(0)); err != nil {
			p.add("%s: nothing can be encrypted to %s: %v", field, fingerprint(e), err)
		}
	}
}

// canSign reports entities that cannot sign now.
func (p *problems) canSign(field string, all openpgp.EntityList) {
	for _, e := range all {
		if _, ok := e.SigningKey(time.Now(), config(0)); !ok {
			p.add("%s: %s cannot sign (it has expired, was revoked, is too weak, or is not made for that)", field, fingerprint(e))
		}
	}
}
