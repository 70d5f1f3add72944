package as2x

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// sent is a message as it must be known beyond the process that sent it: in the checkpoint of its file, and in Records,
// where a Receiver finds it by its Message-ID.
type sent struct {
	MessageID   string    `json:"messageId"` // without brackets
	From        string    `json:"from"`
	To          string    `json:"to"`
	FileID      int64     `json:"fileId"`
	FileName    string    `json:"fileName"`
	ContentType string    `json:"contentType"`
	Subject     string    `json:"subject"`
	Size        int64     `json:"size"`
	MICs        []string  `json:"mics"` // as in Received-content-MIC
	NeedMIC     bool      `json:"needMic,omitempty"`
	Repeated    bool      `json:"repeated,omitempty"`
	Deadline    time.Time `json:"deadline,omitzero"` // for the MDN
}

func (c *Connector) sentOf(s *sink, m *message) *sent {
	t := &sent{
		MessageID: m.id, From: c.cfg.Local.AS2ID, To: c.cfg.Partner.AS2ID, FileID: s.o.Origin.FileID, FileName: m.fileName,
		ContentType: s.inner.get("Content-Type"), Subject: c.subject(m), Size: s.next, NeedMIC: m.needMIC,
		Repeated: s.o.Origin.Attempt > 1,
	}
	for _, mic := range m.mics {
		t.MICs = append(t.MICs, mic.String())
	}
	return t
}

// attemptError is a failure of a message that is known, and of its MDN if one came: for the result files.
type attemptError struct {
	sent *sent
	mdn  *note
	err  error
}

func (e *attemptError) Error() string { return e.err.Error() }
func (e *attemptError) Unwrap() error { return e.err }

// send sends the message, and verifies what the partner answers.
func (c *Connector) send(ctx context.Context, s *sink, m *message) error {
	t := c.sentOf(s, m)
	n, err := c.exchange(ctx, s, m, t)
	if err != nil {
		return &attemptError{t, nil, err}
	}
	if n == nil && c.cfg.MDNResponse == MDNAsync {
		t.Deadline = time.Now().Add(c.cfg.MDNTimeout).UTC()
		s.mu.Lock()
		s.state = t
		s.mu.Unlock()
		return transfer.Outstanding{Again: c.cfg.MDNPoll}
	}
	return c.conclude(ctx, s.o.Origin, t, n)
}

// exchange sends the message and returns its MDN, or nil if there is none yet.
func (c *Connector) exchange(ctx context.Context, s *sink, m *message, t *sent) (*note, error) {
	async := c.cfg.MDNResponse == MDNAsync
	if async { // the MDN may come before the answer does, or did before an earlier attempt ended
		n, err := c.announce(ctx, t)
		if n != nil || err != nil {
			return n, err
		}
	}
	n, err := c.post(ctx, s, m)
	if err != nil {
		return nil, err
	}
	kind := parseMediaType(n.header.get("Content-Type"))
	switch {
	case c.cfg.MDNResponse == MDNNone:
		return nil, nil
	case async && !kind.isReport() && !kind.isSigned():
		return c.arrived(ctx, t.MessageID)
	case len(bytes.TrimSpace(n.body)) == 0:
		return nil, failed(transfer.MDNMissing, "the partner's server took the message and answered with nothing")
	}
	return &n, nil
}

// Kinds of Records.
const (
	recordSent = "sent" // messages that await an asynchronous MDN, by Message-ID
	recordMDN  = "mdn"  // the MDNs that came for them, by Message-ID
	recordDone = "done" // the MDNs that were given for received messages, by sender, receiver and Message-ID
)

// announce makes the message known to receivers. It returns its MDN if that is here already.
func (c *Connector) announce(ctx context.Context, t *sent) (*note, error) {
	text, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode message %s: %w", t.MessageID, err)
	}
	earlier, err := c.cfg.Records.put(ctx, recordSent, text, t.MessageID)
	if err != nil {
		return nil, fmt.Errorf("note message %s: %w", t.MessageID, err)
	}
	if earlier == nil {
		return nil, nil
	}
	return c.arrived(ctx, t.MessageID)
}

// arrived returns the asynchronous MDN for a message, or nil if none has come.
func (c *Connector) arrived(ctx context.Context, messageID string) (*note, error) {
	data, err := c.cfg.Records.get(ctx, recordMDN, messageID)
	if err != nil {
		return nil, fmt.Errorf("look for the MDN of %s: %w", messageID, err)
	}
	if data == nil {
		return nil, nil
	}
	n, err := parseNote(data)
	return &n, err
}

// Receipt looks for the asynchronous MDN of a message.
func (r *remote) Receipt(ctx context.Context, path string, o transfer.CreateOptions) error {
	c := r.c
	var t sent
	if err := json.Unmarshal(o.Checkpoint, &t); err != nil {
		return failedTo("await MDN of", path, transfer.InternalError, "the checkpoint is not of this connector: %w", err)
	}
	if c.cfg.Records == nil {
		return failedTo("await MDN of", path, transfer.InternalError, "Config.Records is gone (set it until all MDNs have come)")
	}
	n, err := c.arrived(ctx, t.MessageID)
	switch {
	case err != nil:
		return &attemptError{&t, nil, err}
	case n != nil:
		return c.conclude(ctx, o.Origin, &t, n)
	case !time.Now().Before(t.Deadline):
		return &attemptError{&t, nil, failed(transfer.MDNTimeout, "no MDN came until %s", t.Deadline.Format(time.RFC3339))}
	}
	return transfer.Outstanding{Again: min(c.cfg.MDNPoll, max(time.Until(t.Deadline), time.Millisecond))}
}

// conclude verifies the MDN, if there is one, and writes the result files of a message that arrived.
func (c *Connector) conclude(ctx context.Context, o transfer.Origin, t *sent, n *note) error {
	var m *mdn
	if n != nil {
		var err error
		if m, err = parseMDN(n.header, n.body); err != nil {
			err = failed(transfer.MDNMalformed, "the answer is no MDN: %w", err)
		} else {
			err = c.expect(t).verify(m)
		}
		if err != nil {
			return &attemptError{t, n, err}
		}
	}
	r := c.result(o, t, n)
	r.StatusCode = transfer.TransferTableStatusCompleted
	if err := c.writeResults(ctx, r, processedFolder, n); err != nil {
		c.cfg.Logger.Warn("could not write result files", "transfer", o.TransferID, "path", o.FilePath, "error", err)
	}
	return nil
}

func (c *Connector) expect(t *sent) expected {
	e := expected{
		messageID: t.MessageID, needMIC: t.NeedMIC, repeated: t.Repeated, signers: c.cfg.Partner.signers(time.Now()),
		signed: c.cfg.MDNSigningAlgorithm != SigningNone && !c.cfg.AllowUnsignedMDN,
	}
	for _, text := range t.MICs {
		m := mdn{fields: header{{"Received-content-MIC", text}}}
		if got, ok := m.receivedMIC(); ok {
			e.mics = append(e.mics, got)
		}
	}
	return e
}

// ReportFailure writes the result files of a file that failed.
func (c *Connector) ReportFailure(ctx context.Context, f transfer.FailedFile) error {
	t := &sent{From: c.cfg.Local.AS2ID, To: c.cfg.Partner.AS2ID, Size: f.Size}
	var n *note
	var attempt *attemptError
	if errors.As(f.Err, &attempt) {
		t, n = attempt.sent, attempt.mdn
	}
	r := c.result(f.Origin, t, n)
	r.StatusCode, r.FailureCode, r.FailureMessage = transfer.TransferTableStatusFailed, f.Code, f.Message
	return c.writeResults(ctx, r, failedFolder, n)
}
