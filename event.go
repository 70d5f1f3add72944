package transfer

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// EventType is what happened.
type EventType string

// Types of events. Sinks are told of those that end a file or a transfer, and of EventFileProgress if they want;
// subscriptions of all.
const (
	EventFileStarted      EventType = "file.started"      // an attempt at it has begun
	EventFileProgress     EventType = "file.progress"     // more of it was acknowledged by the target
	EventFileWaiting      EventType = "file.waiting"      // for its next attempt, or, without a FailureCode, for the partner's receipt
	EventFileInterrupted  EventType = "file.interrupted"  // its node stopped; it goes on by itself
	EventFilePaused       EventType = "file.paused"       // by a user
	EventFileCompleted    EventType = "file.completed"    // delivered
	EventFileFailed       EventType = "file.failed"       // for good
	EventFileCancelled    EventType = "file.cancelled"    // by a user
	EventTransferFinished EventType = "transfer.finished" // all files of it are completed, failed or cancelled
)

// eventTypes lists them; a type's place is its bit in a set of types.
var eventTypes = []EventType{
	EventFileStarted, EventFileProgress, EventFileWaiting, EventFileInterrupted, EventFilePaused,
	EventFileCompleted, EventFileFailed, EventFileCancelled, EventTransferFinished,
}

// Event is something that happened to a file or a transfer. Its JSON form has the names in the tags; what is zero is left
// out there. Times are UTC.
type Event struct {
	// ID is a UUID that is the same each time the event is delivered. The end of a file, and that of a transfer, have the
	// same ID in whatever sink or subscription, and in package awsapi.
	ID   string    `json:"id"`
	Type EventType `json:"type"`
	Time time.Time `json:"time"` // when it happened

	// Seq grows over the events of one file in one sink or subscription; not without gaps.
	Seq int64 `json:"seq,omitempty"`

	TransferID  string            `json:"transferId"`
	FileID      int64             `json:"fileId,omitempty"` // 0: it is about a transfer
	ConnectorID string            `json:"connectorId,omitempty"`
	Partner     string            `json:"partner,omitempty"` // the remote side
	FollowID    string            `json:"followId,omitempty"`
	RuleName    string            `json:"ruleName,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`

	// Operation is "SEND" or "RETRIEVE" (AWS: operation).
	Operation string `json:"operation,omitempty"`

	// StatusCode and the failure are as in ConnectorFileTransferResult. A transfer is COMPLETED if all of its files are,
	// and has no status if that cannot be known because rows were purged.
	StatusCode     TransferTableStatus `json:"statusCode,omitempty"`
	FailureCode    Code                `json:"failureCode,omitempty"`
	FailureDetail  Code                `json:"failureDetail,omitempty"`
	FailureMessage string              `json:"failureMessage,omitempty"`

	FilePath         string    `json:"filePath,omitempty"` // as given in the request
	TargetPath       string    `json:"targetPath,omitempty"`
	BytesTransferred int64     `json:"bytesTransferred,omitempty"` // acknowledged by the target
	Size             int64     `json:"size"`                       // bytes; -1 if not known
	SHA256           string    `json:"sha256,omitempty"`           // in hexadecimal, of a file that was COMPLETED and not Skipped
	Skipped          bool      `json:"skipped,omitempty"`
	Attempts         int       `json:"attempts,omitempty"`
	Failures         int       `json:"failures,omitempty"`
	RetryOf          int64     `json:"retryOf,omitempty"` // FileID of the file that this one repeats
	CreatedAt        time.Time `json:"createdAt,omitzero"`
	StartedAt        time.Time `json:"startedAt,omitzero"`
	NextAttemptAt    time.Time `json:"nextAttemptAt,omitzero"`
	FinishedAt       time.Time `json:"finishedAt,omitzero"`

	// Files, FilesCompleted and FilesFailed count the files of a transfer that has ended. Those that were purged before
	// are in Files alone.
	Files          int `json:"files,omitempty"`
	FilesCompleted int `json:"filesCompleted,omitempty"`
	FilesFailed    int `json:"filesFailed,omitempty"`

	// Purged says that the row was removed from the Store before the event was delivered. It then has what was noted with
	// the event, which is less.
	Purged bool `json:"purged,omitempty"`
}

// Operations of events, in AWS's words.
const (
	operationSend     = "SEND"
	operationRetrieve = "RETRIEVE"
)

// Event returns the row as an event: the end of a file that has ended, otherwise what it does just now.
func (r *TransferRow) Event() Event {
	e := Event{
		ID:   eventID(fileEventName(r.TransferID, r.FileID)),
		Type: r.eventType(), Time: r.UpdatedAt,
		TransferID: r.TransferID, FileID: r.FileID, ConnectorID: r.ConnectorID, Partner: r.Partner, FollowID: r.FollowID,
		RuleName: r.RuleName, Metadata: r.Metadata, Operation: operationRetrieve,
		StatusCode: r.StatusCode, FailureCode: r.FailureCode, FailureDetail: r.FailureDetail, FailureMessage: r.FailureMessage,
		FilePath: r.FilePath, TargetPath: r.TargetPath, BytesTransferred: r.BytesTransferred, Size: r.Size, SHA256: r.SHA256,
		Skipped: r.Skipped, Attempts: r.Attempts, Failures: r.Failures, RetryOf: r.RetryOf,
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, NextAttemptAt: r.NextAttemptAt, FinishedAt: r.FinishedAt,
	}
	if r.Sent {
		e.Operation = operationSend
	}
	if !r.FinishedAt.IsZero() {
		e.Time = r.FinishedAt
	}
	if !e.Type.final() {
		e.ID = eventID(fmt.Sprintf("%s %s %d", fileEventName(r.TransferID, r.FileID), e.Type, r.UpdatedAt.UnixMicro()))
	}
	return e
}

// eventType is what the row's state says; AWS's status alone says less.
func (r *TransferRow) eventType() EventType {
	if t, ok := stateEvents[r.State]; ok {
		return t
	}
	switch r.StatusCode {
	case TransferTableStatusCompleted:
		return EventFileCompleted
	case TransferTableStatusFailed:
		return EventFileFailed
	}
	return EventFileWaiting
}

var stateEvents = map[store.State]EventType{
	store.Queued: EventFileWaiting, store.Running: EventFileProgress, store.Waiting: EventFileWaiting,
	store.Paused: EventFilePaused, store.Interrupted: EventFileInterrupted,
	store.Done: EventFileCompleted, store.Failed: EventFileFailed, store.Cancelled: EventFileCancelled,
}

// final reports whether nothing comes after it: neither of the file, nor of the transfer.
func (t EventType) final() bool {
	switch t {
	case EventFileCompleted, EventFileFailed, EventFileCancelled, EventTransferFinished:
		return true
	}
	return false
}

// fileEvent is a row's event.
func fileEvent(f *store.File) Event {
	row := newRow(f, "")
	return row.Event()
}

// fileEventName is what AWS calls a file-transfer-id.
func fileEventName(transferID string, fileID int64) string {
	return transferID + "/" + strconv.FormatInt(fileID, 10)
}

// eventID is a UUID (RFC 9562, version 8) that depends on name only: whoever gets an event twice can tell.
func eventID(name string) string {
	u := sha256.Sum256([]byte("event of " + name))
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
