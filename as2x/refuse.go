package as2x

import (
	"errors"
	"net/http"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// refusal is why a message is not accepted: what the partner is told, and what we know.
type refusal struct {
	kind     string // error or failure
	modifier string // such as "decryption-failed"
	code     transfer.Code
	err      error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// refuse makes the refusal. As long as an encrypted message is not known to be what was signed, everything that is wrong
// with it is one and the same to the partner: with CBC, whoever can tell why a message was refused can decrypt it.
func (u *unwrapper) refuse(modifier string, code transfer.Code, err error) error {
	if u.encrypted && !u.verified {
		modifier = "decryption-failed"
	}
	return &refusal{dispositionError, modifier, code, err}
}

// refuseContent is the refusal of something that cannot be read.
func (u *unwrapper) refuseContent(err error) error {
	code := transfer.InvalidRequest
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, cms.ErrLimit), errors.Is(err, errTooLarge), errors.As(err, &large):
		code = transfer.FileSizeTooLarge
	case u.encrypted && !u.verified:
		code = transfer.DecryptFailed
	}
	return u.refuse("unexpected-processing-error", code, err)
}

var errTooLarge = errors.New("as2x: the message is larger than Agreement.MaxSize")

// refuseFile is the refusal of a file that cannot be read.
func (u *unwrapper) refuseFile(err error) error {
	var compression *decompressError
	if errors.As(err, &compression) && !errors.Is(err, cms.ErrLimit) {
		return u.refuse("decompression-failed", transfer.DecompressionFailed, err)
	}
	return u.refuseContent(err)
}
