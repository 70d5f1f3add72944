package sftpx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
)

var (
	errClosed         = errors.New("sftpx: the connector is closed")
	errConnectTimeout = errors.New("sftpx: Config.ConnectTimeout has passed")
	errLostAtLogin    = fmt.Errorf("connection lost while logging in: %w", io.ErrUnexpectedEOF)
	errKeyType        = errors.New("the server has no key of an accepted type")
	errIdle           = errors.New("sftpx: Config.IdleTimeout has passed")
	errAbandoned      = errors.New("a request of another file was given up, and the server did not answer it in time")
)

// maxText bounds what a server says in an error.
const maxText = 200

// said is an error whose text is fit to be logged: no control characters, not long, with the host in front.
type said struct {
	text string
	err  error
}

func (s said) Error() string { return s.text }
func (s said) Unwrap() error { return s.err }

func saidBy(host string, err error) error {
	return said{host + ": " + shorten(clean(err.Error()), maxText), err}
}

// cause is what was said of a failure, without what was being done: for an error that says that better.
func cause(err error) error {
	var e *transfer.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err
	}
	var s said
	if errors.As(err, &s) {
		return s
	}
	return err
}

// clean replaces control characters, and what is not UTF-8, by spaces.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, text)
}

func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}

// statusCode is the cause that a server's answer to a request names; "" for one that it leaves open, such as Failure.
func statusCode(err error) transfer.Code {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return transfer.FileNotFound
	case errors.Is(err, fs.ErrPermission):
		return transfer.PermissionDenied
	}
	code, ok := statusOf(err)
	if !ok {
		return ""
	}
	switch code {
	case fxOpUnsupported:
		return transfer.UnsupportedOperationError
	case fxNoSuchPath:
		return transfer.FileNotFound
	case fxFileExists:
		return transfer.FileExists
	case fxWriteProtect:
		return transfer.PermissionDenied
	case fxNoSpace, fxQuotaExceeded:
		return transfer.NoSpace
	case fxIsDirectory:
		return transfer.IsDirectory
	}
	text := strings.ToLower(err.Error())
	if strings.Contains(text, "no space left") || strings.Contains(text, "quota") {
		return transfer.NoSpace // servers written in Go and Java send the system's words
	}
	return ""
}

// isBroken reports whether err says that the connection is of no more use. A bare io.EOF is the end of a file; pkg/sftp
// wraps the one of a connection.
func isBroken(err error) bool {
	if err == nil || err == io.EOF {
		return false
	}
	var lost wireLost
	return errors.As(err, &lost) || errors.Is(err, sftp.ErrSSHFxConnectionLost) || isStatus(err, fxNoConnection, fxConnectionLost) || isNetwork(err)
}

// isNetwork reports whether err comes from the network and not from what was said over it.
func isNetwork(err error) bool {
	var network net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.As(err, &network)
}

// dialCode is the cause of a failure to reach the server.
func dialCode(err error) transfer.Code {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return transfer.HostNotFound
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return transfer.ConnectionRefused
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, os.ErrDeadlineExceeded):
		return transfer.ConnectTimeout
	}
	if code := transfer.CodeOf(err); code != transfer.UnknownError {
		return code // a Dial of the caller's own may know
	}
	return transfer.ConnectionError
}

// ended is the failure of a call whose own context has ended.
func ended(ctx context.Context, op, path string) error {
	return fmt.Errorf("%s %s: %w", op, path, ctx.Err())
}

// handshakeError says why a connection that was made could not be used. keyRefused is what the host key check said.
func (c *Connector) handshakeError(err, keyRefused error, l *login) error {
	failed := func(code transfer.Code, err error) error {
		return &transfer.Error{Op: "connect", Path: c.cfg.Addr, Code: code, Err: err}
	}
	var mismatch *ssh.AlgorithmNegotiationError
	var source errSource
	switch {
	case keyRefused != nil:
		return failed(transfer.HostKeyMismatch, keyRefused)
	case errors.As(err, &mismatch):
		return failed(c.negotiationError(mismatch))
	case errors.As(err, &source):
		code := transfer.CodeOf(source.err)
		if code == transfer.UnknownError {
			code = transfer.ConnectionError
		}
		return failed(code, source.err)
	case tooMany.MatchString(err.Error()):
		return failed(transfer.PartnerBusy, cleaned(err))
	case l.allowed != nil && (l.refused || !isNetwork(err)):
		return failed(transfer.AuthenticationFailed, fmt.Errorf("user %s: %w (tried: %s; the server allows: %s)",
			l.user, cleaned(err), list(l.tried), list(l.allowed)))
	case isNetwork(err):
		// A server over its limit of connections hangs up without a word (OpenSSH's MaxStartups).
		return failed(transfer.PartnerBusy, fmt.Errorf("hung up during the handshake: %w", cleaned(err)))
	}
	return failed(transfer.ConnectionError, cleaned(err))
}

// tooMany matches SSH_DISCONNECT_TOO_MANY_CONNECTIONS (RFC 4253, section 11.1) as x/crypto/ssh words it.
var tooMany = regexp.MustCompile(`ssh: disconnect, reason 12:`)

func cleaned(err error) error { return said{shorten(clean(err.Error()), 2*maxText), err} }

func list(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	return shorten(clean(strings.Join(words, ", ")), maxText)
}

// negotiationError tells a server that lacks the accepted keys from one that is too old, or too new.
func (c *Connector) negotiationError(e *ssh.AlgorithmNegotiationError) (transfer.Code, error) {
	ours, theirs := list(e.SupportedAlgorithms), list(e.RequestedAlgorithms)
	if e.What != "host key" {
		return transfer.KeyExchangeFailed, fmt.Errorf("no %s in common: we offer %s; the server offers %s "+
			"(sftpx.LegacyAlgorithms adds old ones)", e.What, ours, theirs)
	}
	if c.cfg.Algorithms != LegacyAlgorithms && slices.Contains(e.RequestedAlgorithms, ssh.KeyAlgoRSA) &&
		slices.Contains(e.SupportedAlgorithms, ssh.KeyAlgoRSASHA256) {
		return transfer.KeyExchangeFailed, fmt.Errorf("the server signs with its RSA key by SHA-1 only: it offers %s "+
			"(sftpx.LegacyAlgorithms allows that)", theirs)
	}
	return transfer.HostKeyMismatch, fmt.Errorf("%w: accepted are %s, it offers keys for %s (add its key to "+
		"Config.HostKeys)", errKeyType, c.keys.accepted(), theirs)
}
