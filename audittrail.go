package transfer

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// AuditQuery selects records of the audit trail. Empty fields are no filter.
type AuditQuery struct {
	TransferID string
	FileID     int64
	From, To   time.Time // when it was noted; both inclusive
}

// AuditRecord is one record of the audit trail: what somebody has asked for, or what became of a file.
type AuditRecord struct {
	Seq    int64 // its place in the trail; growing, with gaps
	Time   time.Time
	Action AuditAction
	Actor  string // see WithActor; empty if the program has not said, and of AuditFileFinished
	Node   string // Config.Name of the Client that was asked, or that moved the file

	TransferID string // of a file, or of what was asked about a whole transfer
	FileID     int64

	Asked *AuditAsked   // nil of AuditFileFinished
	File  *AuditOutcome // of AuditFileFinished alone
}

// AuditOutcome is what became of a file. What a user has cancelled before any node took it up again has the numbers and the
// failure alone.
type AuditOutcome struct {
	StatusCode       TransferTableStatus
	FailureCode      Code
	FailureDetail    Code
	FailureMessage   string
	ConnectorID      string
	Partner          string
	RuleName         string
	FollowID         string
	Operation        string // "SEND" or "RETRIEVE"
	FilePath         string
	TargetPath       string
	BytesTransferred int64
	Size             int64  // bytes; -1 if not known
	SHA256           string // of the content in hexadecimal, where it was COMPLETED and not Skipped
	Skipped          bool
	Attempts         int

	// Session is how the partner's server was reached in the attempt that delivered the file, or else in the one that
	// ended it; zero if it was not reached, or where the connector says nothing of it.
	Session SessionInfo
}

// auditBatch is how many records are read at a time.
const auditBatch = 500

// AuditTrail goes through the audit trail in its order, whatever Client has written it and whether or not this one has
// Config.Audit. It ends after the first error, such as ServiceUnavailableException when the Store failed. Records that are
// written while it reads may come or not.
//
// The trail is append-only: this package has no way to change a record, and removes old ones only as Retention.Audit says.
// Whoever may write to the database can change it all the same; records are not chained by hashes. Keep a copy elsewhere
// where that matters.
func (c *Client) AuditTrail(ctx context.Context, q AuditQuery) iter.Seq2[AuditRecord, error] {
	return func(yield func(AuditRecord, error) bool) {
		query := store.EventQuery{Stream: auditStream, TransferID: q.TransferID, FileID: q.FileID, From: q.From, To: q.To, Limit: auditBatch}
		for {
			events, err := c.cfg.Store.ListEvents(ctx, query)
			if err != nil {
				yield(AuditRecord{}, storeFailure("read audit trail", err))
				return
			}
			for i := range events {
				if !yield(newAuditRecord(&events[i]), nil) {
					return
				}
			}
			if len(events) < auditBatch {
				return
			}
			query.After = events[len(events)-1].Seq
		}
	}
}

func newAuditRecord(e *store.Event) AuditRecord {
	r := AuditRecord{Seq: e.Seq, Time: e.At, TransferID: e.TransferID, FileID: e.FileID}
	if e.Kind == store.Noted {
		var n actNote
		_ = json.Unmarshal(e.Note, &n) // one that cannot be read has its time and what it is about
		r.Action, r.Actor, r.Node, r.Asked = n.Action, n.Actor, n.Node, n.Asked
		return r
	}
	event := purgedEvent(*e)
	var n fileNote
	_ = json.Unmarshal(e.Note, &n) // of files that a user has cancelled there is none
	r.Action, r.Node = AuditFileFinished, n.Node
	r.File = &AuditOutcome{
		StatusCode: event.StatusCode, FailureCode: event.FailureCode, FailureDetail: event.FailureDetail, FailureMessage: event.FailureMessage,
		ConnectorID: event.ConnectorID, Partner: event.Partner, RuleName: event.RuleName, FollowID: event.FollowID, Operation: event.Operation,
		FilePath: event.FilePath, TargetPath: event.TargetPath, BytesTransferred: event.BytesTransferred, Size: event.Size,
		SHA256: event.SHA256, Skipped: event.Skipped, Attempts: event.Attempts,
	}
	if n.Session != nil {
		r.File.Session = *n.Session
	}
	return r
}
