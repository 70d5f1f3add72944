package awsapi

import (
	"context"
	"errors"
	"time"
)

// ErrUnknownAccessKey says that there is no access key with the id that was asked for.
var ErrUnknownAccessKey = errors.New("awsapi: unknown access key")

// AccessKeys finds access keys. [StaticKeys] is one in memory.
//
// Methods MUST be safe for concurrent use and MUST return promptly when ctx ends. The id comes from whoever sent the
// request and is not trusted. An unknown id MUST be ErrUnknownAccessKey; any other error is answered as
// InternalServiceError and logged.
type AccessKeys interface {
	AccessKey(ctx context.Context, id string) (AccessKey, error)
}

// AccessKey is the secret half of an access key.
type AccessKey struct {
	SecretKey    string    // an empty one is refused, as if the key were unknown
	SessionToken string    // what requests must carry besides; empty for long-term keys, which must carry none
	Expires      time.Time // from then on refused with ExpiredTokenException; zero: never
}

// String hides the secret.
func (AccessKey) String() string { return "AccessKey" }

// GoString hides the secret.
func (AccessKey) GoString() string { return "awsapi.AccessKey{…}" }

// StaticKeys are access keys by id that do not change.
type StaticKeys map[string]AccessKey

// AccessKey returns the key with this id, or ErrUnknownAccessKey.
func (k StaticKeys) AccessKey(_ context.Context, id string) (AccessKey, error) {
	key, ok := k[id]
	if !ok {
		return AccessKey{}, ErrUnknownAccessKey
	}
	return key, nil
}

// NoSignature as Config.AccessKeys answers everybody who can reach the handler, whatever their signature says, or
// without any. Use it in tests, or behind something that authenticates.
var NoSignature AccessKeys = noSignature{}

type noSignature struct{}

func (noSignature) AccessKey(context.Context, string) (AccessKey, error) {
	return AccessKey{}, ErrUnknownAccessKey
}
