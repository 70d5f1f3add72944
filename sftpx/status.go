package sftpx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pkg/sftp"
)

// status is what a server has answered instead of what was asked for.
type status struct {
	code uint32
	text string // of the server: hostile
}

func (s status) Error() string { return fmt.Sprintf("sftp: %q (status %d)", s.text, s.code) }

func (s status) Is(target error) bool {
	return target == fs.ErrNotExist && s.code == fxNoSuchFile || target == fs.ErrPermission && s.code == fxPermissionDenied
}

// parseStatus reads a STATUS (draft-ietf-secsh-filexfer-02, section 7) without its id. Older servers leave out the text.
func parseStatus(body []byte) error {
	if len(body) < 4 {
		return fmt.Errorf("%w: a status of %d bytes", errProtocol, len(body))
	}
	code := binary.BigEndian.Uint32(body)
	switch code {
	case fxOK:
		return nil
	case fxEOF:
		return io.EOF
	}
	text, _, _ := cutString(body[4:])
	return status{code, shorten(text, maxText)}
}

// statusOf returns the code of a status, ours or one that pkg/sftp has read.
func statusOf(err error) (code uint32, ok bool) {
	if own := (status{}); errors.As(err, &own) {
		return own.code, true
	}
	if theirs := (*sftp.StatusError)(nil); errors.As(err, &theirs) {
		return theirs.Code, true
	}
	return 0, false
}

func isStatus(err error, codes ...uint32) bool {
	got, ok := statusOf(err)
	for _, code := range codes {
		if ok && got == code {
			return true
		}
	}
	return false
}

// Status codes of SFTP. Those from 9 on are of later versions of the protocol (draft-ietf-secsh-filexfer-13, section 9.1);
// servers send them in version 3 too.
const (
	fxOK               = 0
	fxEOF              = 1
	fxNoSuchFile       = 2
	fxPermissionDenied = 3
	fxFailure          = 4
	fxBadMessage       = 5
	fxNoConnection     = 6
	fxConnectionLost   = 7
	fxOpUnsupported    = 8
	fxNoSuchPath       = 10
	fxFileExists       = 11
	fxWriteProtect     = 12
	fxNoSpace          = 14
	fxQuotaExceeded    = 15
	fxIsDirectory      = 24
)
