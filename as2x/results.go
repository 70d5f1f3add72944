package as2x

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// Folders of result files, beside the file that was sent (AWS Transfer Family User Guide, "Send AS2 messages").
const (
	processedFolder = "processed"
	failedFolder    = "failed"
)

// result is the content of a result file, under AWS's names.
type result struct {
	RequesterContentType string                       `json:"requester-content-type,omitempty"`
	MessageSubject       string                       `json:"message-subject,omitempty"`
	RequesterFileName    string                       `json:"requester-file-name,omitempty"`
	AS2From              string                       `json:"as2-from"`
	AS2To                string                       `json:"as2-to"`
	ConnectorID          string                       `json:"connector-id,omitempty"`
	AgreementID          string                       `json:"agreement-id,omitempty"`
	ClientIP             string                       `json:"client-ip,omitempty"`
	StatusCode           transfer.TransferTableStatus `json:"status-code"`
	FailureCode          transfer.Code                `json:"failure-code,omitempty"`
	FailureMessage       string                       `json:"failure-message,omitempty"`
	Disposition          string                       `json:"disposition,omitempty"`
	TransferSize         int64                        `json:"transfer-size"`
	MDNMessageID         string                       `json:"mdn-message-id,omitempty"`
	MDNSubject           string                       `json:"mdn-subject,omitempty"`
	TransferID           string                       `json:"transfer-id,omitempty"`
	FilePath             string                       `json:"file-path,omitempty"`
	AS2MessageID         string                       `json:"as2-message-id,omitempty"`
	Timestamp            string                       `json:"timestamp"`
}

// timestamp is the form of times in result files.
const timestamp = "2006-01-02T15:04:05.000Z"

func (c *Connector) result(o transfer.Origin, t *sent, n *note) result {
	r := result{
		RequesterContentType: t.ContentType, MessageSubject: t.Subject, RequesterFileName: path.Base(o.FilePath), AS2From: t.From,
		AS2To: t.To, ConnectorID: o.ConnectorID, TransferSize: max(t.Size, 0), TransferID: o.TransferID, FilePath: o.FilePath,
		AS2MessageID: t.MessageID, Timestamp: time.Now().UTC().Format(timestamp),
	}
	if n != nil {
		r.MDNMessageID, r.MDNSubject = bareID(n.header.get("Message-ID")), n.header.get("Subject")
		if m, err := parseMDN(n.header, n.body); err == nil {
			r.Disposition = shorten(clean(m.fields.get("Disposition")), 200)
		}
	}
	return r
}

// writeResults writes the result, and the MDN if there is one, beside the file that was sent.
func (c *Connector) writeResults(ctx context.Context, r result, folder string, n *note) error {
	if c.cfg.Results == nil {
		return nil
	}
	base := path.Join(path.Dir(r.FilePath), folder, resultName(r.RequesterFileName, r.TransferID, r.AS2MessageID))
	return writeResultFiles(ctx, c.cfg.Results, base+".json", base+".mdn", r, n)
}

// writeResultFiles writes a result, and the MDN if there is one. The MDN comes first: who sees the result sees both.
func writeResultFiles(ctx context.Context, s transfer.Storage, jsonPath, mdnPath string, r result, n *note) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	if n != nil {
		err = writeFile(ctx, s, mdnPath, n.bytes(), transfer.OverwriteReplace)
	}
	return errors.Join(err, writeFile(ctx, s, jsonPath, append(text, '\n'), transfer.OverwriteReplace))
}

// resultName is NAME.ID.….EXT of a file NAME.EXT: the ids come before the extension. Missing ids are left out.
func resultName(name string, ids ...string) string {
	ext := path.Ext(name)
	if ext == name { // ".profile" has no extension
		ext = ""
	}
	parts := []string{strings.TrimSuffix(name, ext)}
	for _, id := range ids {
		if id != "" {
			parts = append(parts, id)
		}
	}
	return strings.Join(parts, ".") + ext
}
