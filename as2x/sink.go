package as2x

import (
	"compress/zlib"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"path"
	"sync"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// sink makes a message of one file.
//
// The digests of what arrives are computed on the way (the first pass), because the signature, which needs one, and the
// length of the whole message must be known before the first byte goes out. What is to be sent waits in a spool; Commit
// signs, and encrypts while it sends (the second pass).
type sink struct {
	c         *Connector
	path      string // the target, whose last part is the file's name
	o         transfer.CreateOptions
	recipient *x509.Certificate // nil: no encryption
	signer    KeyPair           // without a certificate: no signature

	inner header // of the entity that holds the file
	next  int64  // where the next window starts
	ended bool   // the window before was shorter than the others
	spool *spool
	zlib  io.WriteCloser // nil: no compression
	cms   bool           // the spool holds a whole CompressedData, not only what zlib makes

	hash   crypto.Hash // of all digests
	entity hash.Hash   // over inner and the file
	bare   hash.Hash   // over the file; nil unless the message is neither signed nor encrypted

	mu    sync.Mutex // guards state
	state *sent      // once the partner has the message and its word is to come
}

// begin prepares the first pass.
func (s *sink) begin() error {
	cfg := s.c.cfg
	s.inner = header{
		{"Content-Type", s.contentType()},
		{"Content-Transfer-Encoding", "binary"},
		{"Content-Disposition", disposition(path.Base(s.path))},
	}
	if s.hash = cfg.SigningAlgorithm.hash(); s.hash == 0 {
		if s.hash = cfg.MDNSigningAlgorithm.hash(); s.hash == 0 {
			s.hash = crypto.SHA256
		}
	}
	s.entity = s.hash.New()
	s.entity.Write(s.inner.bytes())
	if s.signer.Certificate.Certificate == nil && s.recipient == nil {
		s.bare = s.hash.New()
	}
	s.spool = &spool{dir: cfg.SpoolDir}
	if cfg.Compression == CompressionZLIB {
		return s.beginCompressed()
	}
	return nil
}

// beginCompressed compresses the entity on the way. Its length is known only in the end, when the frame of a
// CompressedData goes in front; the one of a large file has no lengths in it and is there from the beginning.
func (s *sink) beginCompressed() (err error) {
	s.cms = s.o.Size >= s.c.indefinite || s.o.Size == transfer.UnknownSize
	s.zlib = zlib.NewWriter(s.spool)
	if s.cms {
		if s.zlib, err = cms.Compress(s.spool); err != nil {
			return err
		}
	}
	_, err = s.zlib.Write(s.inner.bytes())
	return err
}

// Concurrency is 1: digests are computed in order.
func (s *sink) Concurrency() int { return 1 }

// WriteWindow adds p to the message. The window of a file that has only one stays where it is until Close.
func (s *sink) WriteWindow(ctx context.Context, p []byte, off int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.expects(p, off); err != nil {
		return err
	}
	s.entity.Write(p)
	if s.bare != nil {
		s.bare.Write(p)
	}
	var err error
	switch {
	case s.zlib != nil:
		_, err = s.zlib.Write(p)
	case s.isWhole(p, off):
		s.spool = spoolOf(p)
	default:
		_, err = s.spool.Write(p)
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w", s.path, err)
	}
	s.next += int64(len(p))
	s.ended = int64(len(p)) < s.o.WindowSize
	return nil
}

// expects fails unless p at off is what comes next.
func (s *sink) expects(p []byte, off int64) error {
	end, limit := off+int64(len(p)), s.c.cfg.MaxFileSize
	switch unknown := s.o.Size == transfer.UnknownSize; {
	case off != s.next || !unknown && end > s.o.Size || unknown && s.ended:
		return failedTo("write", s.path, transfer.SizeMismatch, "%d bytes at %d of %d, after %d", len(p), off, s.o.Size, s.next)
	case unknown && limit > 0 && end > limit:
		return failedTo("write", s.path, transfer.FileSizeTooLarge, "more than %d bytes, which is Config.MaxFileSize", limit)
	}
	return nil
}

// isWhole reports whether the window p at off is the whole file.
func (s *sink) isWhole(p []byte, off int64) bool {
	if s.o.Size == transfer.UnknownSize {
		return off == 0 && int64(len(p)) < s.o.WindowSize
	}
	return int64(len(p)) == s.o.Size
}

// Checkpoint says how to ask for an MDN that is to come; nil otherwise, since a message begins anew.
func (s *sink) Checkpoint() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil {
		return nil
	}
	text, err := json.Marshal(s.state)
	if err != nil {
		return nil
	}
	return text
}

// Commit sends the message, and verifies what the partner answers.
func (s *sink) Commit(ctx context.Context, _ [sha256.Size]byte) error {
	if s.o.Size != transfer.UnknownSize && s.next != s.o.Size {
		return failedTo("send", s.path, transfer.SizeMismatch, "%d of %d bytes arrived", s.next, s.o.Size)
	}
	m, err := s.message()
	if err != nil {
		return err
	}
	return s.c.send(ctx, s, m)
}

// Abort removes what there is of a message that was not sent; one that was cannot be called back.
func (s *sink) Abort(context.Context) error { return s.Close() }

// Close frees memory and disk.
func (s *sink) Close() error { return s.spool.Close() }

// message is a file ready to be sent.
type message struct {
	id       string // without brackets
	header   header // of the outermost entity
	size     int64
	open     func() io.ReadCloser // the body; whoever opens closes
	mics     []mic
	needMIC  bool
	fileName string
}

// message builds the layers, from the inside to the outside.
func (s *sink) message() (*message, error) {
	m := &message{id: s.messageID(), fileName: path.Base(s.path)}
	digest := s.entity.Sum(nil)
	m.mics = []mic{{s.hash, digest}}
	e := entity{s.inner, []piece{{spool: s.spool, begun: s.begunWith(s.inner), sum: digest}}}
	if s.bare != nil {
		m.mics = append(m.mics, mic{s.hash, s.bare.Sum(nil)})
	}
	if s.zlib != nil {
		var err error
		if e, digest, err = s.compressed(); err != nil {
			return nil, err
		}
	}
	if s.signer.Certificate.Certificate != nil {
		var err error
		if e, err = e.signed(s.hash, digest, "transfer-"+s.o.Key, s.signOptions()); err != nil {
			return nil, failedTo("sign", s.path, transfer.SigningFailed, "%w", err)
		}
		m.mics, m.needMIC = []mic{{s.hash, digest}}, true
	}
	if s.recipient == nil {
		m.header, m.size = e.header, size(e.pieces)
		m.open = func() io.ReadCloser { return io.NopCloser(reader(e.pieces)) }
		return m, nil
	}
	v := e.encrypted(cms.EncryptOptions{
		Cipher: s.c.cfg.EncryptionAlgorithm.cipher(), Recipients: []cms.Recipient{{Certificate: s.recipient, OAEP: s.c.cfg.OAEP}},
	})
	length, err := v.size()
	if err != nil {
		return nil, failedTo("encrypt", s.path, transfer.EncryptionFailed, "%w", err)
	}
	m.header, m.size, m.open = encryptedHeader, length, v.open
	return m, nil
}

// begunWith returns a function that begins the digest of an entity with this header.
func (s *sink) begunWith(before ...interface{ bytes() []byte }) func() hash.Hash {
	return func() hash.Hash {
		h := s.hash.New()
		for _, b := range before {
			h.Write(b.bytes())
		}
		return h
	}
}

// raw is bytes that are hashed before a spool's.
type raw []byte

func (r raw) bytes() []byte { return r }

// compressed returns the entity that holds the compressed one, and its digest.
func (s *sink) compressed() (entity, []byte, error) {
	if err := s.zlib.Close(); err != nil {
		return entity{}, nil, fmt.Errorf("compress %s: %w", s.path, err)
	}
	var head raw
	if !s.cms {
		head = cms.CompressedHeader(s.spool.size)
	}
	begun := s.begunWith(compressedHeader, head)
	h := begun()
	if _, err := io.Copy(h, s.spool.reader(0)); err != nil {
		return entity{}, nil, fmt.Errorf("read compressed %s: %w", s.path, err)
	}
	digest := h.Sum(nil)
	return entity{compressedHeader, []piece{{data: head}, {spool: s.spool, begun: begun, sum: digest}}}, digest, nil
}

func (s *sink) signOptions() cms.SignOptions {
	return cms.SignOptions{
		Signers:      []cms.Signer{{Certificate: s.signer.Certificate.Certificate, Key: s.signer.Key, PSS: s.signer.PSS}},
		Certificates: s.signer.Chain, Time: time.Now(), AlgorithmProtection: s.c.cfg.AlgorithmProtection,
	}
}

// messageID is the same for every attempt at one version of the file, without brackets.
func (s *sink) messageID() string { return s.o.Key + "@" + hostPart(s.c.cfg.Local.AS2ID) }

// hostPart is an AS2 name as the right side of a Message-ID, which is also fit for file names.
func hostPart(id string) string {
	b := []byte(id)
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-') {
			b[i] = '-'
		}
	}
	return string(b)
}

// failedTo is a failure with its cause.
func failedTo(op, path string, code transfer.Code, format string, args ...any) error {
	return &transfer.Error{Op: op, Path: path, Code: code, Err: fmt.Errorf(format, args...)}
}
