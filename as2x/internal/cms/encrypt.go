package cms

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
)

// EncryptOptions says how a content is encrypted. Cipher, Recipients and Size are required.
type EncryptOptions struct {
	Cipher     Cipher
	Recipients []Recipient
	// Size is how many bytes will be written. −1 says that it is not known, which needs an indefinite length.
	Size int64
	// Indefinite asks for indefinite lengths and the ciphertext in pieces (BER) even if Size is known. Contents near
	// 2 GiB and above always have them, because Bouncy Castle (1.72), and so most of Java, refuses longer definite ones.
	Indefinite bool
}

// maxSize keeps sums of sizes within 63 bits.
const maxSize = 1 << 60

func (o EncryptOptions) validate() (cipherSpec, error) {
	spec := o.Cipher.spec()
	switch {
	case spec.id == "":
		return spec, fmt.Errorf("cms: EncryptOptions.Cipher is %q: use one such as %q", o.Cipher, AES256CBC)
	case len(o.Recipients) == 0:
		return spec, errors.New("cms: EncryptOptions.Recipients is empty: name at least one")
	case o.Size < -1 || o.Size > maxSize:
		return spec, fmt.Errorf("cms: EncryptOptions.Size is %d: give the content's size in bytes, or -1", o.Size)
	case spec.gcm && o.Size > gcmLimit:
		return spec, fmt.Errorf("cms: EncryptOptions.Size is %d: GCM takes no more than %d bytes", o.Size, int64(gcmLimit))
	}
	return spec, nil
}

// maxDefinite leaves room in 31 bits for what stands around the content.
const maxDefinite = 1<<31 - 1<<20

func (o EncryptOptions) indefinite() bool { return o.Indefinite || o.Size < 0 || o.Size > maxDefinite }

// EncryptedSize returns how many bytes Encrypt will write, head and content, with these options. Size must be known.
func EncryptedSize(o EncryptOptions) (int64, error) {
	spec, err := o.validate()
	if err != nil {
		return 0, err
	}
	if o.Size < 0 {
		return 0, errors.New("cms: EncryptOptions.Size is -1: the result's size is not known either")
	}
	var infos [][]byte
	for _, r := range o.Recipients {
		public, err := r.public()
		if err != nil {
			return 0, err
		}
		info, err := r.info(make([]byte, public.Size()))
		if err != nil {
			return 0, err
		}
		infos = append(infos, info)
	}
	f, _ := o.frame(spec, infos, make([]byte, spec.iv))
	return f.total(), nil
}

// Encrypt writes the head of an EnvelopedData (AuthEnvelopedData for GCM) to w and returns a writer for the content,
// whose Close writes the rest; w is not closed. With a known Size, Write and Close fail if that is not what was written.
func Encrypt(w io.Writer, o EncryptOptions) (io.WriteCloser, error) {
	spec, err := o.validate()
	if err != nil {
		return nil, err
	}
	key, iv := make([]byte, spec.key), make([]byte, spec.iv)
	_, _ = rand.Read(key) // never fails
	_, _ = rand.Read(iv)
	var infos [][]byte
	for _, r := range o.Recipients {
		encrypted, err := r.encrypt(key)
		if err != nil {
			return nil, fmt.Errorf("encrypt the key for a recipient: %w", err)
		}
		info, err := r.info(encrypted)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	block, err := spec.open(key)
	if err != nil {
		return nil, err
	}
	f, mac := o.frame(spec, infos, iv)
	e, err := o.encrypter(w, spec, block, iv)
	if err != nil {
		return nil, err
	}
	e.tail, e.mac = f.tail, mac
	if _, err := w.Write(f.head); err != nil {
		return nil, err
	}
	return e, nil
}

// encrypter makes what takes the content.
func (o EncryptOptions) encrypter(w io.Writer, spec cipherSpec, block cipher.Block, iv []byte) (*encrypter, error) {
	e := &encrypter{w: w, left: o.Size, room: -1, buf: make([]byte, 0, chunkSize+spec.iv)}
	if o.indefinite() {
		e.pieces = newChunkWriter(w)
	}
	if !spec.gcm {
		e.sealer = &cbcSealer{mode: cipher.NewCBCEncrypter(block, iv)}
		return e, nil
	}
	g, err := newGCM(block, iv)
	if err != nil {
		return nil, err
	}
	e.sealer, e.room = gcmSealer{g}, gcmLimit
	return e, nil
}

// frame encodes what stands around the encrypted content. mac is where in its tail GCM's tag belongs.
func (o EncryptOptions) frame(spec cipherSpec, infos [][]byte, iv []byte) (f frame, mac int) {
	indefinite := o.indefinite()
	f.size = o.Size
	if o.Size >= 0 {
		f.size = spec.sealed(o.Size)
	}
	if indefinite {
		if o.Size >= 0 {
			f.size = chunked(f.size)
		}
		f.wrap(contextTag(0), true, nil, nil)
	} else {
		f.wrap(tagContext0, false, nil, nil)
	}
	f.wrap(tagSequence, indefinite, append(derOID(oidData), spec.algorithm(iv)...), nil)
	version, kind := byte(0), oidEnvelopedData
	for _, r := range o.Recipients {
		if r.ByKeyID {
			version = 2
		}
	}
	var tag []byte
	if spec.gcm {
		version, kind = 0, oidAuthEnvelopedData
		tag = derOctets(make([]byte, gcmTag))
		mac = len(f.tail) + 2
	}
	f.wrap(tagSequence, indefinite, append(derVersion(version), derSet(tagSet, infos...)...), tag)
	f.wrap(contextTag(0), indefinite, nil, nil)
	f.wrap(tagSequence, indefinite, derOID(kind), nil)
	return f, mac
}

// sealer encrypts a content in place.
type sealer interface {
	seal(p []byte)                 // whole blocks
	last(p []byte) (sealed []byte) // what is left, which has room for a block more
	tag() []byte                   // nil if the cipher has none
}

// encrypter collects the content into buffers and writes them encrypted.
type encrypter struct {
	w      io.Writer
	pieces *chunkWriter // nil unless the length is indefinite
	sealer sealer
	buf    []byte
	left   int64 // of the content; negative if unknown
	room   int64 // how much the cipher takes; negative: anything
	tail   []byte
	mac    int
	err    error // sticky
	closed bool
}

func (e *encrypter) Write(p []byte) (int, error) {
	if e.err == nil {
		e.err = e.count(int64(len(p)))
	}
	if e.err != nil {
		return 0, e.err
	}
	for done := 0; done < len(p); {
		n := min(len(p)-done, chunkSize-len(e.buf))
		e.buf = append(e.buf, p[done:done+n]...)
		done += n
		if len(e.buf) < chunkSize {
			break
		}
		e.sealer.seal(e.buf)
		if e.err = e.put(e.buf); e.err != nil {
			return done, e.err
		}
		e.buf = e.buf[:0]
	}
	return len(p), nil
}

// count checks that n bytes more are no more than agreed.
func (e *encrypter) count(n int64) error {
	if e.closed {
		return errors.New("cms: write after Close")
	}
	if e.left >= 0 {
		if n > e.left {
			return fmt.Errorf("cms: the content is longer than EncryptOptions.Size by at least %d bytes", n-e.left)
		}
		e.left -= n
	}
	if e.room >= 0 {
		if n > e.room {
			return fmt.Errorf("%w: GCM takes no more than %d bytes", ErrLimit, int64(gcmLimit))
		}
		e.room -= n
	}
	return nil
}

func (e *encrypter) put(sealed []byte) error {
	if e.pieces != nil {
		_, err := e.pieces.Write(sealed)
		return err
	}
	_, err := e.w.Write(sealed)
	return err
}

// Close writes what is left and the end.
func (e *encrypter) Close() error {
	if e.closed || e.err != nil {
		return e.err
	}
	e.closed = true
	e.err = e.end()
	return e.err
}

func (e *encrypter) end() error {
	if e.left > 0 {
		return fmt.Errorf("cms: the content is shorter than EncryptOptions.Size by %d bytes", e.left)
	}
	if err := e.put(e.sealer.last(e.buf)); err != nil {
		return err
	}
	if e.pieces != nil {
		if err := e.pieces.Close(); err != nil {
			return err
		}
	}
	copy(e.tail[e.mac:], e.sealer.tag())
	if len(e.tail) == 0 {
		return nil
	}
	_, err := e.w.Write(e.tail)
	return err
}

// cbcSealer is CBC with the padding of RFC 5652, section 6.3.
type cbcSealer struct{ mode cipher.BlockMode }

func (s *cbcSealer) seal(p []byte) { s.mode.CryptBlocks(p, p) }

func (s *cbcSealer) last(p []byte) []byte {
	n := s.mode.BlockSize() - len(p)%s.mode.BlockSize()
	for range n {
		p = append(p, byte(n))
	}
	s.seal(p)
	return p
}

func (*cbcSealer) tag() []byte { return nil }
