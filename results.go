package transfer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// TransferTableStatus is the status of a file in AWS's vocabulary.
type TransferTableStatus string

// AWS's statuses. A file's status never moves backwards in this order; COMPLETED and FAILED are final.
const (
	TransferTableStatusQueued     TransferTableStatus = "QUEUED"
	TransferTableStatusInProgress TransferTableStatus = "IN_PROGRESS"
	TransferTableStatusCompleted  TransferTableStatus = "COMPLETED"
	TransferTableStatusFailed     TransferTableStatus = "FAILED"
)

// awsStatus is a pure function of the row, total over all states.
func awsStatus(f *store.File) TransferTableStatus {
	switch {
	case f.State == store.Done:
		return TransferTableStatusCompleted
	case f.State == store.Failed || f.State == store.Cancelled:
		return TransferTableStatusFailed
	case f.StartedAt.IsZero():
		return TransferTableStatusQueued
	default:
		return TransferTableStatusInProgress
	}
}

// ConnectorFileTransferResult tells how one file of a transfer goes.
type ConnectorFileTransferResult struct {
	FilePath       string // as given in the request, below the rule's SourceDirectory if there is one
	StatusCode     TransferTableStatus
	FailureCode    Code   // of the last attempt that failed; while IN_PROGRESS another one follows
	FailureMessage string // host, path, phase and cause

	// The fields below are not AWS's.

	FailureDetail    Code        // the finer cause, such as HostKeyMismatch; may be empty
	FileID           int64       // of the row; growing, above 0 and below 2^53
	TargetPath       string      // where the file goes
	State            store.State // the engine's own, finer than StatusCode
	BytesTransferred int64       // acknowledged by the target
	Size             int64       // bytes; -1 until known
	Rank             int64       // windows acknowledged (Waarp rank)
	BlockSize        int64       // bytes of a window; 0 until known (Waarp blockSize)
	Attempts         int         // how often the file was taken up, after interruptions too
	Failures         int         // attempts in a row that failed without coming further; see RetryPolicy.MaxAttempts
	NextAttemptAt    time.Time   // when a file that waits may be taken up (again): later if the partner cannot be reached or is at its limit; otherwise zero
	RetryOf          int64       // FileID of the finished file that RetryTransfer repeats; 0: none
	Skipped          bool        // completed without moving it, by OverwriteSkip or a LedgerPolicy
	SHA256           string      // of the content in hexadecimal, once COMPLETED and not Skipped
	CreatedAt        time.Time   // UTC, as all times here
	StartedAt        time.Time   // zero until first taken up
	UpdatedAt        time.Time   // of the last event
	FinishedAt       time.Time   // zero until final
}

func newResult(f *store.File) ConnectorFileTransferResult {
	return ConnectorFileTransferResult{
		FilePath:         f.SourcePath,
		StatusCode:       awsStatus(f),
		FailureCode:      Code(f.Code),
		FailureMessage:   f.Message,
		FailureDetail:    Code(f.Detail),
		FileID:           f.ID,
		TargetPath:       f.TargetPath,
		State:            f.State,
		BytesTransferred: f.Offset,
		Size:             f.Size,
		Rank:             f.Rank,
		BlockSize:        f.BlockSize,
		Attempts:         f.Attempts,
		Failures:         f.Failures,
		NextAttemptAt:    nextAttempt(f),
		RetryOf:          f.Parent,
		Skipped:          f.Skipped,
		SHA256:           hex.EncodeToString(f.SHA256),
		CreatedAt:        f.CreatedAt,
		StartedAt:        f.StartedAt,
		UpdatedAt:        f.UpdatedAt,
		FinishedAt:       f.FinishedAt,
	}
}

func nextAttempt(f *store.File) time.Time {
	switch f.State {
	case store.Queued, store.Waiting, store.Interrupted:
		return f.ReadyAt
	}
	return time.Time{}
}

// Err returns nil unless the file FAILED, and then an error that is both its FailureCode and its FailureDetail:
// errors.Is(r.Err(), transfer.RetrieveFileNotFound). CodeOf gives the finer of the two.
func (r ConnectorFileTransferResult) Err() error {
	if r.StatusCode != TransferTableStatusFailed {
		return nil
	}
	return &Error{Op: "transfer", Path: r.FilePath, Code: cmp.Or(r.FailureDetail, r.FailureCode), Err: published{r.FailureCode, r.FailureMessage}}
}

// Retryable reports whether the file FAILED and may succeed in another transfer without anybody changing anything.
func (r ConnectorFileTransferResult) Retryable() bool { return CodeOf(r.Err()).Retryable() }

// published is the message of a failure, which is its published code too.
type published struct {
	code    Code
	message string
}

func (p published) Error() string        { return p.message }
func (p published) Is(target error) bool { return target == p.code }

// ListFileTransferResultsInput names a transfer.
type ListFileTransferResultsInput struct {
	ConnectorID string // required
	TransferID  string // required
	NextToken   string // of the page before; empty for the first page
	MaxResults  int32  // files in a page: 1 to 1,000; default 100
}

// ListFileTransferResultsOutput is one page of results, in the order of the request's paths.
type ListFileTransferResultsOutput struct {
	FileTransferResults []ConnectorFileTransferResult
	NextToken           string // empty on the last page

	// BundledPaths are the files in the transfer's one ZIP file, if it was started with BundleName. Not AWS's.
	BundledPaths []string
}

// Limits of ListFileTransferResults (AWS API reference: MaxResults 1 to 1,000, NextToken 1 to 6,144).
const (
	maxResults        = 1000
	defaultMaxResults = 100
	maxNextToken      = 6144
)

// ListFileTransferResults tells how each file of a transfer goes, a page at a time. Results are kept as long as the
// Store keeps the transfer. A page holds the files as they are when it is asked for.
//
// Errors: InvalidRequestException with every wrong field, also for a NextToken that is not of this transfer;
// ResourceNotFoundException for an unknown transfer; ServiceUnavailableException when the Store failed.
func (c *Client) ListFileTransferResults(ctx context.Context, in *ListFileTransferResultsInput) (*ListFileTransferResultsOutput, error) {
	if in == nil {
		in = &ListFileTransferResultsInput{}
	}
	after, err := validateList(in)
	if err != nil {
		return nil, err
	}
	t, err := c.findTransfer(ctx, in.ConnectorID, in.TransferID)
	if err != nil {
		return nil, err
	}
	limit := int(in.MaxResults)
	fill(&limit, defaultMaxResults)
	files, err := c.cfg.Store.ListFiles(ctx, store.Query{TransferID: in.TransferID, After: store.Cursor{ID: after}, Limit: limit + 1})
	if err != nil {
		return nil, storeFailure("list file transfer results", err)
	}
	out := &ListFileTransferResultsOutput{BundledPaths: bundleOf(t.Spec)}
	if len(files) > limit {
		files = files[:limit]
		out.NextToken = newToken(in.TransferID, files[limit-1].ID)
	}
	out.FileTransferResults = make([]ConnectorFileTransferResult, len(files))
	for i := range files {
		out.FileTransferResults[i] = newResult(&files[i])
	}
	return out, nil
}

// findTransfer returns the transfer if it exists and is of this connector, where one is given.
func (c *Client) findTransfer(ctx context.Context, connectorID, transferID string) (store.Transfer, error) {
	t, err := c.cfg.Store.GetTransfer(ctx, transferID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return t, storeFailure("get transfer", err)
	}
	if err == nil && (connectorID == "" || t.ConnectorID == connectorID) {
		return t, nil
	}
	if connectorID != "" {
		var unknown *ResourceNotFoundException
		if _, err := c.connectorInfo(ctx, connectorID); errors.As(err, &unknown) {
			unknown.Message = fmt.Sprintf("connector %q is not known, nor a transfer %q of it", connectorID, transferID)
			return t, unknown
		} else if err != nil {
			return t, err
		}
	}
	message := fmt.Sprintf("transfer %q is not known", transferID)
	if connectorID != "" {
		message = fmt.Sprintf("connector %q has no transfer %q", connectorID, transferID)
	}
	return t, &ResourceNotFoundException{Message: message, Resource: transferID, ResourceType: "Transfer"}
}

func validateList(in *ListFileTransferResultsInput) (after int64, err error) {
	var p problems
	p.text("ConnectorID", in.ConnectorID, 1, maxNameLength)
	p.text("TransferID", in.TransferID, 1, 512)
	if in.MaxResults < 0 || in.MaxResults > maxResults {
		p.add("MaxResults", fmt.Sprint(in.MaxResults), "is out of range (use 1 to %d, or 0 for %d)", maxResults, defaultMaxResults)
	}
	if in.NextToken != "" {
		if after, err = parseToken(in.NextToken, in.TransferID); err != nil {
			p.add("NextToken", in.NextToken, "%s (use the one of the page before, with the same TransferID)", err)
		}
	}
	return after, p.err()
}

// A token is the last row's id behind eight bytes that tie it to the transfer, which catches mix-ups; it protects
// nothing, since the rows of a transfer are all its caller's.

func newToken(transferID string, after int64) string {
	raw := make([]byte, 16)
	binary.BigEndian.PutUint64(raw[8:], uint64(after))
	copy(raw, tokenTie(transferID, raw[8:]))
	return base64.RawURLEncoding.EncodeToString(raw)
}

func parseToken(token, transferID string) (after int64, err error) {
	if len(token) > maxNextToken {
		return 0, fmt.Errorf("has more than %d characters", maxNextToken)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != 16 || string(raw[:8]) != string(tokenTie(transferID, raw[8:])) {
		return 0, errors.New("is not a token of this transfer")
	}
	return int64(binary.BigEndian.Uint64(raw[8:])), nil
}

func tokenTie(transferID string, id []byte) []byte {
	sum := sha256.Sum256(append([]byte(transferID), id...))
	return sum[:8]
}

// ListFileTransferResultsAPIClient is what the paginator needs of a Client.
type ListFileTransferResultsAPIClient interface {
	ListFileTransferResults(context.Context, *ListFileTransferResultsInput) (*ListFileTransferResultsOutput, error)
}

var _ ListFileTransferResultsAPIClient = (*Client)(nil)

// ListFileTransferResultsPaginatorOptions are the paginator's options.
type ListFileTransferResultsPaginatorOptions struct {
	Limit                int32 // files in a page; default: MaxResults of the input
	StopOnDuplicateToken bool  // end when a page's token is the one that was sent
}

// ListFileTransferResultsPaginator goes through all pages of results, with the rules of the AWS SDK's paginator of this
// name: there is a page before the first call, an empty page with a token goes on, and a page that failed is asked for
// again by the next call. It is not safe for concurrent use.
type ListFileTransferResultsPaginator struct {
	pages pager[ListFileTransferResultsOutput]
}

// NewListFileTransferResultsPaginator returns a paginator that begins at in.NextToken. in is copied.
func NewListFileTransferResultsPaginator(client ListFileTransferResultsAPIClient, in *ListFileTransferResultsInput, options ...func(*ListFileTransferResultsPaginatorOptions)) *ListFileTransferResultsPaginator {
	var first ListFileTransferResultsInput
	if in != nil {
		first = *in
	}
	o := ListFileTransferResultsPaginatorOptions{Limit: first.MaxResults}
	for _, set := range options {
		set(&o)
	}
	first.MaxResults = max(o.Limit, 0)
	ask := func(ctx context.Context, token string) (*ListFileTransferResultsOutput, string, error) {
		in := first
		in.NextToken = token
		page, err := client.ListFileTransferResults(ctx, &in)
		if err != nil {
			return nil, "", err
		}
		return page, page.NextToken, nil
	}
	return &ListFileTransferResultsPaginator{pager[ListFileTransferResultsOutput]{ask: ask, token: first.NextToken, stopOnDuplicate: o.StopOnDuplicateToken}}
}

// HasMorePages reports whether NextPage has a page to give.
func (p *ListFileTransferResultsPaginator) HasMorePages() bool { return p.pages.more() }

// NextPage returns the next page. After the last one its error is "no more pages available".
func (p *ListFileTransferResultsPaginator) NextPage(ctx context.Context) (*ListFileTransferResultsOutput, error) {
	return p.pages.next(ctx)
}

// All goes through the results of all pages that are left. It ends after the first error.
func (p *ListFileTransferResultsPaginator) All(ctx context.Context) iter.Seq2[ConnectorFileTransferResult, error] {
	return all(ctx, &p.pages, func(page *ListFileTransferResultsOutput) []ConnectorFileTransferResult {
		return page.FileTransferResults
	})
}

// TransferSummary counts the files of a transfer. Those that are neither completed nor failed are still on their way.
type TransferSummary struct {
	Files     int // all
	Completed int
	Failed    int
}

func summarize(counts map[store.State]int64) (s TransferSummary) {
	for state, n := range counts {
		s.Files += int(n)
		switch state {
		case store.Done:
			s.Completed += int(n)
		case store.Failed, store.Cancelled:
			s.Failed += int(n)
		}
	}
	return s
}
