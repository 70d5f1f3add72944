package storagetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// unknown are the options of a delivery whose size is known only at the end.
var unknown = transfer.CreateOptions{Size: transfer.UnknownSize}

func (s *suite) unknownCases() []testCase {
	return []testCase{
		{"a file of any size arrives as it was sent", s.unknownSizes},
		{"nothing is visible before Commit", s.unknownInvisible},
		{"Abort leaves nothing", s.unknownAbort},
		{"Discard leaves nothing", s.unknownDiscard},
		{"Create refuses to go on", s.unknownResume},
		{"the old content stays until Commit", s.unknownReplace},
		{"a file that must not be replaced is not", s.unknownPolicies},
		{"Commit fails if a window is missing", s.unknownGap},
		{"nothing comes behind a window that is shorter", s.unknownBehind},
	}
}

func (s *suite) unknownSizes(t *testing.T) {
	for name, size := range map[string]int{
		"0": 0, "1": 1, "window-1": s.size(1, -1), "window": s.size(1, 0), "window+1": s.size(1, 1),
		"2 windows": s.size(2, 0), "3 windows and 5 bytes": s.size(3, 5),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := s.path("unknown-size")
			d := s.begin(t, path, content(size), unknown)
			require.NoError(t, d.writeAll(t.Context()))
			require.NoError(t, d.commit(t.Context()))
			s.requireContent(t, path, d.data)
			require.NoError(t, d.sink.Abort(t.Context()))
			require.NoError(t, d.close())
			s.requireContent(t, path, d.data)
			s.requireNoLeftovers(t, d)
		})
	}
}

func (s *suite) unknownInvisible(t *testing.T) {
	for _, size := range []int{s.size(0, 9), s.size(1, 0), s.size(2, 9)} {
		t.Run(fmt.Sprint(size, " bytes"), func(t *testing.T) {
			t.Parallel()
			path := s.path("unknown-invisible")
			d := s.begin(t, path, content(size), unknown)
			s.requireMissing(t, path)
			for i := range d.windows() {
				require.NoError(t, d.writeWindow(t.Context(), i))
				s.requireMissing(t, path)
			}
			require.NoError(t, d.close())
			s.requireMissing(t, path)
		})
	}
}

func (s *suite) unknownAbort(t *testing.T) {
	for windows := range 4 {
		t.Run(fmt.Sprint("after ", windows, " of 3 windows"), func(t *testing.T) {
			t.Parallel()
			path := s.path("unknown-abort")
			d := s.begin(t, path, content(s.size(2, 100)), unknown)
			for i := range windows {
				require.NoError(t, d.writeWindow(t.Context(), i))
			}
			require.NoError(t, d.sink.Abort(t.Context()))
			require.NoError(t, d.sink.Abort(t.Context()))
			require.NoError(t, d.close())
			s.requireMissing(t, path)
			s.requireNoLeftovers(t, d)
		})
	}
}

func (s *suite) unknownDiscard(t *testing.T) {
	for windows := range 3 {
		t.Run(fmt.Sprint("after ", windows, " of 3 windows"), func(t *testing.T) {
			t.Parallel()
			path := s.path("unknown-discard")
			d := s.begin(t, path, content(s.size(3, 0)), unknown)
			for i := range windows {
				require.NoError(t, d.writeWindow(t.Context(), i))
			}
			o := d.o
			o.Checkpoint = d.sink.Checkpoint()
			require.NoError(t, d.close())
			storage, done := s.lend(t)
			defer done()
			for range 2 {
				require.NoError(t, storage.Discard(t.Context(), path, o))
				s.requireMissing(t, path)
				s.requireNoLeftovers(t, d)
			}
		})
	}
}

func (s *suite) unknownResume(t *testing.T) {
	path, data := s.path("unknown-resume"), content(s.size(2, 1))
	d := s.begin(t, path, data, unknown)
	require.NoError(t, d.writeWindow(t.Context(), 0))
	o := d.o
	o.Checkpoint = d.sink.Checkpoint()
	require.NoError(t, d.close())
	if o.Checkpoint != nil {
		_, err := s.session(t).Create(t.Context(), path, o)
		require.ErrorIs(t, err, transfer.CheckpointLost)
		require.NoError(t, s.session(t).Discard(t.Context(), path, o))
	}
	again := unknown
	again.Key = d.o.Key
	d = s.begin(t, path, data, again)
	require.NoError(t, d.writeAll(t.Context()))
	require.NoError(t, d.commit(t.Context()))
	require.NoError(t, d.close())
	s.requireContent(t, path, data)
	s.requireNoLeftovers(t, d)
}

func (s *suite) unknownReplace(t *testing.T) {
	for _, size := range []int{0, 10, s.size(2, 1)} {
		t.Run(fmt.Sprint(size, " bytes"), func(t *testing.T) {
			t.Parallel()
			path, old := s.path("unknown-replace"), content(1000)
			s.write(t, path, old)
			d := s.begin(t, path, content(size), unknown)
			require.NoError(t, d.writeAll(t.Context()))
			s.requireContent(t, path, old)
			require.NoError(t, d.commit(t.Context()))
			require.NoError(t, d.close())
			s.requireContent(t, path, d.data)
			s.requireNoLeftovers(t, d)
		})
	}
}

func (s *suite) unknownPolicies(t *testing.T) {
	for _, policy := range notReplacing {
		for _, size := range []int{10, s.size(2, 1)} {
			t.Run(fmt.Sprint(policy, ", ", size, " bytes"), func(t *testing.T) {
				t.Parallel()
				path, other := s.path("unknown-policy"), content(1000)
				o := unknown
				o.Overwrite, o.WindowSize = policy, s.o.WindowSize
				d := s.begin(t, path, content(size), o)
				require.NoError(t, d.writeAll(t.Context()))
				s.write(t, path, other)
				if !s.o.RacyOverwrite {
					s.requireFileExists(t, d.commit(t.Context()))
				}
				require.NoError(t, d.sink.Abort(t.Context()))
				require.NoError(t, d.close())
				s.requireContent(t, path, other)
				_, err := create(t.Context(), s.session(t), path, content(size), o)
				s.requireFileExists(t, err)
				s.requireNoLeftovers(t, d)
			})
		}
	}
}

func (s *suite) unknownGap(t *testing.T) {
	path := s.path("unknown-gap")
	d := s.begin(t, path, content(s.size(3, 0)), unknown)
	if d.sink.Concurrency() == 1 {
		t.Skip("skipped: this sink takes its windows in order")
	}
	require.NoError(t, errors.Join(d.writeWindow(t.Context(), 0), d.writeWindow(t.Context(), 2)))
	require.ErrorIs(t, d.commit(t.Context()), transfer.SizeMismatch)
	require.NoError(t, errors.Join(d.sink.Abort(t.Context()), d.close()))
	s.requireMissing(t, path)
	s.requireNoLeftovers(t, d)
}

func (s *suite) unknownBehind(t *testing.T) {
	for _, full := range []int{0, 1} {
		t.Run(fmt.Sprint("after ", full, " full ones"), func(t *testing.T) {
			t.Parallel()
			path := s.path("unknown-behind")
			d := s.begin(t, path, content(s.size(3, 0)), unknown)
			for i := range full {
				require.NoError(t, d.writeWindow(t.Context(), i))
			}
			off := int64(full) * s.o.WindowSize
			short := d.data[off : off+100]
			require.NoError(t, d.sink.WriteWindow(t.Context(), short, off))
			err := d.sink.WriteWindow(t.Context(), d.data[off+s.o.WindowSize:off+2*s.o.WindowSize], off+s.o.WindowSize)
			if err == nil {
				err = d.commit(t.Context())
			}
			require.ErrorIs(t, err, transfer.SizeMismatch)
			require.NoError(t, errors.Join(d.sink.Abort(t.Context()), d.close()))
			s.requireMissing(t, path)
			s.requireNoLeftovers(t, d)
		})
	}
}
