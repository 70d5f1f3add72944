package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/seed62b9dc43/transfer/store"
)

// AuditAction is what an AuditRecord is about.
type AuditAction string

// Actions of the audit trail. All but AuditFileFinished are noted before they are done: what was asked, not what came of
// it. One that was refused, or failed, may be noted all the same; so may a repetition with a ClientToken, under a TransferID
// that nothing has. What only reads is not noted (lists, descriptions, TestConnection, ListDirectory), nor is what a
// Client does by itself, as Config says.
const (
	AuditFileFinished    AuditAction = "FILE_FINISHED" // what became of a file
	AuditStartTransfer   AuditAction = "START_FILE_TRANSFER"
	AuditPause           AuditAction = "PAUSE"
	AuditResume          AuditAction = "RESUME"
	AuditCancel          AuditAction = "CANCEL"
	AuditRetry           AuditAction = "RETRY"
	AuditCreateConnector AuditAction = "CREATE_CONNECTOR"
	AuditUpdateConnector AuditAction = "UPDATE_CONNECTOR"
	AuditDeleteConnector AuditAction = "DELETE_CONNECTOR"
	AuditRemoteList      AuditAction = "REMOTE_LIST"
	AuditRemoteDelete    AuditAction = "REMOTE_DELETE"
	AuditRemoteMove      AuditAction = "REMOTE_MOVE"
	AuditForget          AuditAction = "FORGET_TRANSFERRED"
	AuditPurge           AuditAction = "PURGE"
	AuditRemoveSink      AuditAction = "REMOVE_SINK"
)

// auditStream is the stream of the audit trail.
const auditStream = "audit"

func openTrail(ctx context.Context, s store.Store) error {
	return s.OpenStream(ctx, store.Stream{Name: auditStream, Kinds: []store.EventKind{store.FileFinished}})
}

// Bounds of what the audit trail keeps of a request.
const (
	maxActor      = 255      // characters
	maxAuditPaths = 100      // of a list; the count is kept in any case
	maxAuditQuery = 16 << 10 // bytes
)

type actorKey struct{}

// WithActor says in whose name the calls with this context are made, for the audit trail, such as the user that has logged
// in: up to 255 characters. Packages awsapi and waarpapi name the access key and the user; the program knows others.
func WithActor(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, shorten(printable(name), maxActor-1))
}

// Actor returns what WithActor has said, or nothing.
func Actor(ctx context.Context) string {
	name, _ := ctx.Value(actorKey{}).(string)
	return name
}

// actNote is what the journal keeps of an act.
type actNote struct {
	Action AuditAction `json:"action"`
	Actor  string      `json:"actor,omitempty"`
	Node   string      `json:"node"`
	Asked  *AuditAsked `json:"asked,omitempty"`
}

// AuditAsked is what was asked for, as far as it fits: of paths the first 100. Fields that the action has no use for
// are empty. Headers and metadata are not kept, but for the keys that a query has asked for.
type AuditAsked struct {
	ConnectorID string          `json:"connectorId,omitempty"`
	Operation   string          `json:"operation,omitempty"` // of a transfer: "SEND" or "RETRIEVE"
	Files       int             `json:"files,omitempty"`     // how many were named
	Paths       []string        `json:"paths,omitempty"`
	Directory   string          `json:"directory,omitempty"` // where they go
	TargetPath  string          `json:"targetPath,omitempty"`
	RuleName    string          `json:"ruleName,omitempty"`
	FollowID    string          `json:"followId,omitempty"`
	ClientToken string          `json:"clientToken,omitempty"`
	OperationID string          `json:"operationId,omitempty"` // of a listing, a removal or a move
	Query       string          `json:"query,omitempty"`       // whose files were meant; of a purge, how old
	Sink        string          `json:"sink,omitempty"`        // name of one that was removed
	RetryOf     string          `json:"retryOf,omitempty"`     // TransferID of the files that the new transfer repeats
	Definition  json.RawMessage `json:"definition,omitempty"`  // of the connector, or what changes in it
}

// audit notes an act before it is done; if that is not possible it must not be done. about says which transfers and files
// it is about; without any there is one record for all.
func (c *Client) audit(ctx context.Context, action AuditAction, asked AuditAsked, about ...store.Event) error {
	if !c.cfg.Audit {
		return nil
	}
	text, err := json.Marshal(actNote{Action: action, Actor: Actor(ctx), Node: c.cfg.Name, Asked: &asked})
	if err != nil {
		return &InternalServiceError{Message: "encode audit record: " + err.Error(), Err: err}
	}
	if len(about) == 0 {
		about = make([]store.Event, 1)
	}
	for i := range about {
		about[i].Note = text
	}
	err = c.cfg.Store.AppendEvents(ctx, auditStream, about)
	if errors.Is(err, store.ErrNotFound) { // no Client with an audit trail was started so far
		if err = openTrail(ctx, c.cfg.Store); err == nil {
			err = c.cfg.Store.AppendEvents(ctx, auditStream, about)
		}
	}
	if err != nil {
		return storeFailure("write audit trail (nothing was done)", err)
	}
	return nil
}

// auditStart notes that a transfer is about to be stored.
func (c *Client) auditStart(ctx context.Context, in *StartFileTransferInput, transferID string) error {
	if !c.cfg.Audit {
		return nil
	}
	asked := AuditAsked{
		ConnectorID: in.ConnectorID, Operation: operationSend, Paths: in.SendFilePaths, Directory: in.RemoteDirectoryPath,
		RuleName: in.RuleName, FollowID: in.FollowID, ClientToken: in.ClientToken,
	}
	if len(in.SendFilePaths) == 0 {
		asked.Operation, asked.Paths, asked.Directory = operationRetrieve, in.RetrieveFilePaths, in.LocalDirectoryPath
	}
	asked.bound()
	return c.audit(ctx, AuditStartTransfer, asked, store.Event{TransferID: transferID})
}

// bound counts the paths and keeps the first.
func (a *AuditAsked) bound() {
	a.Files = len(a.Paths)
	a.Paths = a.Paths[:min(len(a.Paths), maxAuditPaths)]
}

// auditForget notes that the ledger is about to forget files of one direction.
func (c *Client) auditForget(ctx context.Context, connectorID string, d store.Direction, paths []string) error {
	asked := AuditAsked{ConnectorID: connectorID, Operation: operationOf(d), Paths: paths}
	asked.bound()
	return c.audit(ctx, AuditForget, asked)
}

// auditFiles notes that files are about to be controlled or repeated: for each that is named there is a record.
func (c *Client) auditFiles(ctx context.Context, action AuditAction, in *ControlInput, token string) error {
	if !c.cfg.Audit {
		return nil
	}
	asked := AuditAsked{Files: len(in.FileIDs), ClientToken: token}
	if in.Files != nil {
		asked.Query = describeQuery(&in.Files.q)
	}
	var about []store.Event
	for _, id := range in.FileIDs {
		about = append(about, store.Event{FileID: id})
	}
	if in.TransferID != "" {
		about = append(about, store.Event{TransferID: in.TransferID})
	}
	return c.audit(ctx, action, asked, about...)
}

// auditConnector notes that a connector is about to be created, changed or deleted.
func (c *Client) auditConnector(ctx context.Context, action AuditAction, id string, definition any) error {
	if !c.cfg.Audit {
		return nil
	}
	asked := AuditAsked{ConnectorID: id}
	if definition != nil {
		text, err := json.Marshal(definition)
		if err != nil {
			return &InternalServiceError{Message: "encode definition: " + err.Error(), Err: err}
		}
		asked.Definition = text
	}
	return c.audit(ctx, action, asked)
}

// describeQuery is what a query says, as JSON without what it does not say.
func describeQuery(q *store.Query) string {
	text, _ := json.Marshal(q) // texts, numbers and times
	fields := make(map[string]any)
	_ = json.Unmarshal(text, &fields)
	for name, value := range fields {
		switch value {
		case nil, "", 0.0, false, "0001-01-01T00:00:00Z":
			delete(fields, name)
		}
	}
	delete(fields, "After")
	if q.States != nil {
		fields["States"] = fmt.Sprint(q.States)
	}
	if q.Metadata != nil {
		fields["Metadata"] = slices.Sorted(maps.Keys(q.Metadata))
	}
	text, _ = json.Marshal(fields)
	return truncate(string(text), maxAuditQuery)
}

// truncate cuts s to n bytes, at the beginning of a character.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
