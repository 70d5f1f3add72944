package transfer

import "time"

// ThrottlingException says that there are too many requests under way; the call may be repeated (AWS API reference).
type ThrottlingException struct {
	Message    string
	RetryAfter time.Duration // when to try again; 0: not known
}

// Error describes the exception as AWS's SDKs do.
func (e *ThrottlingException) Error() string { return describe(e.ErrorCode(), e.Message) }

// ErrorCode returns "ThrottlingException".
func (*ThrottlingException) ErrorCode() string { return "ThrottlingException" }

// InvalidNextTokenException says that a NextToken is none of this list's (AWS API reference).
type InvalidNextTokenException struct{ Message string }

// Error describes the exception as AWS's SDKs do.
func (e *InvalidNextTokenException) Error() string { return describe(e.ErrorCode(), e.Message) }

// ErrorCode returns "InvalidNextTokenException".
func (*InvalidNextTokenException) ErrorCode() string { return "InvalidNextTokenException" }
