package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed62b9dc43/transfer/store"
)

// ControlInput says which files to pause, resume or cancel: exactly one of its fields.
type ControlInput struct {
	TransferID string  // all files of a transfer
	FileIDs    []int64 // files by their FileID, at most 1,000
	Files      *Query  // every file that it matches; Limit, Offset and After count as well
}

// ControlOutput tells what came of it.
type ControlOutput struct {
	Files   int           // for which it is done; a running file follows within about a second
	Refused []RefusedFile // whose state does not allow it
}

// RefusedFile is a file that could not be controlled.
type RefusedFile struct {
	FileID int64
	Reason string // names the state
}

// PauseTransfer stops files until ResumeTransfer. Those that wait are Paused at once; those that run stop within about a
// second, on whatever node, keep what was delivered so far, and go on from there later. A file that is just being
// published is COMPLETED all the same. Pausing again changes nothing.
//
// Given TransferID or Files, finished files are passed over, and none at all is an error. Errors: InvalidRequestException
// where fields are wrong or the state of every file forbids it, ResourceNotFoundException for an unknown transfer or file,
// ServiceUnavailableException when the Store failed; what was done by then is in the output.
func (c *Client) PauseTransfer(ctx context.Context, in *ControlInput) (*ControlOutput, error) {
	return c.control(ctx, in, control{"pause", store.Paused, []store.State{store.Queued, store.Running, store.Waiting, store.Interrupted, store.Paused}})
}

// ResumeTransfer lets paused files go on, from where they stopped, and ends the delay of files that wait for their next
// attempt: they begin it when their turn comes and the partner can be reached.
// Files that are under way anyway stay so. Errors are as with PauseTransfer.
func (c *Client) ResumeTransfer(ctx context.Context, in *ControlInput) (*ControlOutput, error) {
	return c.control(ctx, in, control{"resume", store.Queued, []store.State{store.Queued, store.Running, store.Waiting, store.Interrupted, store.Paused}})
}

// CancelTransfer ends files for good: they are FAILED with the code CANCELLED. Those that run stop within about a second,
// on whatever node. What was delivered of them so far is removed, later if the partner cannot be reached. A file that is
// just being published is COMPLETED all the same, and one that failed meanwhile stays what it is. Cancelling again changes
// nothing. Errors are as with PauseTransfer.
func (c *Client) CancelTransfer(ctx context.Context, in *ControlInput) (*ControlOutput, error) {
	return c.control(ctx, in, control{"cancel", store.Cancelled, []store.State{store.Queued, store.Running, store.Waiting, store.Interrupted, store.Paused, store.Cancelled}})
}

// control is one of the verbs.
type control struct {
	verb string
	to   store.State
	from []store.State // what it is possible in
}

var controlActions = map[store.State]AuditAction{store.Paused: AuditPause, store.Queued: AuditResume, store.Cancelled: AuditCancel}

// maxFileIDs is how many files one call may name.
const maxFileIDs = 1000

func (c *Client) control(ctx context.Context, in *ControlInput, v control) (*ControlOutput, error) {
	if in == nil {
		in = &ControlInput{}
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if err := c.auditFiles(ctx, controlActions[v.to], in, ""); err != nil {
		return nil, err
	}
	if len(in.FileIDs) > 0 {
		return c.controlByID(ctx, in.FileIDs, v)
	}
	files := in.Files
	if in.TransferID != "" {
		if _, err := c.findTransfer(ctx, "", in.TransferID); err != nil {
			return nil, err
		}
		q := c.ListTransfers().Transfer(in.TransferID)
		files = &q
	}
	var ids []int64
	err := c.pick(ctx, *files, v.from, func(f *store.File) error {
		ids = append(ids, f.ID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, &InvalidRequestException{Message: fmt.Sprintf("there is no file to %s (all that were meant are finished, or none is)", v.verb)}
	}
	slices.Sort(ids) // a file that moved in the order came twice
	ids = slices.Compact(ids)
	out := &ControlOutput{}
	for batch := range slices.Chunk(ids, eachBatch) {
		if err := c.apply(ctx, batch, v, out); err != nil {
			return out, err
		}
	}
	c.cfg.Logger.Info("files controlled", "verb", v.verb, "files", out.Files, "refused", len(out.Refused))
	return out, nil
}

// check makes sure that exactly one field is given.
func (in *ControlInput) check() error {
	var p problems
	given := 0
	for _, is := range []bool{in.TransferID != "", len(in.FileIDs) > 0, in.Files != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return &InvalidRequestException{Message: fmt.Sprintf("%d of TransferID, FileIDs and Files are given (give exactly one)", given)}
	}
	p.text("TransferID", in.TransferID, 0, 512)
	if len(in.FileIDs) > maxFileIDs {
		p.add("FileIDs", fmt.Sprintf("%d files", len(in.FileIDs)), "are too many (at most %d; or use Files)", maxFileIDs)
		return p.err()
	}
	for i, id := range in.FileIDs {
		if id < 1 {
			p.add(fmt.Sprintf("FileIDs[%d]", i), strconv.FormatInt(id, 10), "is no file's id (ids are 1 or more)")
		}
	}
	if in.Files != nil {
		if err := in.Files.check(); err != nil {
			return err
		}
	}
	return p.err()
}

func (c *Client) controlByID(ctx context.Context, ids []int64, v control) (*ControlOutput, error) {
	out := &ControlOutput{}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	if err := c.apply(ctx, ids, v, out); err != nil {
		return nil, err
	}
	if out.Files == 0 {
		var p problems
		for _, r := range out.Refused {
			p.add("FileIDs", strconv.FormatInt(r.FileID, 10), "cannot be %s: %s", pastTense[v.verb], r.Reason)
		}
		return nil, p.err()
	}
	c.cfg.Logger.Info("files controlled", "verb", v.verb, "files", out.Files, "refused", len(out.Refused))
	return out, nil
}

var pastTense = map[string]string{"pause": "paused", "resume": "resumed", "cancel": "cancelled"}

// apply controls these files and adds what came of it to out.
func (c *Client) apply(ctx context.Context, ids []int64, v control, out *ControlOutput) error {
	verdicts, err := c.cfg.Store.Control(ctx, store.ControlRequest{IDs: ids, To: v.to})
	if err != nil {
		return storeFailure(v.verb+" files", err)
	}
	for i, verdict := range verdicts {
		switch {
		case verdict == nil:
			out.Files++
			c.tellControlled(ctx, ids[i])
		case errors.Is(verdict, store.ErrNotFound) && len(ids) == 1:
			id := strconv.FormatInt(ids[i], 10)
			return &ResourceNotFoundException{Message: "file " + id + " is not known", Resource: id, ResourceType: "File"}
		case errors.Is(verdict, store.ErrNotFound):
			out.Refused = append(out.Refused, RefusedFile{ids[i], "the file is not known"})
		default:
			out.Refused = append(out.Refused, RefusedFile{ids[i], refusal(ids[i], verdict)})
		}
	}
	return nil
}

// refusal is why a file is refused, without the store's own words.
func refusal(id int64, verdict error) string {
	text := strings.TrimSuffix(verdict.Error(), ": "+store.ErrState.Error())
	if _, state, ok := strings.Cut(text, fmt.Sprintf("file %d ", id)); ok {
		return "it " + state
	}
	return text
}

// pick calls take for each file that l selects and that is in one of states, as it is at first: nothing is changed before
// all were seen.
func (c *Client) pick(ctx context.Context, l Query, states []store.State, take func(*store.File) error) error {
	if l.q.States != nil {
		states = slices.DeleteFunc(slices.Clone(states), func(s store.State) bool { return !slices.Contains(l.q.States, s) })
	}
	l.q.States = states
	for row, err := range l.Each(ctx) {
		if err != nil {
			return err
		}
		if err := take(&row.file); err != nil {
			return err
		}
	}
	return nil
}
