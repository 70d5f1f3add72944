package transfer

import (
	"encoding/hex"
	"encoding/json"

	"github.com/seed62b9dc43/transfer/store"
)

// fileNote is what the journal keeps of a file that has ended: it outlives the row.
type fileNote struct {
	ConnectorID string       `json:"connectorId"`
	Partner     string       `json:"partner,omitempty"`
	RuleName    string       `json:"ruleName,omitempty"`
	FollowID    string       `json:"followId,omitempty"`
	Operation   string       `json:"operation"`
	SourcePath  string       `json:"sourcePath"`
	TargetPath  string       `json:"targetPath"`
	SHA256      string       `json:"sha256,omitempty"`
	Code        string       `json:"code,omitempty"`
	Detail      string       `json:"detail,omitempty"`
	Message     string       `json:"message,omitempty"`
	Attempts    int          `json:"attempts,omitempty"`
	Skipped     bool         `json:"skipped,omitempty"`
	Node        string       `json:"node,omitempty"`
	Session     *SessionInfo `json:"session,omitempty"` // in which it was delivered, or that the last attempt had
}

// note returns what the journal shall keep with a change that ends f. One that gives f back ends it if it is to be cancelled.
// Without sinks and audit trail there is nothing to keep.
func (c *Config) note(f *store.File, change *store.Change, session *SessionInfo) []byte {
	if !c.keepsJournal() {
		return nil
	}
	failure := change.Failure
	if !change.State.Final() {
		failure = store.CancelledFailure
	}
	n := fileNote{
		ConnectorID: f.ConnectorID, Partner: f.Partner, RuleName: f.RuleName, FollowID: f.FollowID, Operation: operationOf(f.Direction),
		SourcePath: f.SourcePath, TargetPath: f.TargetPath, SHA256: hex.EncodeToString(change.SHA256),
		Code: failure.Code, Detail: failure.Detail, Message: failure.Message, Attempts: f.Attempts, Skipped: change.Skipped, Node: c.Name,
		Session: session,
	}
	text, _ := json.Marshal(n) // texts and numbers
	return text
}

// noteSession keeps how the partner's server was reached, for the audit trail.
func (j *job) noteSession(s *session) {
	if s.remote == nil || !s.engine.cfg.Audit {
		return
	}
	_ = guarded(func() error {
		if info := s.features().Session; info != (SessionInfo{}) {
			j.session = &info
		}
		return nil
	})
}

// keepsJournal reports whether anybody reads what the journal keeps.
func (c *Config) keepsJournal() bool { return c.Audit || len(c.Sinks) > 0 }

// restore gives f what is known of it.
func (n *fileNote) restore(f *store.File) {
	f.ConnectorID, f.Partner, f.RuleName, f.FollowID = n.ConnectorID, n.Partner, n.RuleName, n.FollowID
	f.SourcePath, f.TargetPath, f.Attempts, f.Skipped = n.SourcePath, n.TargetPath, n.Attempts, n.Skipped
	f.Failure = store.Failure{Code: n.Code, Detail: n.Detail, Message: n.Message}
	f.SHA256, _ = hex.DecodeString(n.SHA256)
	f.Direction = store.Retrieve
	if n.Operation == operationSend {
		f.Direction = store.Send
	}
}
