package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// Origin says which file of which transfer a delivery is of. A storage does not need it; a connector whose messages or
// records name the transfer does (package as2x).
type Origin struct {
	TransferID  string
	FileID      int64
	ConnectorID string
	FilePath    string             // of the source, as given in the request
	Attempt     int                // how often the file was taken up, this time included
	ContentType string             // of the source (FileInfo.ContentType); empty where nobody asked the source
	Headers     []CustomHTTPHeader // StartFileTransferInput.CustomHTTPHeaders
}

// Outstanding is the error of a Commit that handed the file over whole while the partner's word on it is still to come.
// The file is given back, Waiting, without a failure; later its Remote, which MUST be a [Receipts], is asked for the word.
type Outstanding struct {
	Again time.Duration // after which to ask (again), more than 0
}

// Error says when to ask again.
func (o Outstanding) Error() string {
	return fmt.Sprintf("the receipt is outstanding (ask in %v)", o.Again)
}

// Receipts is a Remote whose partner may confirm deliveries later, as with an asynchronous MDN (RFC 4130, section 7).
type Receipts interface {
	// Receipt looks for the partner's word on the delivery to path that o.Checkpoint speaks of, which its Sink returned
	// before Commit ended with Outstanding. It returns nil once the delivery is confirmed, Outstanding while there is no
	// word and still time, and otherwise why the file has failed. It may be called on another node than Commit. The
	// source need not be there any more: o.ModTime and o.Origin.ContentType are empty.
	Receipt(ctx context.Context, path string, o CreateOptions) error
}

// Reporter is a Connector that keeps a record of its own of files that failed, such as the result files of AS2.
type Reporter interface {
	// ReportFailure is called when a file has failed for good, before that is stored; after a crash it may be called
	// again. It MUST return within ctx. An error is logged and changes nothing.
	ReportFailure(ctx context.Context, f FailedFile) error
}

// FailedFile is a file that failed for good.
type FailedFile struct {
	Origin
	Size    int64  // bytes; -1 until known
	Code    Code   // as published
	Detail  Code   // the finer cause, or empty
	Message string // as published
	Err     error  // what failed
}

// outstanding reports whether err says that the file was handed over and its receipt is still to come.
func outstanding(err error) (Outstanding, bool) {
	if err == nil {
		return Outstanding{}, false // before anything is allocated
	}
	var o Outstanding
	is := errors.As(err, &o)
	return o, is
}

func (d *delivery) origin() Origin {
	f := &d.job.file.File
	return Origin{
		TransferID: f.TransferID, FileID: f.ID, ConnectorID: f.ConnectorID, FilePath: f.SourcePath, Attempt: f.Attempts,
		ContentType: d.contentType(), Headers: d.request.Headers,
	}
}

// contentType is the source's, which says nothing of what Transforms make of it.
func (d *delivery) contentType() string {
	if d.streams() {
		return ""
	}
	return d.info.ContentType
}

// askReceipt asks for the partner's word on a file that was handed over by an earlier attempt.
func (d *delivery) askReceipt() (err error) {
	j, last := d.job, d.job.last
	ctx, end := j.part(j.moving, PartReceipt, "")
	defer func() { end(err) }()
	if err := d.remote.connect(ctx); err != nil {
		return err
	}
	j.asks()
	d.info.Size = last.Size
	r, ok := d.remote.remote.(Receipts)
	if !ok {
		return stepError{stepReceipt, &Error{Op: "ask for receipt", Path: j.file.TargetPath, Code: UnsupportedOperationError,
			Err: errors.New("an earlier attempt handed the file over, and this connector knows of no receipts")}}
	}
	o := d.options(last.Window, last.Sink)
	o.Key = deliveryKey(&j.file.File, last.Identity)
	return atStep(stepReceipt, r.Receipt(ctx, j.file.TargetPath, o))
}

// report tells the connector of a file that failed for good.
func (e *engine) report(j *job, cause error) {
	r, ok := j.partner.conn.(Reporter)
	if !ok {
		return
	}
	code, size, ended := j.ended()
	if !ended || j.hasLost() {
		return
	}
	f := FailedFile{
		Origin: (&delivery{job: j}).origin(), Size: size,
		Code: Code(code.Code), Detail: Code(code.Detail), Message: code.Message, Err: cause,
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(j.ctx), cleanupTimeout)
	defer cancel()
	if err := guarded(func() error { return r.ReportFailure(ctx, f) }); err != nil {
		e.cfg.Logger.WarnContext(j.ctx, "could not report a failed file", "file", f.FileID, "transfer", f.TransferID, "connector", f.ConnectorID, "attempt", f.Attempt, "error", err)
	}
}

// ended returns the failure of a file that has failed for good, and its size.
func (j *job) ended() (f store.Failure, size int64, is bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failure, j.progress.Size, j.state == store.Failed
}

// handedOver notes that the partner has the whole file and has not said yet what it thinks of it.
func (j *job) handedOver(sum []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.SHA256, j.awaits = sum, true
}

// asks notes that nothing is moved: the file is with the partner.
func (j *job) asks() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.Phase = store.PhaseFinalize
}
