package watch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// What a watch starts is in the audit trail in its name.
func TestAuditTrailNamesTheWatch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.audit = true
		n := s.node("a", map[string]Watch{"drop": {
			Selection: Selection{ConnectorID: "acme", Direction: store.Send, Directory: "out"},
			Delivery:  Delivery{TargetDirectory: "in"}, Schedule: Schedule{Every: time.Minute},
		}}).start(s)
		s.local.WriteFile("out/a.csv", []byte("1;2"))
		time.Sleep(3 * time.Minute)
		var actors []string
		for r, err := range n.client.AuditTrail(t.Context(), transfer.AuditQuery{}) {
			require.NoError(t, err)
			if r.Action == transfer.AuditStartTransfer {
				actors = append(actors, r.Actor)
			}
		}
		require.Equal(t, []string{"watch drop"}, actors)
	})
}
