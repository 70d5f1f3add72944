package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/seed62b9dc43/transfer/store"
)

// LedgerPolicy says what becomes of a file that was transferred before: over the same connector, in the same direction,
// from the same path, in the same version (size and modification time, or the same ETag). The ledger is kept in the Store,
// also when the rows of files are not any more (Retention.Ledger).
//
// It is asked when the file's turn comes, and written when the file is COMPLETED: two rows of one file that run at once both
// move it. A source whose storage tells neither ETag nor modification time is never known to be the same version. A file
// that RetryTransfer repeats is transferred again, whatever the policy.
type LedgerPolicy string

// Ledger policies. The empty one neither asks the ledger nor writes into it.
const (
	LedgerSkip   LedgerPolicy = "SKIP"   // the file is COMPLETED without moving it; its result says Skipped
	LedgerResend LedgerPolicy = "RESEND" // it is transferred again, and the ledger written
	LedgerFail   LedgerPolicy = "FAIL"   // it fails with WRITE_FILE_ERROR, detail ALREADY_TRANSFERRED
	// LedgerSkipContent is LedgerSkip, and a new version with the content of the one before is read but not published
	// either. What counts is the SHA-256 of what would be delivered: a Transform that makes other bytes each time, or keeps
	// the source's time (Zip), finds no equals.
	LedgerSkipContent LedgerPolicy = "SKIP_CONTENT"
)

func (p LedgerPolicy) valid() bool {
	return p == "" || p == LedgerSkip || p == LedgerResend || p == LedgerFail || p == LedgerSkipContent
}

// LedgerScope is the scope of the ledger's entries for files that go over a connector in one direction.
func LedgerScope(connectorID string, d store.Direction) string {
	if d == store.Retrieve {
		return connectorID + "/retrieve"
	}
	return connectorID + "/send"
}

// ForgetTransferredInput names files that the ledger shall no longer know.
type ForgetTransferredInput struct {
	ConnectorID       string   // required; the connector need not exist any more
	SendFilePaths     []string // as in the results of those that were sent (FilePath)
	RetrieveFilePaths []string // as in the results of those that were retrieved
}

// ForgetTransferred lets files be transferred again that a LedgerPolicy would hold back. Paths that the ledger does not know
// are no error.
//
// Errors: InvalidRequestException with every wrong field, ServiceUnavailableException when the Store failed.
func (c *Client) ForgetTransferred(ctx context.Context, in *ForgetTransferredInput) error {
	if in == nil {
		in = &ForgetTransferredInput{}
	}
	var p problems
	p.text("ConnectorID", in.ConnectorID, 1, maxNameLength)
	if len(in.SendFilePaths)+len(in.RetrieveFilePaths) == 0 {
		p.add("SendFilePaths", "", "and RetrieveFilePaths are both empty (give one of them)")
	}
	p.named("SendFilePaths", in.SendFilePaths, c.cfg.MaxPaths)
	p.named("RetrieveFilePaths", in.RetrieveFilePaths, c.cfg.MaxPaths)
	if err := p.err(); err != nil {
		return err
	}
	for _, part := range []struct {
		direction store.Direction
		paths     []string
	}{{store.Send, in.SendFilePaths}, {store.Retrieve, in.RetrieveFilePaths}} {
		if len(part.paths) == 0 {
			continue
		}
		if err := c.auditForget(ctx, in.ConnectorID, part.direction, part.paths); err != nil {
			return err
		}
		if err := c.cfg.Store.Forget(ctx, LedgerScope(in.ConnectorID, part.direction), part.paths); err != nil {
			return storeFailure("forget transferred files", err)
		}
	}
	return nil
}

// named checks paths that need not name anything.
func (p *problems) named(name string, paths []string, limit int) {
	if limit > 0 && len(paths) > limit {
		p.add(name, "", "has %d paths, more than Config.MaxPaths, %d (split the request)", len(paths), limit)
		return
	}
	for i, path := range paths {
		p.text(fmt.Sprintf("%s[%d]", name, i), path, 1, maxPathLength)
	}
}

// errSameContent ends a delivery whose content is there already.
var errSameContent = &Error{Op: "publish", Code: AlreadyTransferred}

// ledgerPolicy is what counts for this file.
func (d *delivery) ledgerPolicy() LedgerPolicy {
	if d.request.Ledger != "" && d.job.file.Parent != 0 {
		return LedgerResend
	}
	return d.request.Ledger
}

// askLedger reports whether the pinned version was transferred before and is not to be again.
func (d *delivery) askLedger() (skip bool, err error) {
	policy, f := d.ledgerPolicy(), &d.job.file.File
	if policy == "" || policy == LedgerResend {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(d.job.moving, storeTimeout)
	defer cancel()
	found, err := d.engine.store.LookUp(ctx, LedgerScope(f.ConnectorID, f.Direction), []string{f.SourcePath})
	if err != nil {
		return false, stepError{stepLedger, &Error{Op: "look up", Path: f.SourcePath, Code: OperationTimeout, Err: err}}
	}
	if len(found) == 0 {
		return false, nil
	}
	d.before = &found[0]
	switch {
	case !d.info.versioned() || d.before.Identity != d.info.Identity():
		return false, nil
	case policy == LedgerFail:
		return false, stepError{stepLedger, &Error{Op: "look up", Path: f.SourcePath, Code: AlreadyTransferred,
			Err: fmt.Errorf("this version was transferred before, as file %d at %s", d.before.FileID, waarpTimeOf(d.before.At))}}
	}
	return true, nil
}

// leaveOut ends a delivery before it begins. Where an earlier attempt has left something at the partner, that must be within
// reach: nobody sweeps after a file that is Done.
func (d *delivery) leaveOut() error {
	if d.job.last != nil {
		if err := d.remote.connect(d.job.moving); err != nil {
			return err
		}
	}
	d.job.skipped()
	return nil
}

// sameContent fails where the content that has arrived was published before, and the policy is to leave it.
func (d *delivery) sameContent(sum [sha256.Size]byte) error {
	if d.before == nil || d.ledgerPolicy() != LedgerSkipContent || !bytes.Equal(d.before.SHA256, sum[:]) {
		return nil
	}
	d.job.enters(d.ledgerEntry(sum[:]))
	return errSameContent
}

// enterLedger has the ledger written along with the outcome.
func (d *delivery) enterLedger() {
	if d.request.Ledger == "" || !d.info.versioned() {
		return
	}
	if sum := d.job.sum(); sum != nil {
		d.job.enters(d.ledgerEntry(sum))
	}
}

func (d *delivery) ledgerEntry(sum []byte) *store.LedgerEntry {
	f := &d.job.file.File
	return &store.LedgerEntry{
		Scope: LedgerScope(f.ConnectorID, f.Direction), Path: f.SourcePath, Identity: d.info.Identity(), Size: d.info.Size, SHA256: bytes.Clone(sum),
	}
}

// held reports whether err says that the file is held back, and is done with that.
func (d *delivery) held(err error) bool {
	return errors.Is(err, error(errSameContent)) && d.ledgerPolicy() == LedgerSkipContent ||
		CodeOf(err) == FileExists && d.request.Overwrite == OverwriteSkip
}

func (j *job) sum() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.progress.SHA256
}

func (j *job) enters(e *store.LedgerEntry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entry = e
}
