package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Code says why a file failed. It is an error itself, so errors.Is(err, transfer.RetrieveFileNotFound) works on
// whatever this package returns.
type Code string

// The failure codes that AWS publishes for SFTP connectors, under their published names
// (AWS Transfer Family User Guide, "EventBridge events detail reference"). FailureCode of a result is one of these,
// or Cancelled.
const (
	AssumeRoleError           Code = "ASSUME_ROLE_ERROR"
	UnsupportedOperationError Code = "UNSUPPORTED_OPERATION_ERROR"
	ConnectionError           Code = "CONNECTION_ERROR"
	ReadFileError             Code = "READ_FILE_ERROR"
	WriteFileError            Code = "WRITE_FILE_ERROR"
	TimeoutError              Code = "TIMEOUT_ERROR"
	ListDirectoryError        Code = "LIST_DIRECTORY_ERROR"
	SendFileNotFound          Code = "SEND_FILE_NOT_FOUND"
	RetrieveFileNotFound      Code = "RETRIEVE_FILE_NOT_FOUND"
	DirectoryNotFound         Code = "DIRECTORY_NOT_FOUND"
	FileNotFound              Code = "FILE_NOT_FOUND"
	PathNotFound              Code = "PATH_NOT_FOUND"
	RenameError               Code = "RENAME_ERROR"
	DeleteError               Code = "DELETE_ERROR"
	InternalError             Code = "INTERNAL_ERROR"
	UnknownError              Code = "UNKNOWN_ERROR"
)

// The finer causes, which AWS does not tell apart. FailureDetail of a result is one of these, or empty. A Storage or
// Connector reports them (see [Error]); the published code follows from the cause and from what was being done.
const (
	HostNotFound         Code = "HOST_NOT_FOUND"        // the name does not resolve
	ConnectionRefused    Code = "CONNECTION_REFUSED"    // nobody listens, or no route
	ConnectionLost       Code = "CONNECTION_LOST"       // it broke after it was made
	HostKeyMismatch      Code = "HOST_KEY_MISMATCH"     // the server's key is not a pinned one
	AuthenticationFailed Code = "AUTHENTICATION_FAILED" // user, password or key refused
	KeyExchangeFailed    Code = "KEY_EXCHANGE_FAILED"   // no algorithm in common
	PartnerBusy          Code = "PARTNER_BUSY"          // too many connections or requests for the other side
	ConnectTimeout       Code = "CONNECT_TIMEOUT"       // dial and handshake took too long
	OperationTimeout     Code = "OPERATION_TIMEOUT"     // a request was not answered in time
	Stalled              Code = "STALLED"               // no byte came or went for too long
	PermissionDenied     Code = "PERMISSION_DENIED"
	NoSpace              Code = "NO_SPACE"    // full, or over quota
	FileExists           Code = "FILE_EXISTS" // and the policy is not to overwrite it
	IsDirectory          Code = "IS_DIRECTORY"
	PathEscapes          Code = "PATH_ESCAPES"        // leaves the storage's root, by ".." or by a link
	SizeMismatch         Code = "SIZE_MISMATCH"       // fewer or more bytes than promised
	SourceChanged        Code = "SOURCE_CHANGED"      // while it was read
	IntegrityError       Code = "INTEGRITY_ERROR"     // the content is not what was sent
	QueueExpired         Code = "QUEUE_EXPIRED"       // it waited too long to be taken up (Config.QueueTimeout)
	ConnectorDeleted     Code = "CONNECTOR_DELETED"   // while the file was queued
	AlreadyTransferred   Code = "ALREADY_TRANSFERRED" // in this version, and the policy is not to do it again (LedgerFail)
	OutsideWindow        Code = "OUTSIDE_WINDOW"      // the partner must not be contacted now (Limits.Open)
	Cancelled            Code = "CANCELLED"           // by the user; published as it is
)

// Error returns the code's name.
func (c Code) Error() string { return string(c) }

// Retryable reports whether the same file may succeed later without anybody changing anything: the network or a
// server was at fault, not the request, the credentials or the content. Ask the finest code there is (CodeOf, or a
// result's Retryable): CONNECTION_ERROR may stand for a wrong password, which must not be tried again and again.
func (c Code) Retryable() bool {
	switch c {
	case ConnectionError, TimeoutError, HostNotFound, ConnectionRefused, ConnectionLost, PartnerBusy, ConnectTimeout,
		OperationTimeout, Stalled, OutsideWindow, NoSpace, SizeMismatch, SourceChanged, IntegrityError, UnableToResolveHostname,
		UnableToConnect, HTTPServerError, RuleNotFound, TaskFailed:
		return true
	}
	return false
}

// publishedCodes has the code that a cause is reported under where that does not depend on what was being done.
var publishedCodes = map[Code]Code{
	HostNotFound: ConnectionError, ConnectionRefused: ConnectionError, ConnectionLost: ConnectionError,
	HostKeyMismatch: ConnectionError, AuthenticationFailed: ConnectionError, KeyExchangeFailed: ConnectionError,
	PartnerBusy: ConnectionError, ConnectTimeout: TimeoutError, OperationTimeout: TimeoutError, Stalled: TimeoutError,
	QueueExpired: TimeoutError, ConnectorDeleted: ConnectionError, OutsideWindow: ConnectionError, AlreadyTransferred: WriteFileError,
	RuleNotFound: InternalError, TaskFailed: InternalError, TaskInterrupted: InternalError,
	HTTPServerError: HTTPErrorResponse, TLSCertificateRefused: UnableToConnect,
}

// words say what a cause means where there is nothing else to say.
var words = map[Code]string{
	FileNotFound: "does not exist", FileExists: "a file is there already, and the policy is not to replace it",
	IsDirectory: "is a directory", PathEscapes: "leads out of the storage, by .. or by a link",
	PermissionDenied: "permission denied", NoSpace: "no space left", SourceChanged: "the file was changed while it was read",
	SizeMismatch: "the number of bytes is not what was promised", Stalled: "nothing came or went for too long",
	IntegrityError: "the content is not what was sent", PathNotFound: "the path does not exist", DirectoryNotFound: "the directory does not exist",
	ConnectorDeleted: "the connector was deleted",
}

// Error is a failure with its cause. A Storage, Connector or Remote returns it (wrapped or not) where it knows the
// cause better than the standard errors say.
type Error struct {
	Op   string // what was being done: "dial", "open", "read", "rename", …
	Path string // of the file, or the address
	Code Code   // the cause, or a published code where there is no finer one
	Err  error  // what the layer below said; may be nil
}

// Error describes the failure: operation, path, code and what the layer below said.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Path != "" {
		b.WriteString(" " + e.Path)
	}
	b.WriteString(": " + string(e.Code))
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns what the layer below said.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is this error's code.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c != "" && (c == e.Code || c == publishedCodes[e.Code])
}

// CodeOf returns the cause that err carries: the Code of an [Error], a Code in the chain, or what a standard error
// (fs.ErrNotExist, fs.ErrPermission, fs.ErrExist, ENOSPC, a deadline, …) stands for. Without any it is UnknownError;
// for nil it is "".
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) && e.Code != "" {
		return e.Code
	}
	var c Code
	if errors.As(err, &c) {
		return c
	}
	for _, known := range standardErrors {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	return UnknownError
}

var standardErrors = []struct {
	err  error
	code Code
}{
	{syscall.ENOSPC, NoSpace},
	{syscall.EDQUOT, NoSpace},
	{syscall.EISDIR, IsDirectory},
	{syscall.EROFS, PermissionDenied},
	{syscall.ECONNREFUSED, ConnectionRefused},
	{syscall.ECONNRESET, ConnectionLost},
	{syscall.EPIPE, ConnectionLost},
	{fs.ErrNotExist, FileNotFound},
	{fs.ErrPermission, PermissionDenied},
	{fs.ErrExist, FileExists},
	{errors.ErrUnsupported, UnsupportedOperationError},
	{context.DeadlineExceeded, TimeoutError},
	{os.ErrDeadlineExceeded, TimeoutError},
	{context.Canceled, Cancelled},
}

// ResourceNotFoundException says that a connector or a transfer does not exist (AWS API reference).
type ResourceNotFoundException struct {
	Message      string
	Resource     string // the id that was asked for
	ResourceType string // "Connector" or "Transfer"
}

// Error describes the exception as AWS's SDKs do.
func (e *ResourceNotFoundException) Error() string { return describe(e.ErrorCode(), e.Message) }

// ErrorCode returns "ResourceNotFoundException".
func (*ResourceNotFoundException) ErrorCode() string { return "ResourceNotFoundException" }

// InvalidRequestException says what is wrong with a request: every wrong field, not only the first. Nothing was
// stored (AWS API reference).
type InvalidRequestException struct {
	Message string
	Fields  []InvalidField
}

// InvalidField is one wrong field of a request.
type InvalidField struct {
	Name    string // such as "SendFilePaths[3]"
	Value   string // as given, shortened if long
	Problem string // what is wrong, and the fix
}

// Error describes the exception as AWS's SDKs do.
func (e *InvalidRequestException) Error() string { return describe(e.ErrorCode(), e.Message) }

// ErrorCode returns "InvalidRequestException".
func (*InvalidRequestException) ErrorCode() string { return "InvalidRequestException" }

// InternalServiceError says that the engine failed in a way that is not the caller's doing (AWS API reference).
type InternalServiceError struct {
	Message string
	Err     error
}

// Error describes the exception as AWS's SDKs do.
func (e *InternalServiceError) Error() string { return describe(e.ErrorCode(), e.Message) }

// Unwrap returns what failed.
func (e *InternalServiceError) Unwrap() error { return e.Err }

// ErrorCode returns "InternalServiceError".
func (*InternalServiceError) ErrorCode() string { return "InternalServiceError" }

// ServiceUnavailableException says that the Store cannot be reached or the client is shut down; the call may be
// repeated, with the same ClientToken where it starts a transfer (AWS API reference).
type ServiceUnavailableException struct {
	Message string
	Err     error
}

// Error describes the exception as AWS's SDKs do.
func (e *ServiceUnavailableException) Error() string { return describe(e.ErrorCode(), e.Message) }

// Unwrap returns what failed.
func (e *ServiceUnavailableException) Unwrap() error { return e.Err }

// ErrorCode returns "ServiceUnavailableException".
func (*ServiceUnavailableException) ErrorCode() string { return "ServiceUnavailableException" }

func describe(code, message string) string { return fmt.Sprintf("%s: %s", code, message) }
