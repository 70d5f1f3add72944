package as2x

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// inbound is one message, or MDN, on its way in.
type inbound struct {
	r         *Receiver
	agreement *Agreement
	header    header // of HTTP
	messageID string // without brackets
	clientIP  string
	wants     receipt
	body      *stallingReader
}

// maxMessageID is the longest Message-ID (RFC 4130, section 5.3.3).
const maxMessageID = 998

// newInbound finds the agreement. Otherwise it returns the HTTP status to answer with.
func (r *Receiver) newInbound(req *http.Request) (*inbound, int) {
	from, to := parseAS2Name(req.Header.Get("AS2-From")), parseAS2Name(req.Header.Get("AS2-To"))
	id := bareID(req.Header.Get("Message-ID"))
	if from == "" || to == "" || id == "" || len(id) > maxMessageID || !quotable(id) {
		return nil, http.StatusBadRequest
	}
	a := r.agreements[[2]string{from, to}]
	if a == nil {
		r.cfg.Logger.Warn("refused an AS2 message without an agreement", "from", shorten(from, maxAS2ID), "to", shorten(to, maxAS2ID))
		return nil, http.StatusForbidden
	}
	r.mu.Lock()
	closed := r.closed
	r.mu.Unlock()
	if closed {
		return nil, http.StatusServiceUnavailable
	}
	in := &inbound{r: r, agreement: a, messageID: id, header: headerOf(req.Header), wants: parseReceipt(req.Header)}
	if in.clientIP, _, _ = net.SplitHostPort(req.RemoteAddr); in.clientIP == "" {
		in.clientIP = req.RemoteAddr
	}
	if in.wants.url != "" && !a.mayAnswerTo(in.wants.url) {
		r.cfg.Logger.Warn("refused to send an MDN to a host that is not configured", in.attrs("url", shorten(clean(in.wants.url), 200))...)
		return nil, http.StatusForbidden
	}
	return in, http.StatusOK
}

// headerOf is the MIME part of an HTTP header.
func headerOf(h http.Header) header { return noteOf(h, nil).header }

func (in *inbound) attrs(more ...any) []any {
	return append([]any{"agreement", in.agreement.ID, "message", in.messageID, "client", in.clientIP}, more...)
}

// answer is what goes back in the HTTP response.
type answer struct {
	status int
	mdn    *note // nil: an empty body
}

func (a answer) write(w http.ResponseWriter) {
	if a.mdn == nil {
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(a.status)
		return
	}
	for _, f := range a.mdn.header {
		set(w.Header(), f.name, f.value)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(a.mdn.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.mdn.body) // a partner who is gone asks again
}

// handle deals with the message, once, however often it comes. An error means that it shall come again.
func (in *inbound) handle(ctx context.Context) (answer, error) {
	key := digestName(in.agreement.Partner.AS2ID, in.agreement.Local.AS2ID, in.messageID)
	leave, err := in.r.enter(ctx, key)
	if err != nil {
		return answer{}, err
	}
	defer leave()
	earlier, err := in.earlier(ctx)
	if err != nil {
		return answer{}, err
	}
	if earlier != nil {
		_, _ = io.Copy(io.Discard, in.body) // a partner who is not done with sending would not read the answer
		in.r.cfg.Logger.Info("AS2 message came again", in.attrs()...)
		return in.reply(earlier), nil
	}
	u := in.unwrapper()
	defer u.close()
	err = u.unwrap(in.header, in.body)
	_, _ = io.Copy(io.Discard, in.body)
	if err == nil && u.mdn != nil {
		return in.takeMDN(ctx, u)
	}
	if err == nil {
		err = in.checkSecurity(u)
	}
	if broken := in.isBroken(err); broken != nil {
		return answer{}, broken
	}
	return in.settle(ctx, u, err)
}

// isBroken returns an error that is not about the message but about how it came, or about us.
func (in *inbound) isBroken(err error) error {
	if broken := in.body.broken(); err != nil && broken != nil {
		return broken
	}
	var r *refusal
	if err == nil || errors.As(err, &r) && !errors.Is(err, errSpool) {
		return nil
	}
	return err
}

func (in *inbound) unwrapper() *unwrapper {
	a := in.agreement
	return &unwrapper{
		keys: a.Local.keys(), signers: a.Partner.signers(time.Now()), dir: in.r.cfg.SpoolDir, limit: a.MaxSize, micHash: in.wants.hash,
	}
}

// checkSecurity refuses a message that lacks what the agreement asks for.
func (in *inbound) checkSecurity(u *unwrapper) error {
	const modifier = "insufficient-message-security"
	switch {
	case !u.encrypted && !in.agreement.AllowUnencrypted:
		return u.refuse(modifier, transfer.InsufficientUnencrypted, errors.New("the message is not encrypted"))
	case !u.signed && !in.agreement.AllowUnsigned:
		return u.refuse(modifier, transfer.InsufficientUnsigned, errors.New("the message is not signed"))
	case in.wants.unsupported:
		return &refusal{dispositionFailure, "unsupported MIC-algorithms", transfer.InvalidRequest, errors.New("the MDN is to have a MIC of unknown algorithms")}
	}
	return nil
}

// earlier returns the MDN that was given for this message before, or nil.
func (in *inbound) earlier(ctx context.Context) (*note, error) {
	data, err := in.r.cfg.Records.get(ctx, recordDone, in.agreement.Partner.AS2ID, in.agreement.Local.AS2ID, in.messageID)
	if err != nil {
		return nil, fmt.Errorf("look for an earlier MDN: %w", err)
	}
	if data == nil {
		return nil, nil
	}
	n, err := parseNote(data)
	return &n, err
}

// settle stores an accepted file, makes a row and an MDN of the outcome, and answers.
func (in *inbound) settle(ctx context.Context, u *unwrapper, cause error) (answer, error) {
	o := &outcome{name: safeName(fileName(u.header)), mic: u.digest, size: -1}
	if cause == nil {
		cause = in.store(ctx, u, o)
	}
	if cause != nil && !errors.As(cause, &o.refusal) {
		return answer{}, cause
	}
	n, err := in.makeMDN(o)
	if err != nil {
		return answer{}, fmt.Errorf("make MDN: %w", err)
	}
	if err := in.record(ctx, o, &n); err != nil {
		return answer{}, err
	}
	if o.refusal != nil {
		in.r.cfg.Logger.Warn("AS2 message refused", in.attrs("code", o.refusal.code, "error", shorten(clean(o.refusal.Error()), 400))...)
		return in.reply(&n), nil
	}
	key := []string{in.agreement.Partner.AS2ID, in.agreement.Local.AS2ID, in.messageID}
	earlier, err := in.r.cfg.Records.put(ctx, recordDone, n.bytes(), key...)
	if err != nil {
		return answer{}, fmt.Errorf("note MDN: %w", err)
	}
	if earlier != nil { // another node was faster
		if n, err = parseNote(earlier); err != nil {
			return answer{}, err
		}
	}
	in.r.cfg.Logger.Info("AS2 message received", in.attrs("path", o.path, "bytes", o.size)...)
	return in.reply(&n), nil
}

// reply gives the MDN back in the response, or sends it where the partner wants it.
func (in *inbound) reply(n *note) answer {
	switch {
	case !in.wants.asked && isRefused(n):
		return answer{status: http.StatusBadRequest}
	case !in.wants.asked:
		return answer{status: http.StatusOK}
	case in.wants.url != "":
		in.r.sendMDN(in.agreement, in.wants.url, *n)
		return answer{status: http.StatusOK}
	}
	return answer{http.StatusOK, n}
}

// isRefused reports whether the MDN is of a message that was not accepted.
func isRefused(n *note) bool {
	m, err := parseMDN(n.header, n.body)
	if err != nil {
		return false
	}
	kind, _ := m.disposition()
	return kind == dispositionError || kind == dispositionFailure
}

// takeMDN takes an asynchronous MDN for a message of ours, if its signature is right.
func (in *inbound) takeMDN(ctx context.Context, u *unwrapper) (answer, error) {
	m, err := parseMDN(u.mdn.header, u.mdn.body)
	if err != nil {
		return answer{}, err
	}
	data, err := in.r.cfg.Records.get(ctx, recordSent, m.originalID())
	if err != nil {
		return answer{}, fmt.Errorf("look for the message of an MDN: %w", err)
	}
	var t sent
	if data == nil || json.Unmarshal(data, &t) != nil || t.To != in.agreement.Partner.AS2ID || t.From != in.agreement.Local.AS2ID {
		in.r.cfg.Logger.Warn("refused an MDN for a message that is not known", in.attrs("original", shorten(m.originalID(), 200))...)
		return answer{status: http.StatusNotFound}, nil
	}
	if m.signature != nil || !in.agreement.AllowUnsigned { // or anybody could confirm in the partner's place
		e := expected{signed: true, signers: in.agreement.Partner.signers(time.Now())}
		if err := e.verifySignature(m); err != nil {
			in.r.cfg.Logger.Warn("refused an MDN", in.attrs("original", t.MessageID, "error", err)...)
			return answer{status: http.StatusForbidden}, nil
		}
	}
	n := *u.mdn
	if u.encrypted { // the MDN's own header is that of the request
		n.header = append(n.header, field{"Message-ID", "<" + in.messageID + ">"}, field{"Subject", in.header.get("Subject")})
	}
	if _, err := in.r.cfg.Records.put(ctx, recordMDN, n.bytes(), t.MessageID); err != nil {
		return answer{}, fmt.Errorf("note MDN: %w", err)
	}
	in.r.cfg.Logger.Info("MDN received", in.attrs("original", t.MessageID)...)
	in.wake(ctx, t.FileID)
	return answer{status: http.StatusOK}, nil
}

// wake lets the file that awaits the MDN go on. What fails is made up for by its own polling.
func (in *inbound) wake(ctx context.Context, fileID int64) {
	if in.r.cfg.Client == nil || fileID < 1 {
		return
	}
	if _, err := in.r.cfg.Client.ResumeTransfer(ctx, &transfer.ControlInput{FileIDs: []int64{fileID}}); err != nil {
		in.r.cfg.Logger.Debug("file could not be woken up for its MDN", in.attrs("file", fileID, "error", err)...)
	}
}

// receipt is what the partner wants to have back.
type receipt struct {
	asked       bool
	signed      bool
	url         string // for an asynchronous MDN
	hash        crypto.Hash
	unsupported bool // an algorithm of ours is required, and is none
}

// parseReceipt reads Disposition-Notification-To and its companions (RFC 4130, section 7.3).
func parseReceipt(h http.Header) receipt {
	r := receipt{asked: h.Get("Disposition-Notification-To") != "", hash: crypto.SHA256}
	if r.asked {
		r.url = strings.TrimSpace(h.Get("Receipt-Delivery-Option"))
	}
	for _, option := range strings.Split(h.Get("Disposition-Notification-Options"), ";") {
		name, value, _ := strings.Cut(option, "=")
		values := strings.Split(value, ",")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "signed-receipt-protocol":
			r.signed = strings.Contains(strings.ToLower(value), "pkcs7-signature")
		case "signed-receipt-micalg":
			r.unsupported = strings.EqualFold(strings.TrimSpace(values[0]), "required")
			for _, v := range values[1:] {
				if hash := micHash(v); hash != 0 {
					r.hash, r.unsupported = hash, false
					break
				}
			}
		}
	}
	return r
}
