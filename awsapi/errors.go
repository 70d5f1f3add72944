package awsapi

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// failure is a refusal that the root does not know: of the protocol, of a signature, of a limit.
type failure struct {
	status  int
	code    string
	message string
}

func (f failure) Error() string { return f.code + ": " + f.message }

// exception is an error as it goes over the wire: __type, Message and the members of AWS's exceptions.
type exception struct {
	Type              string `json:"__type"`
	Message           string `json:"Message"`
	Resource          string `json:"Resource,omitempty"`
	ResourceType      string `json:"ResourceType,omitempty"`
	RetryAfterSeconds string `json:"RetryAfterSeconds,omitempty"`

	status     int
	retryAfter time.Duration
}

// invalid is an InvalidRequestException: AWS's answer to a malformed request.
func invalid(message string) error { return &transfer.InvalidRequestException{Message: message} }

// exceptionOf says how err is answered. What happened inside is not for those who call: it is logged.
func exceptionOf(err error) exception {
	var (
		refused   failure
		wrong     *transfer.InvalidRequestException
		notFound  *transfer.ResourceNotFoundException
		throttled *transfer.ThrottlingException
		badToken  *transfer.InvalidNextTokenException
		away      *transfer.ServiceUnavailableException
	)
	switch {
	case errors.As(err, &refused):
		return exception{Type: refused.code, Message: refused.message, status: refused.status}
	case errors.As(err, &wrong):
		return exception{Type: wrong.ErrorCode(), Message: wrong.Message, status: http.StatusBadRequest}
	case errors.As(err, &notFound):
		return exception{Type: notFound.ErrorCode(), Message: notFound.Message, status: http.StatusBadRequest,
			Resource: notFound.Resource, ResourceType: notFound.ResourceType}
	case errors.As(err, &badToken):
		return exception{Type: badToken.ErrorCode(), Message: badToken.Message, status: http.StatusBadRequest}
	case errors.As(err, &throttled):
		return exception{Type: throttled.ErrorCode(), Message: throttled.Message, status: http.StatusBadRequest,
			RetryAfterSeconds: seconds(throttled.RetryAfter), retryAfter: throttled.RetryAfter}
	case errors.As(err, &away):
		return exception{Type: away.ErrorCode(), Message: "The request has failed due to a temporary failure of the server.", status: http.StatusInternalServerError}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return exception{Type: away.ErrorCode(), Message: "The request was not answered in time.", status: http.StatusInternalServerError}
	}
	return exception{Type: "InternalServiceError", Message: "An internal error occurred.", status: http.StatusInternalServerError}
}

// seconds are whole seconds, rounded up: AWS's member is a text, and a retry before them would be refused again. A time
// that is not known is left out.
func seconds(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strconv.Itoa(int(math.Ceil(d.Seconds())))
}

// headers tells of the exception beside the body. AWS's Go SDK has no member for the message of a ThrottlingException:
// it is in a header too, which errors.As reaches as the Response of an *awshttp.ResponseError. Its retries heed
// X-Amz-Retry-After, in milliseconds, and not RetryAfterSeconds.
func (e *exception) headers(h http.Header) {
	h.Set("X-Amzn-Errortype", e.Type)
	if e.Type == "ThrottlingException" {
		h.Set("X-Amzn-Error-Message", e.Message)
	}
	if e.retryAfter > 0 {
		h.Set("Retry-After", e.RetryAfterSeconds)
		h.Set("X-Amz-Retry-After", strconv.FormatInt(e.retryAfter.Milliseconds()+1, 10))
	}
}
