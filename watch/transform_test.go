package watch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// longer gives files long names.
type longer struct{ transfer.Transform }

func (longer) Name() string                    { return "longer" }
func (longer) TargetName(source string) string { return source + ".encrypted" }

// Files that a rule gives one name on their way go in transfers of their own: one file must not hold back all others.
func TestFilesThatComeToOneNameAreStarted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.rules = map[string]transfer.Rule{"unpack": {Direction: store.Send, TargetDirectory: "/in", Transforms: []transfer.Transform{transfer.Gunzip(transfer.GunzipOptions{}), longer{}}}}
		s.local.WriteFile("/out/"+strings.Repeat("x", 1013), nil)
		for _, name := range []string{"a.csv", "a.csv.gz", "b.csv.gz", "c.tgz", "c.tar", "c.tar.gz"} {
			s.local.WriteFile("/out/"+name, []byte("x"))
		}
		n := s.node("one", outbox(func(w *Watch) { w.TargetDirectory, w.RuleName = "", "unpack" })).start(s)
		time.Sleep(time.Second)
		status, err := n.Status(t.Context(), "outbox")
		require.NoError(t, err)
		require.Empty(t, status.LastError)
		require.Equal(t, 1, status.PassedOver, "its target has too long a path")
		require.EqualValues(t, 6, status.Started, fmt.Sprint(s.paths()))
	})
}
