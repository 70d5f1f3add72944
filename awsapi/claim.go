package awsapi

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// claim is a request that says who signed it; verify tells whether that is so.
type claim struct {
	*signature
	key  AccessKey
	time string // of the request, in the form of signingTime
}

// begin checks everything about a signature that does not need the body: its form, its time, what it covers and whether
// its key is known.
func (h *handler) begin(ctx context.Context, r *http.Request, now time.Time) (*claim, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return nil, failure{http.StatusForbidden, "MissingAuthenticationTokenException", "Missing Authentication Token"}
	}
	s, err := parseAuthorization(header)
	if err != nil {
		return nil, err
	}
	if h.cfg.Region != "" && s.region != h.cfg.Region {
		return nil, badSignature(fmt.Sprintf("Credential should be scoped to a valid region, not '%s'.", shorten(s.region)))
	}
	if err := h.checkTime(s, r.Header.Get(dateHeader), now); err != nil {
		return nil, err
	}
	if err := checkSigned(s, r.Header); err != nil {
		return nil, err
	}
	key, err := h.findKey(ctx, s.keyID, r.Header.Get(tokenHeader), now)
	if err != nil {
		return nil, err
	}
	return &claim{signature: s, key: key, time: r.Header.Get(dateHeader)}, nil
}

// checkTime refuses signatures that are older or newer than the clocks of two machines may differ.
func (h *handler) checkTime(s *signature, date string, now time.Time) error {
	signed, err := time.Parse(signingTime, date)
	if err != nil {
		return incomplete("Authorization header requires existence of an 'X-Amz-Date' header of the form YYYYMMDD'T'HHMMSS'Z'.")
	}
	if s.date != signed.Format(signingDate) {
		return badSignature("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")
	}
	minutes := fmt.Sprintf("%g min.", h.cfg.ClockSkew.Minutes())
	at := now.UTC().Format(signingTime)
	if earliest := now.Add(-h.cfg.ClockSkew); signed.Before(earliest.Truncate(time.Second)) {
		return badSignature(fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - %s)", date, earliest.UTC().Format(signingTime), at, minutes))
	}
	if latest := now.Add(h.cfg.ClockSkew); signed.After(latest) {
		return badSignature(fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + %s)", date, latest.UTC().Format(signingTime), at, minutes))
	}
	return nil
}

// checkSigned refuses a signature that leaves out the host or a header that means something to us.
func checkSigned(s *signature, header http.Header) error {
	if !slices.Contains(s.signed, "host") {
		return badSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && !slices.Contains(s.signed, lower) {
			return badSignature("There were headers present in the request which were not signed: " + shorten(lower))
		}
	}
	return nil
}

// findKey returns the access key with this id, if the request's session token is the one that belongs to it.
func (h *handler) findKey(ctx context.Context, id, token string, now time.Time) (AccessKey, error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.ReadTimeout)
	defer cancel()
	key, err := h.cfg.AccessKeys.AccessKey(ctx, id)
	switch {
	case errors.Is(err, ErrUnknownAccessKey):
		return AccessKey{}, unknownKey()
	case err != nil:
		return AccessKey{}, fmt.Errorf("look up access key: %w", err)
	case key.SecretKey == "" || !hmac.Equal([]byte(key.SessionToken), []byte(token)):
		return AccessKey{}, unknownKey()
	case !key.Expires.IsZero() && !now.Before(key.Expires):
		return AccessKey{}, failure{http.StatusForbidden, "ExpiredTokenException", "The security token included in the request is expired"}
	}
	return key, nil
}

// The refusals of Signature Version 4. Their words are AWS's where those are known.

func incomplete(message string) error {
	return failure{http.StatusForbidden, "IncompleteSignatureException", message}
}

func badSignature(message string) error {
	return failure{http.StatusForbidden, "InvalidSignatureException", message}
}

func unknownKey() error {
	return failure{http.StatusForbidden, "UnrecognizedClientException", "The security token included in the request is invalid."}
}
