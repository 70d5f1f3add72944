package webhook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// Config says where events go, and in which form.
type Config struct {
	// URL receives a POST for each event. Required; https, unless its host is this machine itself or AllowInsecure is
	// set. A user and password in it are refused: they would be logged.
	URL string

	// AllowInsecure lets URL be http. The signature then shows who has sent an event, and everybody on the way can read
	// it.
	AllowInsecure bool

	// Secrets returns what requests are signed with, at each request, such as Secrets(s). Each of them signs: where one
	// follows another, give both until the receiver knows the new one. Required; at least one, ten at most.
	Secrets func(ctx context.Context) ([]Secret, error)

	// Format is the form of the body. Default: FormatJSON.
	Format Format

	// Source is what events in FormatEventBridge say of where they come from.
	Source transfer.EventBridgeSource

	// Header goes with each request. Those that the package sets itself are refused: Content-Type, Content-Length, Host
	// and Webhook-….
	Header http.Header

	// Progress asks for the progress of files too. With FormatEventBridge it is refused: AWS has no event for it.
	Progress bool

	// Discard are answers, from 400 to 499, by which the receiver refuses an event for good: it is dropped then. 408, 425
	// and 429 are refused here. Default: none.
	Discard []int

	// Timeout bounds a request as a whole. Default 10 s, at most a minute.
	Timeout time.Duration

	// Client makes the requests, such as through a proxy or with a client certificate; its Timeout counts as well.
	// Redirects are not followed whatever it says. Default: one of the Sink's own, with TLS 1.2 or later and the
	// system's certificates.
	Client *http.Client
}

// Format is the form of a request's body.
type Format string

// Formats.
const (
	FormatJSON        Format = "JSON"        // transfer.Event as JSON
	FormatEventBridge Format = "EVENTBRIDGE" // AWS's envelope: transfer.Event.EventBridge
)

const (
	defaultTimeout = 10 * time.Second
	longestTimeout = time.Minute
	maxSecrets     = 10
)

func (c Config) withDefaults() Config {
	if c.Format == "" {
		c.Format = FormatJSON
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	c.Header, c.Discard = c.Header.Clone(), slices.Clone(c.Discard)
	return c
}

// validate returns one error that names every wrong field.
func (c Config) validate() error {
	var errs []error
	wrong := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf("webhook: Config."+format, args...))
		}
	}
	if problem := c.checkURL(); problem != "" {
		wrong(true, "URL %s", problem)
	}
	wrong(c.Secrets == nil, "Secrets is nil (try webhook.Secrets)")
	wrong(c.Format != FormatJSON && c.Format != FormatEventBridge, "Format is %q (use JSON or EVENTBRIDGE)", c.Format)
	wrong(c.Format == FormatEventBridge && c.Progress, "Progress is set, of which AWS has no event (use FormatJSON)")
	wrong(c.Timeout < 0 || c.Timeout > longestTimeout, "Timeout is %v (use more than 0 and at most %v, or 0 for %v)", c.Timeout, longestTimeout, defaultTimeout)
	for _, name := range slices.Sorted(maps.Keys(c.Header)) {
		wrong(reserved(name), "Header has %q, which the package sets itself (remove it)", name)
		wrong(!validHeaderName(name), "Header has the name %q, which is no header's (use letters, digits and dashes)", name)
		wrong(slices.ContainsFunc(c.Header[name], breaksHeader), "Header %q has a value that no header may have (use one line of visible characters)", name)
	}
	for _, status := range c.Discard {
		wrong(!discardable(status), "Discard has %d (use statuses from 400 to 499, without 408, 425 and 429)", status)
	}
	return errors.Join(errs...)
}

// checkURL says what is wrong with the URL, without showing what may be secret in it.
func (c Config) checkURL() string {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return "is not a URL (use https://host/path)"
	case u.User != nil:
		return "has a user or a password (use Header for credentials)"
	case u.Fragment != "":
		return "has a fragment, which is never sent (remove it)"
	case u.Scheme == "https", u.Scheme == "http" && (c.AllowInsecure || loopback(u.Hostname())):
		return ""
	case u.Scheme == "http":
		return fmt.Sprintf("is http, and %s is not this machine (use https, or set AllowInsecure)", u.Hostname())
	}
	return fmt.Sprintf("has the scheme %q (use https)", u.Scheme)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

func reserved(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return strings.HasPrefix(name, "Webhook-") || slices.Contains([]string{"Content-Type", "Content-Length", "Host", "Transfer-Encoding"}, name)
}

func validHeaderName(name string) bool {
	return name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

func breaksHeader(value string) bool {
	return strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

func discardable(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status <= 499
}
