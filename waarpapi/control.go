package waarpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/seed62b9dc43/transfer"
)

// control serves PUT /v2/transfers/{id}/stop, restart and cancel. The answer is 202: a running file follows within about
// a second.
func (h *handler) control(ctx context.Context, q request) reply {
	row, fail := h.find(ctx, q.id)
	if fail != nil {
		return *fail
	}
	if q.verb == verbRestart && row.Status() == transfer.StatusInError {
		return h.repeat(ctx, q, row)
	}
	in := &transfer.ControlInput{FileIDs: []int64{row.FileID}}
	var err error
	switch q.verb {
	case verbStop:
		_, err = h.client.PauseTransfer(ctx, in)
	case verbRestart:
		_, err = h.client.ResumeTransfer(ctx, in)
	case verbCancel:
		_, err = h.client.CancelTransfer(ctx, in)
	}
	if err != nil {
		return h.refusal(ctx, q, row.FileID, err)
	}
	h.cfg.Logger.InfoContext(ctx, "waarpapi: transfer controlled", "user", q.caller.name, "verb", q.verb, "file", row.FileID)
	after, err := h.client.GetFile(ctx, row.FileID)
	if err != nil {
		return h.failure(ctx, "get transfer", err)
	}
	return ok(http.StatusAccepted, h.record(after))
}

// repeat restarts a file that failed or was cancelled, which stays what it is: what is started is another one, and its
// record is the answer. To repeat it again gives the same one again.
func (h *handler) repeat(ctx context.Context, q request, row *transfer.TransferRow) reply {
	out, err := h.client.RetryTransfer(ctx, &transfer.RetryTransferInput{FileIDs: []int64{row.FileID}})
	if err != nil {
		return h.refusal(ctx, q, row.FileID, err)
	}
	h.cfg.Logger.InfoContext(ctx, "waarpapi: transfer repeated", "user", q.caller.name, "file", row.FileID, "transfer", out.Transfers[0].TransferID)
	return h.created(ctx, http.StatusAccepted, out.Transfers[0].TransferID)
}

// allowedIn says in which states a verb is possible.
var allowedIn = map[string]string{
	verbStop:    "only a transfer that is neither DONE nor INERROR can be stopped",
	verbRestart: "only a transfer that is not DONE can be restarted",
	verbCancel:  "only a transfer that is neither DONE nor INERROR can be cancelled",
}

// refusal answers that a file's state does not allow a verb, or that something failed.
func (h *handler) refusal(ctx context.Context, q request, fileID int64, err error) reply {
	var invalid *transfer.InvalidRequestException
	var gone *transfer.ResourceNotFoundException
	if errors.As(err, &gone) && gone.ResourceType == "Connector" {
		var p problems
		p.unknownHost(gone.Resource)
		return badRequest(p)
	}
	if !errors.As(err, &invalid) {
		return h.failure(ctx, q.verb+" transfer", err)
	}
	row, err := h.client.GetFile(ctx, fileID)
	if err != nil {
		return h.failure(ctx, "get transfer", err)
	}
	why := allowedIn[q.verb]
	if row.Status() == transfer.StatusRunning {
		why = "it is being cancelled: wait until it is INERROR"
	}
	var p problems
	p.illegal("status", string(row.Status()), why)
	return badRequest(p)
}
