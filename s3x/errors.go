package s3x

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/seed62b9dc43/transfer"
)

// fail says that op on path failed because of err, which gets the code that it deserves if it has none.
func fail(op, path string, err error) error {
	var known *transfer.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	if code := classify(err); code != "" {
		return &transfer.Error{Op: op, Path: path, Code: code, Err: err}
	}
	return fmt.Errorf("%s %s: %w", op, path, err)
}

// because is like fail with a code and a reason that the caller knows better. err may be nil.
func because(op, path string, code transfer.Code, reason string, err error) error {
	if err == nil {
		err = errors.New(reason)
	} else {
		err = fmt.Errorf("%s: %w", reason, err)
	}
	return &transfer.Error{Op: op, Path: path, Code: code, Err: err}
}

// codes are the answers of S3 servers (Amazon S3 API Reference, "Error responses") that mean more than their HTTP
// status.
var codes = map[string]transfer.Code{
	"NoSuchKey":                      transfer.FileNotFound,
	"NoSuchVersion":                  transfer.FileNotFound,
	"NoSuchBucket":                   transfer.PathNotFound,
	"InvalidBucketName":              transfer.PathNotFound,
	"KeyTooLongError":                transfer.PathNotFound,
	"ObjectParentIsFile":             transfer.PathNotFound, // versitygw: a file is where a folder is needed
	"InvalidAccessKeyId":             transfer.AuthenticationFailed,
	"XAdminUserNotFound":             transfer.AuthenticationFailed, // versitygw, with status 404
	"SignatureDoesNotMatch":          transfer.AuthenticationFailed,
	"ExpiredToken":                   transfer.AuthenticationFailed,
	"InvalidToken":                   transfer.AuthenticationFailed,
	"TokenRefreshRequired":           transfer.AuthenticationFailed,
	"RequestTimeTooSkewed":           transfer.AuthenticationFailed,
	"AuthorizationHeaderMalformed":   transfer.AuthenticationFailed,
	"InvalidObjectState":             transfer.ReadFileError, // archived, with status 403
	"SlowDown":                       transfer.PartnerBusy,
	"RequestLimitExceeded":           transfer.PartnerBusy,
	"BandwidthLimitExceeded":         transfer.PartnerBusy,
	"ServiceUnavailable":             transfer.PartnerBusy,
	"TooManyRequests":                transfer.PartnerBusy,
	"ThrottlingException":            transfer.PartnerBusy,
	"OperationAborted":               transfer.PartnerBusy,
	"ConditionalRequestConflict":     transfer.PartnerBusy,
	"RequestTimeout":                 transfer.OperationTimeout, // with status 400
	"EntityTooLarge":                 transfer.NoSpace,
	"QuotaExceeded":                  transfer.NoSpace,
	"XMinioStorageFull":              transfer.NoSpace,
	"XMinioAdminBucketQuotaExceeded": transfer.NoSpace,
	"BadDigest":                      transfer.IntegrityError, // the bytes were damaged on their way
	"XAmzContentSHA256Mismatch":      transfer.IntegrityError,
	"XAmzContentChecksumMismatch":    transfer.IntegrityError,
	"IncompleteBody":                 transfer.ConnectionLost,
	"NoSuchUpload":                   transfer.SizeMismatch, // parts that were acknowledged are gone
	"InvalidPart":                    transfer.SizeMismatch,
}

var statuses = map[int]transfer.Code{
	http.StatusUnauthorized:        transfer.AuthenticationFailed,
	http.StatusForbidden:           transfer.PermissionDenied,
	http.StatusNotFound:            transfer.FileNotFound,
	http.StatusRequestTimeout:      transfer.OperationTimeout,
	http.StatusTooManyRequests:     transfer.PartnerBusy,
	http.StatusNotImplemented:      transfer.UnsupportedOperationError,
	http.StatusServiceUnavailable:  transfer.PartnerBusy,
	http.StatusGatewayTimeout:      transfer.OperationTimeout,
	http.StatusInsufficientStorage: transfer.NoSpace,
}

// sumDiffers is what the SDK says of a body whose checksum is not the one that the server sent. It has no type.
const sumDiffers = "checksum did not match"

// classify returns the cause of a failed request, or "" if there is nothing better than what transfer.CodeOf says.
func classify(err error) transfer.Code {
	var stalled *stalledError
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return ""
	case errors.As(err, &stalled):
		return transfer.Stalled
	}
	if code, ok := codes[apiCode(err)]; ok {
		return code
	}
	status := httpStatus(err)
	if code, ok := statuses[status]; ok {
		return code
	}
	switch {
	case status >= http.StatusInternalServerError:
		return transfer.ConnectionError
	case status >= http.StatusMultipleChoices:
		return ""
	}
	return networkCode(err) // no answer, or a part of it
}

// networkCode returns the cause of a request that got no answer, or only a part of it.
func networkCode(err error) transfer.Code {
	var (
		dns     *net.DNSError
		op      *net.OpError
		timeout net.Error
		cert    *tls.CertificateVerificationError
		alert   tls.AlertError
		record  tls.RecordHeaderError
	)
	timedOut := errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
	switch {
	case errors.As(err, &dns):
		return transfer.HostNotFound
	case errors.As(err, &cert):
		return transfer.HostKeyMismatch
	case errors.As(err, &alert), errors.As(err, &record):
		return transfer.KeyExchangeFailed
	case errors.As(err, &op) && op.Op == "dial" && timedOut:
		return transfer.ConnectTimeout
	case timedOut:
		return transfer.OperationTimeout
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return transfer.ConnectionRefused
	case errors.As(err, &op), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return transfer.ConnectionLost
	case strings.Contains(err.Error(), sumDiffers):
		return transfer.IntegrityError
	}
	return ""
}

// apiCode is the error code in the server's answer, or empty.
func apiCode(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	return ""
}

// httpStatus is the status of the server's answer, or 0 if there was none.
func httpStatus(err error) int {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}
