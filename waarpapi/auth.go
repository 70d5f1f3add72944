package waarpapi

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"
)

// The headers of HMAC authentication and of signatures.
const (
	headerUser      = "X-Auth-User"
	headerTimestamp = "X-Auth-Timestamp"
	headerSignature = "X-Auth-Signature"
)

// caller is who makes a request.
type caller struct {
	name  string
	roles Role
	dated bool // by the timestamp of HMAC authentication
}

// refused is why a request is not let in: for our log only, the caller hears 401 and nothing else.
type refused string

func (r refused) Error() string { return string(r) }

// authenticate finds out who makes the request. Its error is a refused one, or says that it cannot be found out now.
func (h *handler) authenticate(ctx context.Context, r *http.Request) (caller, error) {
	if h.cfg.NoAuthentication {
		return caller{roles: allRoles}, nil
	}
	for _, name := range []string{"Authorization", headerUser, headerTimestamp, headerSignature} {
		if len(r.Header.Values(name)) > 1 {
			return caller{}, refused("the header " + name + " is there twice")
		}
	}
	scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch strings.ToUpper(scheme) {
	case "BASIC":
		return h.basic(ctx, r)
	case "HMAC":
		return h.hmac(ctx, r, strings.TrimSpace(credentials))
	case "":
		return caller{}, refused("no authentication")
	}
	return caller{}, refused("an unknown scheme of authentication")
}

// user finds a user; one that there is not is the zero User, without a password.
func (h *handler) user(ctx context.Context, name string) (User, error) {
	u, err := h.cfg.Users.User(ctx, name)
	if errors.Is(err, ErrNoUser) {
		return User{}, nil
	}
	if err == nil && u.problem() != "" {
		h.cfg.Logger.ErrorContext(ctx, "waarpapi: user cannot be let in", "user", name, "problem", u.problem())
		return User{}, nil
	}
	return u, err
}

func (h *handler) basic(ctx context.Context, r *http.Request) (caller, error) {
	name, password, ok := r.BasicAuth()
	if !ok {
		return caller{}, refused("malformed Basic authentication")
	}
	u, err := h.user(ctx, name)
	if err != nil {
		return caller{}, err
	}
	right, err := h.passwords.right(ctx, name, u, password)
	if err != nil {
		return caller{}, err
	}
	if !right {
		return caller{name: name}, refused("wrong user or password")
	}
	return caller{name: name, roles: u.Roles}, nil
}

// hmac checks Waarp's HMAC authentication: the hexadecimal HMAC-SHA256 of timestamp, user and password.
func (h *handler) hmac(ctx context.Context, r *http.Request, credentials string) (caller, error) {
	if len(h.cfg.Key) == 0 {
		return caller{}, refused("HMAC authentication without Config.Key")
	}
	name, timestamp := r.Header.Get(headerUser), r.Header.Get(headerTimestamp)
	at, ok := parseDate(timestamp)
	if !ok {
		return caller{name: name}, refused("malformed " + headerTimestamp)
	}
	u, err := h.user(ctx, name)
	if err != nil {
		return caller{}, err
	}
	right := h.matches(credentials, timestamp, name, u.Password)
	if skew := time.Since(at).Abs(); skew > h.cfg.ClockSkew {
		return caller{name: name}, refused("the timestamp is off by " + skew.String())
	}
	if !right || u.Password == "" {
		return caller{name: name}, refused("wrong user, password or key")
	}
	return caller{name, u.Roles, true}, nil
}

// signed checks a request's signature, which covers how it is authenticated, its body, URI and method, and reports
// whether there is one. The error is a refused one.
func (h *handler) signed(r *http.Request, body []byte) (bool, error) {
	signature := r.Header.Get(headerSignature)
	switch {
	case h.cfg.NoAuthentication:
		return false, nil
	case signature == "" && h.cfg.RequireSignature && changes(r.Method):
		return false, refused("no signature, which Config.RequireSignature demands")
	case len(r.Header.Values(headerSignature)) == 0:
		return false, nil
	case len(h.cfg.Key) == 0:
		return false, refused("a signature without Config.Key")
	case !h.matches(signature, r.Header.Get("Authorization"), string(body), r.RequestURI, r.Method):
		return false, refused("wrong signature")
	}
	return true, nil
}

// matches reports whether text is the hexadecimal HMAC-SHA256 of parts under our key.
func (h *handler) matches(text string, parts ...string) bool {
	mac := hmac.New(sha256.New, h.cfg.Key)
	for _, p := range parts {
		mac.Write([]byte(p))
	}
	got, err := hex.DecodeString(text)
	return err == nil && hmac.Equal(got, mac.Sum(nil))
}

// changes reports whether requests with this method change anything.
func changes(method string) bool { return method == http.MethodPost || method == http.MethodPut }

// dateLayouts are the forms of ISO 8601 that are read, those with a time also with an offset.
var dateLayouts = []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02"}

// parseDate reads a date, in UTC where it has no offset.
func parseDate(text string) (time.Time, bool) {
	for _, layout := range dateLayouts {
		for _, zone := range []string{"", "Z07:00", "Z0700"} {
			if t, err := time.Parse(layout+zone, text); err == nil && (zone == "" || strings.Contains(layout, "T")) {
				return t.UTC(), true
			}
		}
	}
	return time.Time{}, false
}
