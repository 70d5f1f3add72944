package pgpx

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/seed62b9dc43/transfer"
)

// DecryptOptions say with which keys, and whose files.
type DecryptOptions struct {
	// Keys are armored private keys, one of which the file must be encrypted to. At least one.
	Keys []string

	// Passphrase returns that of the Keys that have one; all have the same. It is called once, by Decrypt.
	Passphrase func() ([]byte, error)

	// Signers are armored public keys, one of which must have signed the content. Default: nobody must have, and signatures
	// are not looked at, so that anybody who has our public key may have made the file.
	Signers []string

	// MaxSize is how many bytes a file may become, compressed as it may be. Default 64 GiB; -1 for no limit. A file that is
	// larger fails with READ_FILE_ERROR.
	MaxSize int64
}

const (
	defaultMaxSize = 64 << 30
	// beforeContent is how much is read of a message before its content must begin, in bytes.
	beforeContent = 8 << 20
	// compressedRatio is by how much compression makes content smaller at most, nearly (bzip2).
	compressedRatio = 50_000
)

// Decrypt returns a Transform that decrypts, and checks who has signed. Armor is recognized. "a.csv.pgp" becomes "a.csv",
// and so do .gpg and .asc; another name stays. What is damaged or cut off fails with IntegrityError; what is not for our
// keys, not signed as it must be, or refused (see the package) with READ_FILE_ERROR: and nothing of it is delivered. An
// error of Decrypt names every wrong field.
func Decrypt(o DecryptOptions) (transfer.Transform, error) {
	var p problems
	if len(o.Keys) == 0 {
		p.add("DecryptOptions.Keys is empty (give a private key)")
	}
	if o.MaxSize < -1 {
		p.add("DecryptOptions.MaxSize is %d (use 1 or more bytes, 0 for %d, -1 for no limit)", o.MaxSize, int64(defaultMaxSize))
	}
	keys := p.read("DecryptOptions.Keys", o.Keys)
	p.unlock("DecryptOptions.Keys", keys, o.Passphrase)
	signers := p.read("DecryptOptions.Signers", o.Signers)
	if err := p.err(); err != nil {
		return nil, err
	}
	d := &decrypt{limit: o.MaxSize, signed: len(o.Signers) > 0}
	if d.limit == 0 {
		d.limit = defaultMaxSize
	}
	for _, e := range signers {
		d.signers = append(d.signers, bytes.Clone(e.PrimaryKey.Fingerprint))
	}
	var err error
	if d.keys, err = newKeyring(append(publicOnly(signers), keys...)); err != nil {
		return nil, fmt.Errorf("pgpx: %w", err)
	}
	return d, nil
}

// publicOnly drops private keys that somebody gave where public ones are meant: with them a file would decrypt that is for
// the signer.
func publicOnly(all openpgp.EntityList) (public openpgp.EntityList) {
	for _, e := range all {
		copied := *e
		copied.PrivateKey = nil
		copied.Subkeys = append([]openpgp.Subkey(nil), e.Subkeys...)
		for i := range copied.Subkeys {
			copied.Subkeys[i].PrivateKey = nil
		}
		public = append(public, &copied)
	}
	return public
}

type decrypt struct {
	keys    *keyring // the signers' first
	signers [][]byte // fingerprints
	signed  bool
	limit   int64
}

func (*decrypt) Name() string { return "openpgp decrypt" }

func (*decrypt) TargetName(source string) string {
	for _, ext := range []string{".pgp", ".gpg", ".asc"} {
		if n := len(source) - len(ext); n > 0 && strings.EqualFold(source[n:], ext) {
			return source[:n]
		}
	}
	return source
}

func (d *decrypt) MaxSize(size int64) int64 {
	if size < math.MaxInt64/compressedRatio && (d.limit < 0 || d.limit > size*compressedRatio) {
		return size * compressedRatio
	}
	return d.limit
}

func (d *decrypt) Reader(_ context.Context, c transfer.Content) (io.ReadCloser, error) {
	keys, err := d.keys.take()
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	m := &message{decrypt: d, content: &gate{r: c, left: beforeContent}}
	if err := m.begin(keys); err != nil {
		return nil, explain(err)
	}
	return &lent{ReadCloser: m, giveBack: func() { d.keys.giveBack(keys) }}, nil
}

// gate lets through so much, until it is opened.
type gate struct {
	r    io.Reader
	left int64
}

var errTooMuch = fmt.Errorf("pgpx: no content within the first %d bytes", beforeContent)

func (g *gate) Read(p []byte) (int, error) {
	if g.left <= 0 {
		return 0, errTooMuch
	}
	n, err := g.r.Read(p[:min(int64(len(p)), g.left)])
	g.left -= int64(n)
	return n, err
}

// message is one that is being decrypted.
type message struct {
	*decrypt
	content *gate
	in      *bufio.Reader // over content
	armored bool
	details *openpgp.MessageDetails
	made    int64
}

// begin reads what precedes the content.
func (m *message) begin(keys openpgp.EntityList) error {
	m.in = bufio.NewReader(m.content)
	first, err := m.in.Peek(1)
	if err != nil {
		return err
	}
	var body io.Reader = m.in
	if m.armored = first[0] < 0x80; m.armored { // binary packets begin with a one (RFC 9580, section 4.2)
		block, err := armor.Decode(m.in)
		if err != nil {
			return err
		}
		if block.Type != openpgp.MessageType {
			return refused("it is no message, but %.40q", block.Type)
		}
		body = block.Body
	}
	if m.details, err = openpgp.ReadMessage(body, keys, nil, m.config()); err != nil {
		return err
	}
	m.content.left = math.MaxInt64
	return m.admit()
}

func (m *message) config() *packet.Config {
	if m.limit < 0 {
		return config(0)
	}
	return config(m.limit + beforeContent)
}

// admit refuses what was not made with care.
func (m *message) admit() error {
	if !m.details.IsEncrypted {
		return refused("it is not encrypted")
	}
	switch m.details.DecryptedWithAlgorithm {
	case packet.CipherAES128, packet.CipherAES192, packet.CipherAES256:
	default:
		return refused("it is encrypted with a cipher other than AES")
	}
	if m.signed && !m.details.IsSigned {
		return refused("it is not signed (DecryptOptions.Signers)")
	}
	return nil
}

func (m *message) Read(p []byte) (int, error) {
	n, err := m.details.UnverifiedBody.Read(p)
	m.made += int64(n)
	if m.limit >= 0 && m.made > m.limit {
		return 0, refused("it becomes more than %d bytes (DecryptOptions.MaxSize)", m.limit)
	}
	if err == io.EOF {
		if err := m.verify(); err != nil {
			return 0, err
		}
		return n, io.EOF
	}
	return n, explain(err)
}

func (m *message) Close() error { return nil }

// verify is called when all of the content was read, and found whole.
func (m *message) verify() error {
	if err := m.drain(); err != nil {
		return err
	}
	if !m.signed {
		return nil
	}
	why := error(pgperrors.ErrUnknownIssuer)
	for _, s := range m.details.SignatureCandidates {
		switch {
		case s.SignedByEntity == nil || !m.isSigner(s.SignedByEntity):
		case m.details.IsVerified && s.SignatureError == nil && s.CorrespondingSig != nil && s.SignedBy != nil:
			return nil
		case s.SignatureError != nil:
			why = s.SignatureError
		}
	}
	return refused("none of DecryptOptions.Signers has signed it: %w", why)
}

func (m *message) isSigner(e *openpgp.Entity) bool {
	for _, known := range m.signers {
		if bytes.Equal(known, e.PrimaryKey.Fingerprint) {
			return true
		}
	}
	return false
}

// trailer is what may follow an armored message, but for white space: as much of its last lines as was not read.
var trailer = regexp.MustCompile(`^(=[A-Za-z0-9+/]{4})?(-----ENDPGPMESSAGE-----)?$`)

// drain makes sure that nothing follows the message but the end of its armor and white space.
func (m *message) drain() error {
	var rest []byte
	for {
		b, err := m.in.ReadByte()
		if err != nil && err != io.EOF {
			return err
		}
		more := err == nil
		if more && !(m.armored && strings.ContainsRune(" \t\r\n", rune(b))) {
			rest = append(rest, b)
		}
		if len(rest) > 64 || !more && !trailer.Match(rest) || !m.armored && len(rest) > 0 {
			return &transfer.Error{Code: transfer.IntegrityError, Err: errors.New("there is more behind the message")}
		}
		if !more {
			return nil
		}
	}
}

// refused is an error that trying again does not help against.
func refused(format string, args ...any) error {
	return &transfer.Error{Code: transfer.ReadFileError, Err: fmt.Errorf(format, args...)}
}

// explain gives an error its code. One that came from the content has it.
func explain(err error) error {
	var known *transfer.Error
	var structural pgperrors.StructuralError
	var signature pgperrors.SignatureError
	var session pgperrors.DecryptWithSessionKeyError
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, pgperrors.ErrKeyIncorrect):
		return refused("it is for none of DecryptOptions.Keys")
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &structural), errors.As(err, &signature), errors.As(err, &session):
		return &transfer.Error{Code: transfer.IntegrityError, Err: fmt.Errorf("it is damaged, or no message: %w", hidden{err})}
	}
	return &transfer.Error{Code: transfer.ReadFileError, Err: fmt.Errorf("cannot decrypt: %w", hidden{err})}
}

// hidden is an error that must not be taken for the end of a file.
type hidden struct{ error }
