package transfer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// RetryTransferInput says which files to send or retrieve once more: exactly one of TransferID, FileIDs and Files.
type RetryTransferInput struct {
	TransferID string  // those files of a transfer that failed
	FileIDs    []int64 // files by their FileID, at most 1,000, that failed or were cancelled
	Files      *Query  // those files that it matches and that failed, at most 100,000

	// Cancelled repeats files that a user has cancelled, too. It goes without saying for FileIDs.
	Cancelled bool

	// Whole repeats all finished files, COMPLETED and cancelled ones too. A file that is not finished is never repeated.
	Whole bool

	// ClientToken says which repetition this is. With the same token and the same files the same new transfers are
	// returned, and nothing is started twice; with other files it is refused; another token starts the files once
	// more. Up to 64 characters. Without one, a file is repeated once ever: a query that finds it again finds what was
	// started then. If that failed as well, repeat that.
	ClientToken string
}

// RetryTransferOutput names the new transfers.
type RetryTransferOutput struct {
	Transfers []RetriedTransfer
}

// RetriedTransfer is a transfer that repeats files of another one.
type RetriedTransfer struct {
	TransferID string // the new one
	RetryOf    string // TransferID of the files that it repeats
	Files      int
}

// RetryTransfer starts finished files again, with the same FollowID, rule, metadata and options; a result's RetryOf names
// the file that it repeats. The earlier files stay what they are. With a ClientToken, the files of one transfer become one
// new transfer; without, each file becomes a transfer of its own.
//
// Errors: InvalidRequestException where fields are wrong or there is nothing to repeat, ResourceNotFoundException for an
// unknown transfer, ServiceUnavailableException when the Store failed; what was started by then is in the output.
func (c *Client) RetryTransfer(ctx context.Context, in *RetryTransferInput) (*RetryTransferOutput, error) {
	if in == nil {
		in = &RetryTransferInput{}
	}
	files, err := c.toRepeat(ctx, in)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, &InvalidRequestException{Message: "there is no file to repeat (only files that failed are, with Cancelled those that were cancelled too, and with Whole all that are finished)"}
	}
	asked := ControlInput{in.TransferID, in.FileIDs, in.Files}
	if err := c.auditFiles(ctx, AuditRetry, &asked, in.ClientToken); err != nil {
		return nil, err
	}
	out := &RetryTransferOutput{}
	for len(files) > 0 {
		n := 1
		for in.ClientToken != "" && n < len(files) && files[n].TransferID == files[0].TransferID {
			n++
		}
		t, err := c.repeat(ctx, files[:n], in.ClientToken)
		if err != nil {
			return out, err
		}
		out.Transfers = append(out.Transfers, t)
		files = files[n:]
	}
	c.cfg.Logger.Info("files repeated", "transfers", len(out.Transfers))
	return out, nil
}

const (
	maxRetryToken = 64      // leaves room for a transfer's id
	maxRetried    = 100_000 // files of one call
)

// toRepeat returns the files that in selects, those of one transfer in a row.
func (c *Client) toRepeat(ctx context.Context, in *RetryTransferInput) ([]store.File, error) {
	if err := (&ControlInput{in.TransferID, in.FileIDs, in.Files}).check(); err != nil {
		return nil, err
	}
	var p problems
	p.text("ClientToken", in.ClientToken, 0, maxRetryToken)
	if err := p.err(); err != nil {
		return nil, err
	}
	if c.engine.stopped() {
		return nil, &ServiceUnavailableException{Message: "the client was shut down"}
	}
	states := []store.State{store.Failed}
	if in.Cancelled || in.Whole || len(in.FileIDs) > 0 {
		states = append(states, store.Cancelled)
	}
	if in.Whole {
		states = append(states, store.Done)
	}
	if len(in.FileIDs) > 0 {
		return c.filesByID(ctx, in.FileIDs, states)
	}
	q := in.Files
	if in.TransferID != "" {
		if _, err := c.findTransfer(ctx, "", in.TransferID); err != nil {
			return nil, err
		}
		all := c.ListTransfers().Transfer(in.TransferID)
		q = &all
	}
	var files []store.File
	err := c.pick(ctx, *q, states, func(f *store.File) error {
		if len(files) == maxRetried {
			return &InvalidRequestException{Message: fmt.Sprintf("more than %d files match (narrow the query, or set its Limit)", maxRetried)}
		}
		files = append(files, store.File{ID: f.ID, TransferID: f.TransferID, NewFile: f.NewFile})
		return nil
	})
	slices.SortFunc(files, func(a, b store.File) int { return cmp.Compare(a.ID, b.ID) }) // those of one transfer in a row
	return slices.CompactFunc(files, func(a, b store.File) bool { return a.ID == b.ID }), err
}

// filesByID reads these files, each of which must be in one of states.
func (c *Client) filesByID(ctx context.Context, ids []int64, states []store.State) ([]store.File, error) {
	var p problems
	var files []store.File
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			continue
		}
		found, err := c.cfg.Store.ListFiles(ctx, store.Query{After: store.Cursor{ID: id - 1}, Limit: 1})
		if err != nil {
			return nil, storeFailure("list files", err)
		}
		name := fmt.Sprintf("FileIDs[%d]", i)
		switch {
		case len(found) == 0 || found[0].ID != id:
			p.add(name, strconv.FormatInt(id, 10), "is not known")
		case !slices.Contains(states, found[0].State):
			p.add(name, strconv.FormatInt(id, 10), "is %v (only FAILED files are repeated, and with Whole COMPLETED ones too)", found[0].State)
		default:
			files = append(files, found[0])
		}
	}
	slices.SortFunc(files, func(a, b store.File) int { return cmp.Compare(a.ID, b.ID) })
	return files, p.err()
}

// repeat starts files of one transfer again.
func (c *Client) repeat(ctx context.Context, files []store.File, token string) (RetriedTransfer, error) {
	earlier, err := c.cfg.Store.GetTransfer(ctx, files[0].TransferID)
	if err != nil {
		return RetriedTransfer{}, storeFailure("get transfer", err)
	}
	if _, err := c.connectorInfo(ctx, earlier.ConnectorID); err != nil {
		return RetriedTransfer{}, err
	}
	t := earlier
	t.ID, t.ClientToken, t.RequestHash = newUUID(time.Now()), "", nil
	again := make([]store.NewFile, len(files))
	for i, f := range files {
		again[i] = f.NewFile
		again[i].Parent, again[i].StartAt = f.ID, time.Time{}
	}
	t.ClientToken, t.RequestHash = token+"/"+earlier.ID, idsHash(files)
	if token == "" {
		t.ClientToken = fmt.Sprintf("retry/%d", files[0].ID)
	}
	asked := AuditAsked{ConnectorID: t.ConnectorID, Files: len(files), RetryOf: earlier.ID}
	if err := c.audit(ctx, AuditRetry, asked, store.Event{TransferID: t.ID}); err != nil {
		return RetriedTransfer{}, err
	}
	stored, err := c.storeRepeated(ctx, t, again)
	if errors.Is(err, store.ErrTokenReused) {
		return RetriedTransfer{}, invalid(InvalidField{"ClientToken", token, "was used before for other files (use a new token for a new request)"})
	}
	if err != nil {
		return RetriedTransfer{}, storeFailure("retry transfer "+earlier.ID, err)
	}
	return RetriedTransfer{TransferID: stored.ID, RetryOf: earlier.ID, Files: stored.Files}, nil
}

// storeRepeated stores a transfer that repeats files.
func (c *Client) storeRepeated(ctx context.Context, t store.Transfer, files []store.NewFile) (stored store.Transfer, err error) {
	ctx, end := c.cfg.observe(ctx, Activity{
		Kind: ActivitySubmit, ConnectorID: t.ConnectorID, Direction: files[0].Direction, Files: len(files),
	})
	defer func() { end(err) }()
	return c.cfg.Store.CreateTransfer(ctx, t, files)
}

// idsHash is equal for equal files.
func idsHash(files []store.File) []byte {
	h := sha256.New()
	for _, f := range files {
		_ = binary.Write(h, binary.BigEndian, f.ID)
	}
	return h.Sum(nil)
}
