package as2x

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// unwrapper takes the layers of a message off: encryption, then signature and compression in either order, each once at
// most. What it reads goes to spools; nobody else sees it.
type unwrapper struct {
	keys     []cms.KeyPair
	signers  []*x509.Certificate
	dir      string      // of spools
	limit    int64       // bytes of the file; -1 for none
	micHash  crypto.Hash // of an unsigned message
	spools   []*spool
	layers   []io.Reader // that have to be read to their ends
	verified bool        // the digest is what was signed

	encrypted, signed, compressed bool

	digest mic
	file   *spool
	offset int64 // of the file in there
	header header
	mdn    *note // it was an MDN
}

// layer is an entity on its way in.
type layer struct {
	header header
	raw    []byte // the header as it was read, nil for that of HTTP
	body   io.Reader
	spool  *spool // that holds the whole entity, or nil
}

func (u *unwrapper) close() {
	for _, s := range u.spools {
		_ = s.Close()
	}
}

func (u *unwrapper) newSpool() *spool {
	s := &spool{dir: u.dir}
	u.spools = append(u.spools, s)
	return s
}

// overhead is what a message may have beside its file.
const overhead = 4 << 20

func (u *unwrapper) limits() cms.Limits {
	l := cms.Limits{Content: u.limit}
	if u.limit >= 0 {
		l.Content += overhead
	}
	return l
}

// capped limits what a spool takes.
func (u *unwrapper) capped(w io.Writer) io.Writer {
	if u.limit < 0 {
		return w
	}
	return &limitedWriter{w, u.limit + overhead, errTooLarge}
}

// unwrap takes off all layers of a message.
func (u *unwrapper) unwrap(h header, body io.Reader) error {
	l := layer{header: h, body: body}
	for {
		kind := parseMediaType(l.header.get("Content-Type"))
		var err error
		switch {
		case kind.isCMS(kindEnveloped):
			l, err = u.decrypt(l)
		case kind.isCMS(kindCompressed):
			l, err = u.decompress(l)
		case kind.isSigned():
			var isMDN bool
			if isMDN, err = u.peekMDN(&l); err == nil && isMDN {
				return u.drain()
			}
			if err == nil {
				l, err = u.verify(l, kind)
			}
		case kind.isCMS(kindSigned):
			l, err = u.open(l)
		case kind.isReport():
			if _, err = u.peekMDN(&l); err == nil && u.mdn == nil {
				err = u.refuseContent(errNoMDN)
			}
			if err == nil {
				return u.drain()
			}
		default:
			return u.finish(l)
		}
		if err != nil {
			return err
		}
	}
}

// drain reads every layer to its end, which is where encryption and compression say if something was wrong.
func (u *unwrapper) drain() error {
	for i := len(u.layers) - 1; i >= 0; i-- {
		left, err := io.Copy(io.Discard, u.layers[i])
		if err == nil && left > 0 && u.encrypted && !u.spaces(left) {
			err = fmt.Errorf("%w: %d bytes follow the end", errBoundary, left)
		}
		if err != nil {
			return u.refuseContent(err)
		}
	}
	u.layers = u.layers[:0]
	return nil
}

// spaces reports whether so little may follow the end of an encrypted message: a line end. More must not, or somebody who
// appends ciphertext would learn from the answer whether its padding is right.
func (u *unwrapper) spaces(n int64) bool { return n <= 4 }

var errNested = errors.New("as2x: a second layer of the same kind, or in another order than AS2 has them")

func (u *unwrapper) decrypt(l layer) (layer, error) {
	if u.encrypted || u.signed || u.compressed {
		return l, u.refuse("unexpected-processing-error", transfer.InvalidRequest, errNested)
	}
	u.encrypted = true
	if len(u.keys) == 0 {
		return l, u.refuse("", transfer.DecryptFailed, cms.ErrNoRecipient)
	}
	r, err := cms.Decrypt(decoded(l.header, l.body), u.keys, u.limits())
	if err != nil {
		return l, u.refuseContent(err)
	}
	return u.inner(r)
}

// inner is the entity that a decrypted or decompressed content is.
func (u *unwrapper) inner(r io.Reader) (layer, error) {
	buffered := bufio.NewReaderSize(r, readBuffer)
	u.layers = append(u.layers, buffered)
	h, raw, err := readHeader(buffered)
	if err != nil {
		return layer{}, u.refuseFile(err)
	}
	return layer{header: h, raw: raw, body: buffered}, nil
}

func (u *unwrapper) decompress(l layer) (layer, error) {
	if u.compressed {
		return l, u.refuse("unexpected-processing-error", transfer.InvalidRequest, errNested)
	}
	u.compressed = true
	r, err := cms.Decompress(decoded(l.header, l.body), u.limits())
	if err != nil {
		return l, u.refuse("decompression-failed", transfer.DecompressionFailed, err)
	}
	return u.inner(decompressing{r})
}

// decompressing marks errors as those of the compression.
type decompressing struct{ r io.Reader }

type decompressError struct{ err error }

func (e *decompressError) Error() string { return "decompress: " + e.err.Error() }
func (e *decompressError) Unwrap() error { return e.err }

func (d decompressing) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &decompressError{err}
	}
	return n, err
}

// peekMDN looks whether an entity that may be an MDN is one.
func (u *unwrapper) peekMDN(l *layer) (bool, error) {
	start, err := io.ReadAll(io.LimitReader(l.body, maxMDN+1))
	if err != nil {
		return false, u.refuseContent(err)
	}
	l.body = io.MultiReader(bytes.NewReader(start), l.body)
	if len(start) > maxMDN {
		return false, nil
	}
	if _, err := parseMDN(l.header, start); err != nil {
		return false, nil
	}
	u.mdn = &note{l.header, start}
	return true, nil
}

// verify takes the signature off.
func (u *unwrapper) verify(l layer, kind mediaType) (layer, error) {
	if u.signed {
		return l, u.refuse("unexpected-processing-error", transfer.InvalidRequest, errNested)
	}
	u.signed = true
	parts, err := newMultipart(decoded(l.header, l.body), kind)
	if err != nil {
		return l, u.refuseContent(err)
	}
	u.layers = append(u.layers, parts.r)
	content := u.newSpool()
	named := micHash(kind.params["micalg"])
	sums := map[crypto.Hash]hash.Hash{}
	w := u.capped(content)
	if named != 0 {
		sums[named] = named.New()
		w = io.MultiWriter(w, sums[named])
	}
	buffered := newBuffered(w) // parts come line by line
	if err := parts.next(buffered); err != nil {
		return l, u.refuseContent(err)
	}
	if err := buffered.Flush(); err != nil {
		return l, u.refuseContent(err)
	}
	signature, err := readSignature(parts)
	if err != nil {
		return l, u.refuseContent(err)
	}
	if err := u.drain(); err != nil {
		return l, err
	}
	if err := u.verifySignature(signature, content, sums); err != nil {
		return l, err
	}
	return u.spooled(content)
}

// open takes off a signature that the content is in.
func (u *unwrapper) open(l layer) (layer, error) {
	if u.signed {
		return l, u.refuse("unexpected-processing-error", transfer.InvalidRequest, errNested)
	}
	u.signed = true
	content := u.newSpool()
	signature, err := cms.ReadSigned(decoded(l.header, l.body), u.capped(content), u.limits())
	if err == nil && signature.Detached {
		err = cms.ErrMalformed
	}
	if err != nil {
		return l, u.refuseContent(err)
	}
	if err := u.drain(); err != nil {
		return l, err
	}
	if err := u.verifySignature(signature, content, map[crypto.Hash]hash.Hash{}); err != nil {
		return l, err
	}
	return u.spooled(content)
}

// verifySignature checks who signed what was spooled. sums are digests that are known already.
func (u *unwrapper) verifySignature(s *cms.Signed, content *spool, sums map[crypto.Hash]hash.Hash) error {
	digest := func(h crypto.Hash) ([]byte, error) {
		if sums[h] == nil { // the header named another one, or none
			sums[h] = h.New()
			if _, err := io.Copy(sums[h], content.reader(0)); err != nil {
				return nil, fmt.Errorf("read what was signed: %w", err)
			}
		}
		return sums[h].Sum(nil), nil
	}
	v, err := s.Verify(u.signers, digest)
	switch {
	case errors.Is(err, cms.ErrDigest):
		return u.refuse("integrity-check-failed", transfer.VerificationFailed, err)
	case err != nil:
		code := transfer.VerificationFailed
		if errors.Is(err, cms.ErrNoSigner) {
			code = transfer.VerificationKeyNotFound
		}
		return &refusal{dispositionError, "authentication-failed", code, err}
	}
	u.verified = true
	sum, err := digest(v.Hash)
	u.digest = mic{v.Hash, sum}
	return err
}

// spooled is the entity that a spool holds.
func (u *unwrapper) spooled(s *spool) (layer, error) {
	r := bufio.NewReaderSize(s.reader(0), readBuffer)
	h, raw, err := readHeader(r)
	if err != nil {
		return layer{}, u.refuseContent(err)
	}
	return layer{header: h, raw: raw, body: r, spool: s}, nil
}

// finish takes the file out of the innermost entity.
func (u *unwrapper) finish(l layer) error {
	u.header = l.header
	if l.spool != nil {
		u.file, u.offset = l.spool, int64(len(l.raw))
	} else if err := u.spoolRest(l); err != nil {
		return u.refuseFile(err)
	}
	if l.spool == nil || len(u.layers) > 0 {
		if err := u.drain(); err != nil {
			return err
		}
	}
	if isEncoded(l.header) {
		if err := u.decode(l); err != nil {
			return u.refuseFile(err)
		}
	}
	if size := u.file.size - u.offset; u.limit >= 0 && size > u.limit {
		return u.refuseContent(errTooLarge)
	}
	return nil
}

// spoolRest keeps an entity that is not in a spool, and computes the MIC of an unsigned message: over the file alone if
// it is neither encrypted nor compressed, and over its header as well otherwise (RFC 4130, section 7.3.1; RFC 5402,
// section 4).
func (u *unwrapper) spoolRest(l layer) error {
	u.file = u.newSpool()
	h := u.micHash.New()
	w := io.MultiWriter(u.capped(u.file), h)
	if u.encrypted || u.compressed {
		h.Write(l.raw)
	}
	if _, err := io.CopyBuffer(onlyWriter{w}, l.body, make([]byte, 64<<10)); err != nil {
		return err
	}
	if !u.signed {
		u.digest = mic{u.micHash, h.Sum(nil)}
	}
	return nil
}

// decode undoes the file's Content-Transfer-Encoding.
func (u *unwrapper) decode(l layer) error {
	plain := u.newSpool()
	if _, err := io.Copy(u.capped(plain), decoded(l.header, u.file.reader(u.offset))); err != nil {
		return fmt.Errorf("decode the file: %w", err)
	}
	u.file, u.offset = plain, 0
	return nil
}
