package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Headers of a request (Standard Webhooks).
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

const (
	signaturePrefix = "v1,"
	maxHeader       = 16 << 10 // bytes of each, that Verify reads
	maxSignatures   = 100
)

// DefaultTolerance is how far a request's time may lie from the receiver's, both ways.
const DefaultTolerance = 5 * time.Minute

// ErrSignature says that a request was not signed with any of the secrets, or not just now.
var ErrSignature = errors.New("webhook: the request is not signed as it must be")

// sign returns the signatures by all secrets.
func sign(id string, at time.Time, body []byte, secrets []Secret) string {
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		signatures[i] = signaturePrefix + base64.StdEncoding.EncodeToString(s.mac(id, strconv.FormatInt(at.Unix(), 10), body))
	}
	return strings.Join(signatures, " ")
}

// mac is the HMAC of what is signed.
func (s Secret) mac(id, timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(id + "." + timestamp + "."))
	h.Write(body)
	return h.Sum(nil)
}

// Verify returns nil if body is what a holder of one of the secrets has signed, at a time that lies within tolerance of
// now (0: DefaultTolerance; -1: any time). Read the body whole, with a limit of your own, and verify before parsing it.
// Whoever must not handle an event twice keeps the IDs (header Webhook-Id): a request may be replayed within tolerance.
//
// Errors wrap ErrSignature.
func Verify(header http.Header, body []byte, secrets []Secret, tolerance time.Duration) error {
	id, timestamp, signatures := header.Get(HeaderID), header.Get(HeaderTimestamp), header.Get(HeaderSignature)
	if id == "" || timestamp == "" || signatures == "" || len(id)+len(timestamp)+len(signatures) > maxHeader {
		return fmt.Errorf("%w: a header is missing or too long", ErrSignature)
	}
	if err := timely(timestamp, tolerance); err != nil {
		return err
	}
	given := macsOf(signatures)
	for _, s := range secrets {
		if len(given) == 0 || len(s.key) == 0 {
			continue
		}
		mac := s.mac(id, timestamp, body) // once: the sender says how many signatures there are
		if slices.ContainsFunc(given, func(m []byte) bool { return hmac.Equal(m, mac) }) {
			return nil
		}
	}
	return fmt.Errorf("%w: no signature is by a secret that is known", ErrSignature)
}

// macsOf reads the signatures of this version.
func macsOf(signatures string) (macs [][]byte) {
	for _, given := range strings.Fields(signatures) {
		encoded, ok := strings.CutPrefix(given, signaturePrefix)
		if mac, err := base64.StdEncoding.DecodeString(encoded); ok && err == nil && len(mac) == sha256.Size && len(macs) < maxSignatures {
			macs = append(macs, mac)
		}
	}
	return macs
}

// timely checks the time of a request.
func timely(timestamp string, tolerance time.Duration) error {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: the timestamp is not a number", ErrSignature)
	}
	if tolerance == 0 {
		tolerance = DefaultTolerance
	}
	if away := time.Since(time.Unix(seconds, 0)).Abs(); tolerance > 0 && away > tolerance {
		return fmt.Errorf("%w: its time is more than %v away", ErrSignature, tolerance)
	}
	return nil
}
