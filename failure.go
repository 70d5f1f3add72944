package transfer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seed62b9dc43/transfer/store"
)

// step is what was being done when something failed.
type step string

const (
	stepQueue   step = "wait in the queue"
	stepConnect step = "connect"
	stepOpen    step = "open source"
	stepRead    step = "read source"
	stepCreate  step = "create target"
	stepWrite   step = "write target"
	stepCommit  step = "finish target"
	stepVerify  step = "verify target"
	stepReceipt step = "await receipt"
	stepLedger  step = "look into the ledger for"
	stepTask    step = "run task"
)

// atTarget reports whether it is the target's side that failed.
func (s step) atTarget() bool {
	return s == stepCreate || s == stepWrite || s == stepCommit || s == stepVerify || s == stepReceipt
}

// stepError is an error with the step at which it happened; the innermost one counts.
type stepError struct {
	step step
	err  error
}

func (e stepError) Error() string { return string(e.step) + ": " + e.err.Error() }
func (e stepError) Unwrap() error { return e.err }

func atStep(s step, err error) error {
	if err == nil {
		return nil // before anything is allocated
	}
	var known stepError
	if errors.As(err, &known) {
		return err
	}
	return stepError{s, err}
}

// describe makes the published failure of an error: code, finer cause, and a message with host, path and phase.
func (e *engine) describe(f *store.File, err error) store.Failure {
	at := stepError{step: "move"}
	errors.As(err, &at)
	code, detail := publish(f.Direction, at.step, CodeOf(err))
	var task *taskError
	if errors.As(err, &task) {
		return store.Failure{Code: string(code), Detail: string(detail), Message: printable(task.Error())}
	}
	return store.Failure{Code: string(code), Detail: string(detail), Message: e.message(f, at.step, err)}
}

// publish maps a cause to AWS's code for it and, where that says less, the cause itself as the detail.
func publish(d store.Direction, s step, cause Code) (code, detail Code) {
	if p, ok := publishedCodes[cause]; ok {
		return p, cause
	}
	if _, ok := as2Codes[cause]; ok {
		return cause, ""
	}
	switch cause {
	case FileNotFound:
		switch {
		case s == stepConnect:
			return ConnectionError, cause
		case s == stepTask:
			return cause, ""
		case s == stepVerify:
			return ReadFileError, cause
		case s.atTarget():
			return DirectoryNotFound, ""
		case d == store.Send:
			return SendFileNotFound, ""
		default:
			return RetrieveFileNotFound, ""
		}
	case AssumeRoleError, UnsupportedOperationError, ConnectionError, ReadFileError, WriteFileError, TimeoutError,
		ListDirectoryError, SendFileNotFound, RetrieveFileNotFound, DirectoryNotFound, PathNotFound, RenameError,
		DeleteError, InternalError:
		return cause, ""
	default: // PermissionDenied, NoSpace, …, or a code that this package does not know
		detail = cause
		if strings.Trim(string(cause), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" || len(cause) > 64 {
			detail = "" // the message has it
		}
		if cause == UnknownError || cause == Cancelled || cause == CheckpointLost {
			detail = ""
		}
		switch s {
		case stepConnect:
			return ConnectionError, detail
		case stepOpen, stepRead:
			return ReadFileError, detail
		case stepCreate, stepWrite, stepCommit, stepVerify, stepReceipt:
			return WriteFileError, detail
		}
		return InternalError, detail
	}
}

const maxMessage = 1024

// message says where, what and why. What comes from the other side is cut and cleaned.
func (e *engine) message(f *store.File, s step, err error) string {
	remoteStep := s == stepConnect || (f.Direction == store.Send) == s.atTarget()
	where := "storage"
	if named, ok := e.cfg.Storage.(fmt.Stringer); ok {
		where = named.String()
	}
	if remoteStep {
		where = e.partners.urlOf(f.ConnectorID)
	}
	path := f.SourcePath
	if s.atTarget() {
		path = f.TargetPath
	}
	host := where[strings.LastIndexAny(where, "/@")+1:]
	why := strings.TrimPrefix(reason(err, path, host), host+": ")
	text := fmt.Sprintf("%s %s on %s: %s", s, path, where, why)
	if s == stepConnect {
		text = fmt.Sprintf("connect to %s for %s: %s", where, path, why)
	}
	return printable(text)
}

// reason is the text of err without the steps around it, and without the path, the host and the code that the result says
// anyway.
func reason(err error, path, host string) string {
	var s stepError
	for errors.As(err, &s) {
		err = s.err
		s = stepError{}
	}
	e, ok := err.(*Error)
	switch {
	case ok && e.Err == nil && words[e.Code] != "":
		return words[e.Code]
	case !ok || e.Path != path && e.Path != host:
		return err.Error()
	case e.Err == nil:
		return string(e.Code)
	}
	return e.Err.Error()
}
