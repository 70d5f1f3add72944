package as2x

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// expected is what the MDN for a message must be.
type expected struct {
	messageID string              // without brackets
	mics      []mic               // one of which must be the MDN's
	needMIC   bool                // the MDN must have one
	signed    bool                // a signature was asked for and must be there
	signers   []*x509.Certificate // of the partner
	repeated  bool                // the message was sent before: that it is a duplicate is good news
}

// failed is a failure that an MDN, or its absence, stands for.
func failed(code transfer.Code, format string, args ...any) error {
	return &transfer.Error{Op: "read MDN", Code: code, Err: fmt.Errorf(format, args...)}
}

// verify checks everything about an MDN in its order: signature, the message that it answers, disposition, MIC.
func (e expected) verify(m *mdn) error {
	for _, check := range []func(*mdn) error{e.verifySignature, e.verifyID, e.verifyDisposition, e.verifyMIC} {
		if err := check(m); err != nil {
			return err
		}
	}
	return nil
}

func (e expected) verifySignature(m *mdn) error {
	if m.signature == nil {
		if e.signed {
			return failed(transfer.MDNUnsigned, "the MDN is not signed (Config.AllowUnsignedMDN accepts that)")
		}
		return nil
	}
	if !e.signed && len(e.signers) == 0 {
		return nil // nobody asked for it, or can tell whose it is
	}
	err := e.verifyOver(m, m.signed)
	if errors.Is(err, cms.ErrDigest) { // some sign a report without the line end behind its last delimiter, but send it
		err = e.verifyOver(m, bytes.TrimSuffix(m.signed, []byte("\r\n")))
	}
	switch {
	case errors.Is(err, cms.ErrNoSigner):
		return failed(transfer.VerificationKeyNotFound, "none of the partner's current signing certificates has signed the MDN")
	case err != nil:
		return failed(transfer.VerificationFailed, "the MDN's signature: %w", err)
	}
	return nil
}

// verifyOver checks the MDN's signature over this content.
func (e expected) verifyOver(m *mdn, content []byte) error {
	_, err := m.signature.Verify(e.signers, func(h crypto.Hash) ([]byte, error) { return sum(h, content), nil })
	return err
}

func sum(h crypto.Hash, data []byte) []byte {
	d := h.New()
	d.Write(data)
	return d.Sum(nil)
}

func (e expected) verifyID(m *mdn) error {
	if got := m.originalID(); got != e.messageID {
		return failed(transfer.MDNMalformed, "the MDN is for the message %q, not %q", shorten(clean(got), 100), e.messageID)
	}
	return nil
}

// mdnCodes are the failures that partners name (RFC 4130, section 7.4.3).
var mdnCodes = map[string]transfer.Code{
	"authentication-failed":         transfer.MDNAuthenticationFailed,
	"decompression-failed":          transfer.MDNDecompressionFailed,
	"decryption-failed":             transfer.MDNDecryptionFailed,
	"insufficient-message-security": transfer.MDNInsufficientSecurity,
	"integrity-check-failed":        transfer.MDNIntegrityCheckFailed,
	"unexpected-processing-error":   transfer.MDNUnexpectedError,
}

const duplicateDocument = "duplicate-document"

func (e expected) verifyDisposition(m *mdn) error {
	kind, detail := m.disposition()
	duplicate := strings.HasPrefix(detail, duplicateDocument)
	if duplicate && e.repeated {
		return nil
	}
	said := shorten(clean(m.fields.get("Disposition")), 200)
	switch {
	case duplicate:
		return failed(transfer.MDNDuplicate, "the partner takes the message for one that it had before: %s", said)
	case kind == dispositionProcessed, kind == dispositionWarning:
		return nil
	case kind == "":
		return failed(transfer.MDNMalformed, "the MDN's disposition is %q", said)
	}
	if code, ok := mdnCodes[detail]; ok {
		return failed(code, "the partner says: %s", said)
	}
	return failed(transfer.MDNFailure, "the partner says: %s: %s", said, shorten(clean(detail), 200))
}

func (e expected) verifyMIC(m *mdn) error {
	got, is := m.receivedMIC()
	_, detail := m.disposition()
	switch {
	case !is && (!e.needMIC || strings.HasPrefix(detail, duplicateDocument)):
		return nil
	case !is:
		return failed(transfer.VerificationFailed, "the MDN has no MIC, so that nobody knows what arrived")
	case !slices.ContainsFunc(e.mics, got.equal):
		return failed(transfer.VerificationFailed, "the MDN's MIC is %q, of another content than was sent (%v)",
			shorten(clean(m.fields.get("Received-content-MIC")), 200), e.mics)
	}
	return nil
}
