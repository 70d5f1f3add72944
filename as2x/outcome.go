package as2x

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
	"unicode"

	"github.com/seed62b9dc43/transfer"
)

// outcome is what became of a received message.
type outcome struct {
	name    string // of the file, harmless
	path    string // in our storage; empty if it was refused
	size    int64  // bytes; -1 if that is not known
	sum     []byte // SHA-256 of the file
	mic     mic
	refusal *refusal // nil: it was accepted
}

// maxName is the longest file name, in bytes: with a message's id and an extension it still is one everywhere.
const maxName = 120

// safeName makes the name that a partner gives a file harmless: no path, no control characters, none that mean anything
// to a file system, not hidden, not too long. A name of which nothing is left is "message".
func safeName(name string) string {
	name = strings.ToValidUTF8(name, "_")
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), strings.ContainsRune(`<>:"|?*`, r), !unicode.IsPrint(r):
			return '_'
		}
		return r
	}, name)
	name = strings.Trim(name, " .")
	if len(name) > maxName {
		ext := path.Ext(name)
		if len(ext) > 20 {
			ext = ""
		}
		name = strings.Trim(strings.ToValidUTF8(name[:maxName-len(ext)], "")+ext, " .")
	}
	if name == "" {
		return "message"
	}
	return name
}

// safeID is a Message-ID as a part of a file name. Two ids never become one.
func safeID(id string) string {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_@.", r) {
			return r
		}
		return '-'
	}, id)
	if len(safe) > 80 {
		safe = safe[:80]
	}
	if safe != id {
		safe += "-" + digestName(id)[:16]
	}
	return safe
}

// store publishes the file.
func (in *inbound) store(ctx context.Context, u *unwrapper, o *outcome) error {
	a := in.agreement
	name, overwrite := o.name, transfer.OverwriteFail
	if !a.PreserveFilename {
		name = resultName(name, safeID(in.messageID))
	} else if a.Overwrite != "" {
		overwrite = a.Overwrite
	} else {
		overwrite = transfer.OverwriteReplace
	}
	target := path.Join("/", a.Directories.Payload, name)
	h := sha256.New()
	if _, err := io.Copy(h, u.file.reader(u.offset)); err != nil {
		return fmt.Errorf("read the file: %w", err)
	}
	sum := h.Sum(nil)
	d := delivery{storage: in.r.cfg.Storage, path: target, overwrite: overwrite, key: digestName(a.ID, in.messageID, string(sum))[:32]}
	err := d.run(ctx, u.file, u.offset)
	if transfer.CodeOf(err) == transfer.FileExists {
		err = in.compare(ctx, target, sum, err)
	}
	if err != nil {
		return err
	}
	o.path, o.size, o.sum = target, u.file.size-u.offset, sum
	return nil
}

// compare returns nil if the file that is there already is this one: the MDN was lost before it was noted.
func (in *inbound) compare(ctx context.Context, target string, sum []byte, cause error) error {
	src, err := in.r.cfg.Storage.Open(ctx, target)
	if err != nil {
		return fmt.Errorf("look at %s: %w", target, err)
	}
	defer func() { _ = src.Close() }()
	h, size := sha256.New(), src.Info().Size
	buf := make([]byte, min(max(size, 0), deliveryWindow))
	for off := int64(0); off < size; off += int64(len(buf)) {
		p := buf[:min(int64(len(buf)), size-off)]
		if err := src.ReadWindow(ctx, p, off); err != nil {
			return fmt.Errorf("look at %s: %w", target, err)
		}
		h.Write(p)
	}
	if bytes.Equal(h.Sum(nil), sum) {
		return nil
	}
	return &refusal{dispositionError, "duplicate-filename", transfer.FileExists, cause}
}

// makeMDN makes the MDN for the outcome, signed if the partner asked for that.
func (in *inbound) makeMDN(o *outcome) (note, error) {
	now := time.Now()
	r := report{
		from: in.agreement.Local.AS2ID, to: in.agreement.Partner.AS2ID, originalID: in.messageID,
		messageID: digestName(in.agreement.ID, in.messageID, now.String())[:32] + "@" + hostPart(in.agreement.Local.AS2ID), now: now,
	}
	if o.refusal != nil {
		r.modifier = o.refusal.kind + ": " + o.refusal.modifier
	} else {
		r.mic = o.mic.String()
	}
	signer, ok := in.agreement.Local.signer(now)
	if !in.wants.signed || !ok {
		return r.plain()
	}
	hash := o.mic.hash
	if hash == 0 {
		hash = in.wants.hash
	}
	return r.signed(signer, hash)
}

// record makes a row of the outcome, and the result files.
func (in *inbound) record(ctx context.Context, o *outcome, n *note) error {
	a := in.agreement
	name := resultName(o.name, safeID(in.messageID))
	res := result{
		RequesterContentType: shorten(in.header.get("Content-Type"), 200), MessageSubject: shorten(in.header.get("Subject"), 1024),
		RequesterFileName: o.name, AS2From: a.Partner.AS2ID, AS2To: a.Local.AS2ID, AgreementID: a.ID, ClientIP: in.clientIP,
		StatusCode: transfer.TransferTableStatusCompleted, TransferSize: max(o.size, 0), FilePath: o.path, AS2MessageID: in.messageID,
		MDNMessageID: bareID(n.header.get("Message-ID")), MDNSubject: n.header.get("Subject"), Timestamp: time.Now().UTC().Format(timestamp),
	}
	if m, err := parseMDN(n.header, n.body); err == nil {
		res.Disposition = m.fields.get("Disposition")
	}
	jsonFolder, mdnFolder, key := a.Directories.Status, a.Directories.MDN, "received/"
	if o.refusal != nil {
		jsonFolder, mdnFolder, key = a.Directories.Failed, a.Directories.Failed, "failed/"
		res.StatusCode, res.FailureCode = transfer.TransferTableStatusFailed, o.refusal.code
		res.FailureMessage = shorten(clean(o.refusal.Error()), 400)
	}
	id, err := in.recordRow(ctx, o, key+digestName(in.messageID), res)
	if err != nil {
		return fmt.Errorf("record received file: %w", err)
	}
	res.TransferID = id
	jsonPath, mdnPath := path.Join("/", jsonFolder, name+".json"), path.Join("/", mdnFolder, name+".mdn")
	if err := writeResultFiles(ctx, in.r.cfg.Storage, jsonPath, mdnPath, res, n); err != nil {
		in.r.cfg.Logger.Warn("could not write result files", in.attrs("error", err)...)
	}
	return nil
}

// recordRow makes the row that ListTransfers reports, and returns its TransferID.
func (in *inbound) recordRow(ctx context.Context, o *outcome, key string, r result) (string, error) {
	if in.r.cfg.Client == nil {
		return "", nil
	}
	id, err := in.r.cfg.Client.RecordReceived(ctx, &transfer.ReceivedFile{
		ConnectorID: in.agreement.ID, Key: key, Partner: in.agreement.Partner.AS2ID, SourcePath: o.name, TargetPath: o.path,
		Size: o.size, SHA256: o.sum, RuleName: in.agreement.RuleName, Failure: r.FailureCode, Message: r.FailureMessage,
		Metadata: map[string]string{"as2-message-id": in.messageID, "as2-from": r.AS2From, "as2-to": r.AS2To, "client-ip": in.clientIP},
	})
	var invalid *transfer.InvalidRequestException
	if errors.As(err, &invalid) { // it would be so each time
		in.r.cfg.Logger.Error("received file has no row", in.attrs("error", err)...)
		return "", nil
	}
	return id, err
}
