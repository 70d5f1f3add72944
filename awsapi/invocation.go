package awsapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"slices"

	"github.com/seed62b9dc43/transfer"
)

// invocationHeader is a UUID that AWS's SDKs make for each call and send with all attempts at it.
const invocationHeader = "Amz-Sdk-Invocation-Id"

var invocationID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// invocation is what a context tells operations of the call.
type invocation struct{}

// withInvocation notes the call that a request belongs to, where the request says so and the signature covers it.
func withInvocation(ctx context.Context, r *http.Request, who *claim) context.Context {
	id, keyID := r.Header.Get(invocationHeader), ""
	if who != nil {
		if !slices.Contains(who.signed, "amz-sdk-invocation-id") {
			return ctx
		}
		keyID = who.keyID
	}
	if !invocationID.MatchString(id) {
		return ctx
	}
	sum := sha256.Sum256([]byte(keyID + "\n" + id))
	return context.WithValue(ctx, invocation{}, "sdk-"+hex.EncodeToString(sum[:]))
}

// startOnce starts a transfer. AWS has no client token: with the call's id for one, a call that an SDK tries again because
// the answer was lost finds the transfer that it has started. An id that comes with another request is none, and the
// request goes its way as if there was no id.
func (h *handler) startOnce(ctx context.Context, in *transfer.StartFileTransferInput) (*transfer.StartFileTransferOutput, error) {
	in.ClientToken, _ = ctx.Value(invocation{}).(string)
	out, err := h.client.StartFileTransfer(ctx, in)
	var invalid *transfer.InvalidRequestException
	if in.ClientToken == "" || !errors.As(err, &invalid) || !slices.ContainsFunc(invalid.Fields, isToken) {
		return out, err
	}
	in.ClientToken = ""
	return h.client.StartFileTransfer(ctx, in)
}

func isToken(f transfer.InvalidField) bool { return f.Name == "ClientToken" }
