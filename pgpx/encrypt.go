package pgpx

import (
	"context"
	"fmt"
	"io"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/seed62b9dc43/transfer"
)

// EncryptOptions say for whom.
type EncryptOptions struct {
	// Recipients are armored public keys; each of them can decrypt the file. At least one.
	Recipients []string

	// Signer is an armored private key that signs the content. Default: it is not signed.
	Signer string

	// Passphrase returns that of Signer, if it has one. It is called once, by Encrypt.
	Passphrase func() ([]byte, error)

	// Armor makes text of the result ("a.csv.asc"), a third longer. Default: binary ("a.csv.pgp").
	Armor bool
}

// Encrypt returns a Transform that encrypts to all Recipients, with AES-256: as an AEAD packet (RFC 9580) if all of their
// keys say that they take that, otherwise with MDC, which everybody reads. Neither name nor time of the file are in it. Each
// attempt makes other bytes. An error names every wrong field.
func Encrypt(o EncryptOptions) (transfer.Transform, error) {
	var p problems
	if len(o.Recipients) == 0 {
		p.add("EncryptOptions.Recipients is empty (give a public key)")
	}
	recipients := p.read("EncryptOptions.Recipients", o.Recipients)
	p.canEncrypt("EncryptOptions.Recipients", recipients)
	var signers openpgp.EntityList
	if o.Signer != "" {
		signers = p.read("EncryptOptions.Signer", []string{o.Signer})
		p.unlock("EncryptOptions.Signer", signers, o.Passphrase)
		p.canSign("EncryptOptions.Signer", signers)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	e := &encrypt{armor: o.Armor}
	var err error
	if e.recipients, err = newKeyring(recipients); err == nil {
		e.signers, err = newKeyring(signers)
	}
	if err != nil {
		return nil, fmt.Errorf("pgpx: %w", err)
	}
	return e, nil
}

type encrypt struct {
	recipients, signers *keyring
	armor               bool
}

func (*encrypt) Name() string { return "openpgp encrypt" }

func (e *encrypt) TargetName(source string) string {
	if e.armor {
		return source + ".asc"
	}
	return source + ".pgp"
}

// headerSize bounds what precedes and follows the content: a session key for each recipient, signatures.
const headerSize = 1 << 20

func (e *encrypt) MaxSize(size int64) int64 {
	size += size>>6 + headerSize
	if e.armor {
		size += size/2 + headerSize
	}
	return size
}

func (e *encrypt) Reader(_ context.Context, c transfer.Content) (io.ReadCloser, error) {
	recipients, err := e.recipients.take()
	if err != nil {
		return nil, fmt.Errorf("read recipients' keys: %w", err)
	}
	signers, err := e.signers.take()
	if err != nil {
		return nil, fmt.Errorf("read signer's key: %w", err)
	}
	r, err := transfer.ReadThrough(c, func(w io.Writer) (io.WriteCloser, error) { return e.wrap(w, recipients, signers) })
	if err != nil {
		return nil, &transfer.Error{Code: transfer.ReadFileError, Err: err}
	}
	return &lent{ReadCloser: r, giveBack: func() { e.recipients.giveBack(recipients); e.signers.giveBack(signers) }}, nil
}

func (e *encrypt) wrap(w io.Writer, recipients, signers openpgp.EntityList) (io.WriteCloser, error) {
	var outer io.WriteCloser
	if e.armor {
		var err error
		if outer, err = armor.Encode(w, openpgp.MessageType, nil); err != nil {
			return nil, fmt.Errorf("begin armor: %w", err)
		}
		w = outer
	}
	plain, err := openpgp.Encrypt(w, recipients, nil, signers, nil, config(0))
	if err != nil {
		return nil, fmt.Errorf("begin to encrypt: %w", err)
	}
	return layers{plain, outer}, nil
}

// layers is what encrypts, within what armors, if that is wanted.
type layers struct {
	io.WriteCloser
	outer io.Closer
}

func (l layers) Close() error {
	if err := l.WriteCloser.Close(); err != nil {
		return fmt.Errorf("end encryption: %w", err)
	}
	if l.outer == nil {
		return nil
	}
	return l.outer.Close()
}

// lent gives keys back with the first Close.
type lent struct {
	io.ReadCloser
	giveBack func()
}

func (l *lent) Close() error {
	if l.giveBack != nil {
		l.giveBack()
		l.giveBack = nil
	}
	return l.ReadCloser.Close()
}
