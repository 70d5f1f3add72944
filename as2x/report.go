package as2x

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// report is an MDN that we give.
type report struct {
	from, to   string // AS2 names: ours, and the partner's
	originalID string
	messageID  string
	modifier   string // such as "error: decryption-failed"; empty if the message was accepted
	mic        string // as Received-content-MIC; empty for none
	now        time.Time
}

// entity is the multipart/report (RFC 4130, section 7.4).
func (r report) entity() entity {
	disposition, words := "processed", "The message was received and its content stored."
	if r.modifier != "" {
		disposition, words = "processed/"+r.modifier, "The message was not accepted: "+r.modifier+"."
		if kind := dispositionFailure; len(r.modifier) > len(kind) && r.modifier[:len(kind)] == kind {
			disposition = "failed/" + r.modifier
		}
	}
	fields := header{
		{"Reporting-UA", userAgent},
		{"Original-Recipient", "rfc822; " + as2Name(r.from)},
		{"Final-Recipient", "rfc822; " + as2Name(r.from)},
		{"Original-Message-ID", "<" + r.originalID + ">"},
		{"Disposition", "automatic-action/MDN-sent-automatically; " + disposition},
	}
	if r.mic != "" {
		fields = append(fields, field{"Received-Content-MIC", r.mic})
	}
	boundary := "report-" + digestName(r.messageID)[:32]
	text := header{{"Content-Type", "text/plain; charset=us-ascii"}, {"Content-Transfer-Encoding", "7bit"}}
	status := header{{"Content-Type", "message/disposition-notification"}, {"Content-Transfer-Encoding", "7bit"}}
	body := bytes.Join([][]byte{
		[]byte("--" + boundary + "\r\n"), text.bytes(), []byte(words + "\r\n"),
		[]byte("\r\n--" + boundary + "\r\n"), status.bytes(), fields.bytes(),
		[]byte("\r\n--" + boundary + "--\r\n"),
	}, nil)
	kind := "multipart/report; report-type=disposition-notification; boundary=" + quote(boundary)
	return entity{header{{"Content-Type", kind}}, []piece{{data: body}}}
}

func (r report) plain() (note, error) { return r.note(r.entity()) }

// signed signs the report.
func (r report) signed(k KeyPair, h crypto.Hash) (note, error) {
	e := r.entity()
	whole, err := io.ReadAll(reader(e.whole()))
	if err != nil {
		return note{}, err
	}
	e, err = e.signed(h, sum(h, whole), "signed-"+digestName(r.messageID)[:32], cms.SignOptions{
		Signers: []cms.Signer{{Certificate: k.Certificate.Certificate, Key: k.Key, PSS: k.PSS}}, Certificates: k.Chain, Time: r.now,
	})
	if err != nil {
		return note{}, err
	}
	return r.note(e)
}

func (r report) note(e entity) (note, error) {
	body, err := io.ReadAll(reader(e.pieces))
	return note{append(header{
		{"AS2-Version", as2Version}, {"AS2-From", as2Name(r.from)}, {"AS2-To", as2Name(r.to)}, {"Message-ID", "<" + r.messageID + ">"},
		{"Subject", "Message Disposition Notification"}, {"Date", r.now.UTC().Format(http.TimeFormat)}, {"MIME-Version", "1.0"},
	}, e.header...), body}, err
}

// mdnAttempts is how often an asynchronous MDN is sent at most.
const mdnAttempts = 6

// sendMDN sends an asynchronous MDN in the background.
func (r *Receiver) sendMDN(a *Agreement, url string, n note) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return // the partner's repeated message has it sent
	}
	r.sending.Go(func() {
		client := newHTTPClient(Config{Local: a.Local, Partner: a.Partner, Dial: r.cfg.Dial}.withDefaults())
		defer client.CloseIdleConnections()
		pause := r.cfg.MDNDelay
		for attempt := 1; ; attempt++ {
			err := r.postMDN(client, url, n)
			if err == nil {
				r.cfg.Logger.Info("MDN sent", "agreement", a.ID, "mdn", n.header.get("Message-ID"))
				return
			}
			r.cfg.Logger.Warn("MDN could not be sent", "agreement", a.ID, "mdn", n.header.get("Message-ID"), "attempt", attempt, "error", shorten(clean(err.Error()), 400))
			if attempt == mdnAttempts || !r.pause(pause) {
				return
			}
			pause *= 4
		}
	})
}

// pause reports whether the time has passed before the Receiver was closed.
func (r *Receiver) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.life.Done():
		return false
	}
}

// mdnTimeout bounds one attempt to send an MDN.
const mdnTimeout = 2 * time.Minute

func (r *Receiver) postMDN(client *http.Client, url string, n note) error {
	ctx, cancel := context.WithTimeout(r.life, mdnTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(n.body))
	if err != nil {
		return err
	}
	for _, f := range n.header {
		set(req.Header, f.name, f.value)
	}
	set(req.Header, "User-Agent", userAgent)
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, maxMDN))
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return errors.Join(fmt.Errorf("the partner's server says %s", answer.Status), err)
	}
	return nil
}
