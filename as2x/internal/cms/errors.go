package cms

import (
	"errors"
	"fmt"
	"io"
)

// The reasons for which reading fails, for errors.Is. Errors of the underlying reader or writer are passed on as they
// are.
var (
	// ErrMalformed says that the input is not what it should be: no BER, cut short, or another structure.
	ErrMalformed = errors.New("cms: malformed")
	// ErrLimit says that the input is beyond one of the Limits.
	ErrLimit = errors.New("cms: beyond a limit")
	// ErrUnsupported says that the input needs an algorithm that this package does not have.
	ErrUnsupported = errors.New("cms: unsupported algorithm")
	// ErrNoRecipient says that a content was encrypted for none of the given key pairs.
	ErrNoRecipient = errors.New("cms: not encrypted for this recipient")
	// ErrDecrypt says that a content cannot be decrypted, and on purpose not why.
	ErrDecrypt = errors.New("cms: cannot be decrypted")
	// ErrNoSigner says that a content was signed with none of the given certificates, or not at all.
	ErrNoSigner = errors.New("cms: not signed by this signer")
	// ErrDigest says that a signature is one over another content.
	ErrDigest = errors.New("cms: the content is not what was signed")
	// ErrSignature says that a signature was not made with the certificate's key.
	ErrSignature = errors.New("cms: the signature is wrong")
)

// malformed tells what is wrong with the input.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// cutShort turns the end of the input, where more must follow, into an error of its own.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("the input ends too early")
	}
	return err
}
