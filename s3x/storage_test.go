package s3x

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
)

func TestStorage(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		for name, o := range map[string]Options{
			"bucket in the path":                 {},
			"folder in a bucket, with checksums": {Bucket: s.bucket, Prefix: "/in/box/", Compat: CompatAWS},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				storage, err := New(s.client, o)
				require.NoError(t, err)
				storage.minPart = s.window
				root := ""
				if o.Bucket == "" {
					root = "/" + s.bucket
				}
				pageSize := int32(7)
				storage.pageSize = &pageSize
				storagetest.Run(t, func(*testing.T) transfer.Storage { return storage }, storagetest.Options{
					Root: root, WindowSize: s.window, Resume: true, Flat: true, Orphans: true, Directories: true, Implied: true,
					Leftovers: func(t *testing.T) []string { return append(s.keys(t), s.unfinished(t)...) },
				})
			})
		}
	})
}

// unfinished names the open uploads.
func (s *server) unfinished(t *testing.T) []string {
	keys := s.uploadKeys(t)
	for i := range keys {
		keys[i] += " (upload)"
	}
	return keys
}
