package cms

import (
	"crypto/cipher"
	"crypto/subtle"
	"errors"
	"io"
)

// Decrypt reads the head of an EnvelopedData or AuthEnvelopedData and returns its content, for the first recipient
// whose certificate is one of pairs. It fails with ErrMalformed, ErrLimit, ErrUnsupported or ErrNoRecipient, and with
// the errors of r; all of these depend on nothing secret. A wrong key, padding or tag is ErrDecrypt in place of io.EOF,
// after r was read to its end. Before io.EOF nothing of the content is verified.
func Decrypt(r io.Reader, pairs []KeyPair, l Limits) (io.Reader, error) {
	if err := checkPairs(pairs); err != nil {
		return nil, err
	}
	l = l.withDefaults()
	b := newBER(r, l)
	kind, err := b.begin(oidEnvelopedData, oidAuthEnvelopedData)
	if err != nil {
		return nil, err
	}
	pair, info, err := b.recipients(pairs)
	if err != nil {
		return nil, err
	}
	d := &decrypter{b: b, auth: kind == oidAuthEnvelopedData}
	spec, params, err := b.encryptedContent()
	if err != nil {
		return nil, err
	}
	if spec.gcm != d.auth {
		return nil, malformed("a cipher that does not fit the content type")
	}
	iv, tag, err := spec.parameters(params)
	if err != nil {
		return nil, err
	}
	if pair == nil {
		return nil, ErrNoRecipient
	}
	limit := l.Content
	if limit >= 0 { // of the ciphertext, because a limit for the content would tell about its padding
		limit = spec.sealed(limit)
	}
	if d.in, err = b.octets(tagContext0, "encrypted content", limit); err != nil {
		return nil, err
	}
	if err := d.unlock(spec, pair, info, iv, tag); err != nil {
		return nil, err
	}
	return d, nil
}

func checkPairs(pairs []KeyPair) error {
	if len(pairs) == 0 {
		return errors.New("cms: no key pair to decrypt with: give at least one")
	}
	for _, p := range pairs {
		if p.Certificate == nil || p.Key == nil {
			return errors.New("cms: a KeyPair lacks its certificate or its key: give both")
		}
	}
	return nil
}

// begin reads the head that all contents have: type, and the version of what lies in it, which is left open.
func (b *ber) begin(kinds ...oid) (oid, error) {
	if err := b.want(tagSequence, "content info"); err != nil {
		return "", err
	}
	id, err := b.body(tagOID, "content type")
	if err != nil {
		return "", err
	}
	kind := oid("")
	for _, k := range kinds {
		if oid(id) == k {
			kind = k
		}
	}
	if kind == "" {
		return "", malformed("content type %.32x is not what is expected here", id)
	}
	if err := b.want(contextTag(0), "content"); err != nil {
		return "", err
	}
	if err := b.want(tagSequence, "content"); err != nil {
		return "", err
	}
	_, err = b.body(tagInteger, "version")
	return kind, err
}

// recipients reads the RecipientInfos and finds the first that is for one of pairs; nil if none is.
func (b *ber) recipients(pairs []KeyPair) (pair *KeyPair, info recipientInfo, err error) {
	if err := b.skip(contextTag(0)); err != nil { // OriginatorInfo
		return nil, info, err
	}
	if err := b.want(tagSet, "recipients"); err != nil {
		return nil, info, err
	}
	for {
		tag, err := b.peek()
		if err != nil {
			return nil, info, err
		}
		if tag == 0 {
			return pair, info, b.leave()
		}
		e, err := b.element("recipient")
		if err != nil {
			return nil, info, err
		}
		if pair != nil || e.tag != tagSequence { // other ways to give a key
			continue
		}
		if pair, info, err = parseRecipient(e.raw, pairs); err != nil {
			return nil, info, err
		}
	}
}

// skip takes the next element off if it has the tag.
func (b *ber) skip(tag byte) error {
	next, err := b.peek()
	if err != nil || next != tag {
		return err
	}
	_, err = b.element("element")
	return err
}

// encryptedContent opens an EncryptedContentInfo and reads it up to the content.
func (b *ber) encryptedContent() (cipherSpec, cursor, error) {
	if err := b.want(tagSequence, "encrypted content"); err != nil {
		return cipherSpec{}, nil, err
	}
	if _, err := b.body(tagOID, "type of the encrypted content"); err != nil {
		return cipherSpec{}, nil, err
	}
	e, err := b.element("content encryption")
	if err != nil {
		return cipherSpec{}, nil, err
	}
	c := cursor(e.raw)
	a, err := c.algorithm("content encryption")
	if err != nil {
		return cipherSpec{}, nil, err
	}
	spec, err := cipherOf(a.id)
	return spec, a.params, err
}

// opener decrypts a content in place.
type opener interface {
	block() int                   // bytes
	open(p []byte)                // whole blocks
	last(p []byte) []byte         // the last ones, without padding; nil if that is wrong
	verify(auth, tag []byte) bool // after last
}

// decrypter is the content's reader.
type decrypter struct {
	b      *ber
	in     *octets
	opener opener
	auth   bool // AuthEnvelopedData
	tag    int  // bytes of the tag that were announced
	buf    []byte
	plain  []byte // decrypted and not yet read, in buf
	kept   []byte // not yet decrypted, in buf behind plain
	err    error
}

// unlock decrypts the key and prepares for the content.
func (d *decrypter) unlock(spec cipherSpec, pair *KeyPair, info recipientInfo, iv []byte, tag int) error {
	key, err := info.key(pair, spec.key)
	if err != nil {
		return err
	}
	block, err := spec.open(key)
	if err != nil {
		return err
	}
	d.tag, d.buf = tag, make([]byte, readBuffer)
	if !spec.gcm {
		d.opener = &cbcOpener{mode: cipher.NewCBCDecrypter(block, iv)}
		return nil
	}
	g, err := newGCM(block, iv)
	d.opener = gcmOpener{g}
	return err
}

func (d *decrypter) Read(p []byte) (int, error) {
	for len(d.plain) == 0 && d.err == nil {
		d.err = d.fill()
	}
	if len(d.plain) == 0 {
		return 0, d.err
	}
	n := copy(p, d.plain)
	d.plain = d.plain[n:]
	return n, nil
}

// fill decrypts the next buffer. The last block waits for the end, because it has the padding.
func (d *decrypter) fill() error {
	kept := copy(d.buf, d.kept)
	n, err := io.ReadFull(d.in, d.buf[kept:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	have := d.buf[:kept+n]
	if err != nil {
		return d.end(have)
	}
	ready := len(have) - d.opener.block()
	d.plain, d.kept = have[:ready], have[ready:]
	d.opener.open(d.plain)
	return nil
}

// end decrypts what is left. It looks at the structure behind the content first, so that what it says about that does
// not depend on the padding.
func (d *decrypter) end(have []byte) error {
	auth, tag, err := d.rest()
	if err != nil {
		return err
	}
	plain := d.opener.last(have)
	if !d.opener.verify(auth, tag) || plain == nil {
		return ErrDecrypt
	}
	d.plain = plain
	return io.EOF
}

// rest reads what follows the content, to the end of the input.
func (d *decrypter) rest() (auth, tag []byte, err error) {
	if err := d.b.leave(); err != nil {
		return nil, nil, err
	}
	if d.auth {
		if auth, tag, err = d.b.authentication(d.tag); err != nil {
			return nil, nil, err
		}
	} else if err := d.b.skip(contextTag(1)); err != nil { // unprotected attributes
		return nil, nil, err
	}
	return auth, tag, d.b.end()
}

// end closes what begin opened, and the input.
func (b *ber) end() error {
	for range 3 {
		if err := b.leave(); err != nil {
			return err
		}
	}
	return b.finish()
}

// cbcOpener is CBC with the padding of RFC 5652, section 6.3.
type cbcOpener struct{ mode cipher.BlockMode }

func (o *cbcOpener) block() int { return o.mode.BlockSize() }

func (o *cbcOpener) open(p []byte) { o.mode.CryptBlocks(p, p) }

// last takes the padding off without telling by its time how much of it is right.
func (o *cbcOpener) last(p []byte) []byte {
	size := o.mode.BlockSize()
	if len(p) == 0 || len(p)%size != 0 {
		return nil
	}
	o.open(p)
	n := int(p[len(p)-1])
	good := subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, size)
	for i := 1; i <= size; i++ {
		inPadding := subtle.ConstantTimeLessOrEq(i, n)
		same := subtle.ConstantTimeByteEq(p[len(p)-i], byte(n))
		good &= same | (1 ^ inPadding)
	}
	if good == 0 {
		return nil
	}
	return p[: len(p)-n : len(p)]
}

func (*cbcOpener) verify(_, _ []byte) bool { return true }
