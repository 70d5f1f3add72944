package waarpapi_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// TestTheAuditTrailNamesTheUser is about who has asked.
func TestTheAuditTrailNamesTheUser(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		var err error
		b.client, err = transfer.New(transfer.Config{Audit: true, Store: b.store, Connectors: map[string]transfer.Connector{"acme": b.partner}})
		require.NoError(t, err)
		b.api = b.handler(users)
		b.do(http.MethodPost, "/v2/transfers", startBody, "Content-Type: application/json", basicOfHosta, "X-Auth-Signature: "+signatureOfBasic).is(http.StatusCreated)
		records := 0
		for r, err := range b.client.AuditTrail(t.Context(), transfer.AuditQuery{}) {
			require.NoError(t, err)
			require.Equal(t, transfer.AuditStartTransfer, r.Action)
			require.Equal(t, "hosta", r.Actor)
			records++
		}
		require.Equal(t, 1, records)
	})
}
