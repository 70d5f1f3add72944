package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// ReceivedFile is a file that came by itself: a partner pushed it, and a receiver (package as2x) has dealt with it.
type ReceivedFile struct {
	// ConnectorID names what the file came through, such as an AS2 agreement: 1 to 255 characters. It MUST NOT be the
	// id of a connector, here or at another Client over the same Store.
	ConnectorID string
	// Key makes the call repeatable: files of equal ConnectorID and Key are one row. 1 to 1,024 characters.
	Key string

	Partner    string // who sent it, up to 255 characters; empty means ConnectorID
	SourcePath string // its name as the partner gave it, 1 to 1,024 characters
	TargetPath string // where it is in our storage, up to 1,024 characters; of a file that was refused, empty
	Size       int64  // bytes; -1 if that is not known
	SHA256     []byte // of the content, nil if that is not known
	RuleName   string
	Metadata   map[string]string // as in StartFileTransferInput

	Failure Code   // why it was refused; empty where it was accepted
	Message string // what else is to say of that
}

// received is the outcome of a ReceivedFile as its row's Spec keeps it, so that any node can finish the row.
type received struct {
	Size    int64  `json:"size"`
	SHA256  []byte `json:"sha256,omitempty"`
	Code    Code   `json:"code,omitempty"`
	Detail  Code   `json:"detail,omitempty"`
	Message string `json:"message,omitempty"`
}

// RecordReceived adds a row for a file that was received, finished as it is: COMPLETED, or FAILED where Failure says why.
// ListTransfers and ListFileTransferResults report it like any other (Direction store.Retrieve). It returns the TransferID
// of the row, which is the same for the same ConnectorID and Key. The Client need not be started. If two processes record
// files of one ConnectorID at once, one may finish the other's row, a moment after the other has returned.
//
// Errors: InvalidRequestException, and ServiceUnavailableException when the Store failed; repeat it then.
func (c *Client) RecordReceived(ctx context.Context, in *ReceivedFile) (transferID string, err error) {
	if err := c.validateReceived(in); err != nil {
		return "", err
	}
	t, err := newReceived(in)
	if err != nil {
		return "", &InternalServiceError{Message: err.Error(), Err: err}
	}
	f := store.NewFile{Direction: store.Retrieve, Partner: in.Partner, SourcePath: in.SourcePath, TargetPath: in.TargetPath}
	fill(&f.Partner, in.ConnectorID)
	stored, err := c.cfg.Store.CreateTransfer(ctx, t, []store.NewFile{f})
	if err != nil && !errors.Is(err, store.ErrTokenReused) {
		return "", storeFailure("record received file", err)
	}
	if err != nil {
		return "", invalid(InvalidField{"Key", in.Key, "was used before for another file (give each file a key of its own)"})
	}
	if err := c.finishReceived(ctx, in.ConnectorID); err != nil {
		return "", storeFailure("record received file", err)
	}
	return stored.ID, nil
}

func (c *Client) validateReceived(in *ReceivedFile) error {
	var p problems
	p.text("ConnectorID", in.ConnectorID, 1, maxNameLength)
	p.text("Key", in.Key, 1, maxPathLength)
	p.text("Partner", in.Partner, 0, maxNameLength)
	p.text("SourcePath", in.SourcePath, 1, maxPathLength)
	p.text("TargetPath", in.TargetPath, 0, maxPathLength)
	p.text("RuleName", in.RuleName, 0, maxNameLength)
	p.text("Message", in.Message, 0, maxMessage)
	p.metadata(in.Metadata)
	if _, is := c.cfg.Connectors[in.ConnectorID]; is {
		p.add("ConnectorID", in.ConnectorID, "is a connector's id, whose rows are work to do (use another one)")
	}
	return p.err()
}

func newReceived(in *ReceivedFile) (store.Transfer, error) {
	code, detail := publish(store.Retrieve, stepRead, in.Failure)
	if in.Failure == "" {
		code, detail = "", ""
	}
	text, err := json.Marshal(spec{Received: &received{in.Size, in.SHA256, code, detail, in.Message}})
	if err != nil {
		return store.Transfer{}, fmt.Errorf("encode received file: %w", err)
	}
	token := sha256.Sum256(fmt.Appendf(nil, "%q %q", in.ConnectorID, in.Key))
	hash := sha256.Sum256([]byte(in.Key))
	id := newUUID(time.Now())
	return store.Transfer{
		ID: id, FollowID: id, ConnectorID: in.ConnectorID, ClientToken: "received/" + hex.EncodeToString(token[:]), RequestHash: hash[:],
		RuleName: in.RuleName, Metadata: in.Metadata, Spec: text,
	}, nil
}

const receivedBatch = 100

// finishReceived gives the rows of received files the outcome that they hold: the one just created, and those of whoever
// did not come to it.
func (c *Client) finishReceived(ctx context.Context, connectorID string) error {
	for {
		claimed, err := c.cfg.Store.Claim(ctx, store.ClaimRequest{
			Worker: c.cfg.Name, Max: receivedBatch, Lease: c.cfg.Lease, Limits: map[string]int{connectorID: math.MaxInt32},
		})
		if err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		if len(claimed) == 0 {
			return nil
		}
		changes := make([]store.Change, len(claimed))
		for i := range claimed {
			changes[i] = receivedChange(&claimed[i])
			changes[i].Note = c.cfg.note(&claimed[i].File, &changes[i], nil)
		}
		if _, err := c.cfg.Store.Update(ctx, changes); err != nil { // a lost lease means that another has finished it
			return fmt.Errorf("finish: %w", err)
		}
	}
}

// receivedChange is what becomes of a received file.
func receivedChange(f *store.Claimed) store.Change {
	change := store.Change{ID: f.ID, Token: f.Token, State: store.Done}
	var s spec
	if err := json.Unmarshal(f.Spec, &s); err != nil || s.Received == nil {
		change.State = store.Failed
		change.Failure = store.Failure{Code: string(InternalError), Message: "the row is not one of a received file"}
		return change
	}
	r := s.Received
	change.Progress = store.Progress{Phase: store.PhaseFinalize, Size: r.Size, SHA256: r.SHA256}
	if r.Code != "" {
		change.State = store.Failed
		change.Failure = store.Failure{Code: string(r.Code), Detail: string(r.Detail), Message: r.Message}
		return change
	}
	change.Offset = r.Size
	return change
}
