package webhook

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Secret is a key that requests are signed with. It never shows itself: printed, logged and marshalled it is
// "webhook.Secret(hidden)".
type Secret struct{ key []byte }

// Bounds of a key, in bytes (Standard Webhooks: 24 to 64).
const (
	minSecret = 24
	maxSecret = 64
)

const secretPrefix = "whsec_"

// NewSecret returns a secret with this key, 24 to 64 random bytes, of which it makes a copy.
func NewSecret(key []byte) (Secret, error) {
	if len(key) < minSecret || len(key) > maxSecret {
		return Secret{}, fmt.Errorf("webhook: the secret has %d bytes (use %d to %d random ones)", len(key), minSecret, maxSecret)
	}
	return Secret{append([]byte(nil), key...)}, nil
}

// ParseSecret reads a secret in the form in which they are handed out: base64, with "whsec_" before it or not. White space
// around it is left aside.
func ParseSecret(text string) (Secret, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(text), secretPrefix))
	if err != nil {
		return Secret{}, errors.New("webhook: the secret is not base64 (use the form whsec_…)") // err could show a part of it
	}
	return NewSecret(key)
}

// Secrets returns what Config.Secrets needs for secrets that do not change.
func Secrets(secrets ...Secret) func(context.Context) ([]Secret, error) {
	return func(context.Context) ([]Secret, error) { return secrets, nil }
}

const hidden = "webhook.Secret(hidden)"

// String hides the key.
func (Secret) String() string { return hidden }

// GoString hides the key.
func (Secret) GoString() string { return hidden }

// LogValue hides the key.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the key.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
