package storagetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

func (s *suite) overwriteCases() []testCase {
	return []testCase{
		{"the old content stays until Commit", s.oldContentStays},
		{"the old content stays after Abort", s.oldContentAfterAbort},
		{"the old content stays after Close without Commit", s.oldContentAfterClose},
		{"a file that is there is replaced by default", s.replaced},
		{"Create fails if a file that is there must not be replaced", s.refused},
		{"a file that appears before Commit is not replaced", s.appearing},
		{"a new file is delivered under every policy", s.newFile},
	}
}

// replacing begins the delivery of new content over old content, with all windows written.
func (s *suite) replacing(t *testing.T) (d *delivery, old []byte) {
	t.Helper()
	path, old := s.path("replace"), content(1000)
	s.write(t, path, old)
	d = s.begin(t, path, content(s.size(2, 1)), transfer.CreateOptions{Overwrite: transfer.OverwriteReplace})
	s.requireContent(t, path, old)
	require.NoError(t, d.writeAll(t.Context()))
	s.requireContent(t, path, old)
	return d, old
}

func (s *suite) oldContentStays(t *testing.T) {
	d, _ := s.replacing(t)
	require.NoError(t, d.commit(t.Context()))
	require.NoError(t, d.close())
	s.requireContent(t, d.path, d.data)
	s.requireNoLeftovers(t, d)
}

func (s *suite) oldContentAfterAbort(t *testing.T) {
	d, old := s.replacing(t)
	require.NoError(t, d.sink.Abort(t.Context()))
	s.requireContent(t, d.path, old)
	require.NoError(t, d.close())
	s.requireContent(t, d.path, old)
	s.requireNoLeftovers(t, d)
}

func (s *suite) oldContentAfterClose(t *testing.T) {
	d, old := s.replacing(t)
	require.NoError(t, d.close())
	s.requireContent(t, d.path, old)
}

func (s *suite) replaced(t *testing.T) {
	path := s.path("default")
	for _, size := range []int{s.size(2, 0), 1, 0, s.size(1, 0)} {
		data := content(size)
		s.write(t, path, data)
		s.requireContent(t, path, data)
	}
}

var notReplacing = []transfer.Overwrite{transfer.OverwriteFail, transfer.OverwriteSkip}

func (s *suite) refused(t *testing.T) {
	for _, policy := range notReplacing {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			path, old := s.path("refused"), content(1000)
			s.write(t, path, old)
			_, err := create(t.Context(), s.session(t), path, content(10),
				transfer.CreateOptions{WindowSize: s.o.WindowSize, Overwrite: policy})
			s.requireFileExists(t, err)
			s.requireContent(t, path, old)
		})
	}
}

func (s *suite) appearing(t *testing.T) {
	if s.o.RacyOverwrite {
		t.Skip("skipped: declared in Options.RacyOverwrite")
	}
	for _, policy := range notReplacing {
		for name, size := range map[string]int{"1 window": s.size(1, 0), "3 windows": s.size(3, 0)} {
			t.Run(string(policy)+", "+name, func(t *testing.T) {
				t.Parallel()
				path, other := s.path("appears"), content(1000)
				d := s.begin(t, path, content(size), transfer.CreateOptions{Overwrite: policy})
				require.NoError(t, d.writeAll(t.Context()))
				s.write(t, path, other)
				s.requireFileExists(t, d.commit(t.Context()))
				s.requireContent(t, path, other)
				require.NoError(t, d.sink.Abort(t.Context()))
				require.NoError(t, d.close())
				s.requireContent(t, path, other)
				s.requireNoLeftovers(t, d)
			})
		}
	}
}

func (s *suite) newFile(t *testing.T) {
	for _, policy := range append(notReplacing, transfer.OverwriteReplace) {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			path := s.path("new")
			d := s.begin(t, path, content(s.size(1, 7)), transfer.CreateOptions{Overwrite: policy})
			require.NoError(t, d.writeAll(t.Context()))
			require.NoError(t, d.commit(t.Context()))
			require.NoError(t, d.close())
			s.requireContent(t, path, d.data)
			s.requireNoLeftovers(t, d)
		})
	}
}

func (s *suite) requireFileExists(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err, "a file that is there was replaced")
	require.ErrorIs(t, err, transfer.FileExists)
	require.Equal(t, transfer.FileExists, transfer.CodeOf(err))
}
