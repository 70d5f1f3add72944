package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

func (s *suite) sourceCases() []testCase {
	return []testCase{
		{"content is read in windows of any length", s.anyWindow},
		{"windows may be read at once", s.parallelReads},
		{"a missing file is FileNotFound", s.missingFile},
		{"a directory is IsDirectory", s.directory},
		{"reading beyond the end fails", s.beyondEnd},
		{"Info says the size", s.info},
		{"the identity is stable while the file is unchanged", s.stableIdentity},
		{"the identity differs after the file was replaced", s.newIdentity},
		{"a file replaced while it is read never gives mixed content", s.replacedWhileRead},
	}
}

// source opens path and closes it when the test ends.
func (s *suite) source(t *testing.T, path string) transfer.Source {
	t.Helper()
	source, err := s.session(t).Open(t.Context(), path)
	require.NoError(t, err)
	require.GreaterOrEqual(t, source.Concurrency(), 1, "Source.Concurrency")
	t.Cleanup(func() { _ = source.Close() })
	return source
}

func (s *suite) anyWindow(t *testing.T) {
	path, data := s.path("windows"), content(s.size(2, 333))
	s.write(t, path, data)
	for _, size := range []int64{s.o.WindowSize, s.o.WindowSize/3 + 1, s.o.WindowSize + 77, s.o.WindowSize * 4} {
		t.Run(fmt.Sprint(size, " bytes"), func(t *testing.T) {
			t.Parallel()
			got, err := readSource(t.Context(), s.source(t, path), size)
			require.NoError(t, err)
			requireSame(t, data, got, path)
		})
	}
	t.Run("an odd part", func(t *testing.T) {
		t.Parallel()
		p, off := make([]byte, s.size(1, 5)), int64(123)
		require.NoError(t, s.source(t, path).ReadWindow(t.Context(), p, off))
		requireSame(t, data[off:off+int64(len(p))], p, path)
	})
}

func (s *suite) parallelReads(t *testing.T) {
	path, data := s.path("parallel-reads"), content(s.size(4, 99))
	s.write(t, path, data)
	source := s.source(t, path)
	if source.Concurrency() == 1 {
		t.Skip("skipped: this source gives one window at a time")
	}
	got := make([]byte, len(data))
	require.NoError(t, inParallel(5, min(source.Concurrency(), parallel), func(i int) error {
		off := (4 - i) * s.size(1, 0)
		return source.ReadWindow(t.Context(), got[off:min(off+s.size(1, 0), len(got))], int64(off))
	}))
	requireSame(t, data, got, path)
}

func (s *suite) missingFile(t *testing.T) {
	s.requireMissing(t, s.path("missing"))
	s.requireMissing(t, s.path("missing")+"/child")
}

func (s *suite) directory(t *testing.T) {
	if s.o.Flat {
		t.Skip("skipped: declared in Options.Flat")
	}
	path := s.o.Root
	if s.o.MissingParent == "" {
		path = s.path("directory")
		s.write(t, path+"/child", content(1))
	}
	if path == "" {
		path = "/"
	}
	_, err := s.session(t).Open(t.Context(), path)
	require.Error(t, err)
	require.ErrorIs(t, err, transfer.IsDirectory)
	require.Equal(t, transfer.IsDirectory, transfer.CodeOf(err))
}

func (s *suite) beyondEnd(t *testing.T) {
	path, data := s.path("end"), content(s.size(1, 10))
	s.write(t, path, data)
	for name, window := range map[string][2]int{ // offset, length
		"at the end": {len(data), 1}, "over the end": {len(data) - 1, 2}, "far beyond": {len(data) + 1000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Error(t, s.source(t, path).ReadWindow(t.Context(), make([]byte, window[1]), int64(window[0])))
		})
	}
}

func (s *suite) info(t *testing.T) {
	for _, size := range []int{0, 1, s.size(1, 0)} {
		path := s.path("info")
		s.write(t, path, content(size))
		source := s.source(t, path)
		require.EqualValues(t, size, source.Info().Size)
		require.NotEmpty(t, source.Info().Identity())
		s.write(t, path, content(size+1))
		require.EqualValues(t, size, source.Info().Size, "Info changed with the file")
	}
}

func (s *suite) stableIdentity(t *testing.T) {
	path, data := s.path("identity"), content(s.size(1, 1))
	s.write(t, path, data)
	first := s.source(t, path)
	s.requireContent(t, path, data)
	second := s.source(t, path)
	require.Equal(t, first.Info(), second.Info())
	require.Equal(t, first.Info().Identity(), second.Info().Identity())
}

func (s *suite) newIdentity(t *testing.T) {
	path := s.path("identity")
	seen := map[string]bool{}
	for _, size := range []int{10, 11, s.size(1, 1), 0} {
		s.write(t, path, content(size))
		identity := s.source(t, path).Info().Identity()
		require.False(t, seen[identity], "%q named another version before", identity)
		seen[identity] = true
	}
}

// replacedWhileRead replaces the file after the first window, as a partner would: through another session.
func (s *suite) replacedWhileRead(t *testing.T) {
	for name, size := range map[string]int{
		"by a longer one": s.size(4, 1), "by a shorter one": s.size(1, 1), "by an empty one": 0,
		"by one as long": s.size(3, 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, data := s.path("changing"), content(s.size(3, 1))
			s.write(t, path, data)
			source := s.source(t, path)
			got := make([]byte, s.o.WindowSize)
			require.NoError(t, source.ReadWindow(t.Context(), got, 0))
			s.write(t, path, content(size))
			for off := len(got); off < len(data); off += len(got) {
				p := got[:min(len(got), len(data)-off)]
				err := source.ReadWindow(t.Context(), p, int64(off))
				if err != nil {
					known := errors.Is(err, transfer.SourceChanged) || errors.Is(err, transfer.SizeMismatch)
					require.True(t, known, "SourceChanged or SizeMismatch expected, got: %v", err)
					return
				}
				require.True(t, bytes.Equal(data[off:off+len(p)], p), "the window at %d is of another version", off)
			}
		})
	}
}
