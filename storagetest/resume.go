package storagetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

func (s *suite) resumeCases() []testCase {
	return []testCase{
		{"a delivery goes on from its checkpoint", s.resumed},
		{"a delivery goes on several times", s.resumedOften},
		{"windows above the checkpoint may come again", s.repeated},
		{"a resumed delivery with a missing window is not published", s.resumedWithHole},
		{"a resumed delivery keeps to the overwrite policy", s.resumedPolicy},
		{"Abort of a resumed delivery leaves nothing", s.resumedAbort},
		{"Create with a checkpoint and Abort leaves nothing to go on with", s.discarded},
		{"a checkpoint of what is gone is CheckpointLost", s.lostCheckpoint},
		{"a damaged checkpoint is CheckpointLost", s.damagedCheckpoint},
		{"without a checkpoint the delivery starts at zero", s.restarted},
	}
}

// interrupted writes the first n of all windows and closes the sink. It returns the checkpoint.
func (s *suite) interrupted(t *testing.T, d *delivery, n int) []byte {
	t.Helper()
	if !s.o.Resume {
		t.Skip("skipped: Options.Resume is not declared")
	}
	for i := range n {
		require.NoError(t, d.writeWindow(t.Context(), i))
	}
	checkpoint := d.sink.Checkpoint()
	require.NoError(t, d.close())
	if n > 0 {
		require.NotEmpty(t, checkpoint, "no Checkpoint after %d windows", n)
	}
	return checkpoint
}

// again begins the delivery d once more.
func (s *suite) again(t *testing.T, d *delivery, checkpoint []byte) *delivery {
	t.Helper()
	o := d.o
	o.Checkpoint = checkpoint
	return s.begin(t, d.path, d.data, o)
}

func (s *suite) resumed(t *testing.T) {
	for n := range 5 {
		t.Run(fmt.Sprint("after ", n, " of 4 windows"), func(t *testing.T) {
			t.Parallel()
			d := s.begin(t, s.path("resume"), content(s.size(3, 11)), transfer.CreateOptions{})
			d = s.again(t, d, s.interrupted(t, d, n))
			s.requireMissing(t, d.path)
			require.NoError(t, d.writeFrom(t.Context(), n))
			require.NoError(t, d.commit(t.Context()))
			require.NoError(t, d.close())
			s.requireContent(t, d.path, d.data)
			s.requireNoLeftovers(t, d)
		})
	}
}

func (s *suite) resumedOften(t *testing.T) {
	d := s.begin(t, s.path("often"), content(s.size(3, 11)), transfer.CreateOptions{})
	checkpoint := s.interrupted(t, d, 1)
	for i := 1; i < d.windows(); i++ {
		d = s.again(t, d, checkpoint)
		require.NoError(t, d.writeWindow(t.Context(), i))
		checkpoint = d.sink.Checkpoint()
		require.NoError(t, d.close())
	}
	d = s.again(t, d, checkpoint)
	require.NoError(t, d.commit(t.Context()))
	require.NoError(t, d.close())
	s.requireContent(t, d.path, d.data)
}

func (s *suite) repeated(t *testing.T) {
	d := s.begin(t, s.path("repeat"), content(s.size(3, 11)), transfer.CreateOptions{})
	if !s.o.Resume {
		t.Skip("skipped: Options.Resume is not declared")
	}
	require.NoError(t, d.writeWindow(t.Context(), 0))
	checkpoint := d.sink.Checkpoint()
	require.NoError(t, d.writeWindow(t.Context(), 1))
	require.NoError(t, d.writeWindow(t.Context(), 2))
	require.NoError(t, d.close())
	for _, first := range []int{1, 0} { // the second time below the checkpoint
		d = s.again(t, d, checkpoint)
		for i := first; i < 3; i++ {
			require.NoError(t, d.writeWindow(t.Context(), i))
		}
		checkpoint = d.sink.Checkpoint()
		if first == 1 {
			require.NoError(t, d.close())
		}
	}
	require.NoError(t, d.writeWindow(t.Context(), 3))
	require.NoError(t, d.commit(t.Context()))
	require.NoError(t, d.close())
	s.requireContent(t, d.path, d.data)
}

func (s *suite) resumedWithHole(t *testing.T) {
	for name, written := range map[string][]int{
		"nothing more is written": {0, 1}, "all but one were written before": {0, 1, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := s.begin(t, s.path("hole"), content(s.size(3, 11)), transfer.CreateOptions{})
			if len(written) > 2 && d.sink.Concurrency() == 1 {
				t.Skip("skipped: this sink takes its windows in order")
			}
			if !s.o.Resume {
				t.Skip("skipped: Options.Resume is not declared")
			}
			for _, i := range written {
				require.NoError(t, d.writeWindow(t.Context(), i))
			}
			checkpoint := d.sink.Checkpoint()
			require.NoError(t, d.close())
			d = s.again(t, d, checkpoint)
			err := d.commit(t.Context())
			require.Error(t, err, "Commit published a file with a hole")
			require.ErrorIs(t, err, transfer.SizeMismatch)
			require.NoError(t, d.sink.Abort(t.Context()))
			s.requireMissing(t, d.path)
		})
	}
}

func (s *suite) resumedPolicy(t *testing.T) {
	d := s.begin(t, s.path("policy"), content(s.size(2, 0)), transfer.CreateOptions{Overwrite: transfer.OverwriteFail})
	checkpoint, other := s.interrupted(t, d, 1), content(100)
	s.write(t, d.path, other)
	o := d.o
	o.Checkpoint = checkpoint
	_, err := create(t.Context(), s.session(t), d.path, d.data, o)
	s.requireFileExists(t, err)
	s.requireContent(t, d.path, other)
}

func (s *suite) resumedAbort(t *testing.T) {
	d := s.begin(t, s.path("abort"), content(s.size(3, 0)), transfer.CreateOptions{})
	d = s.again(t, d, s.interrupted(t, d, 1))
	require.NoError(t, d.writeWindow(t.Context(), 1))
	require.NoError(t, d.sink.Abort(t.Context()))
	require.NoError(t, d.close())
	s.requireMissing(t, d.path)
	s.requireNoLeftovers(t, d)
}

// discarded is how the engine removes what an earlier attempt left and nobody wants any more.
func (s *suite) discarded(t *testing.T) {
	for n := range 4 {
		t.Run(fmt.Sprint("after ", n, " of 3 windows"), func(t *testing.T) {
			t.Parallel()
			d := s.begin(t, s.path("discard"), content(s.size(3, 0)), transfer.CreateOptions{})
			checkpoint := s.interrupted(t, d, n)
			d = s.again(t, d, checkpoint)
			require.NoError(t, d.sink.Abort(t.Context()))
			require.NoError(t, d.close())
			s.requireMissing(t, d.path)
			s.requireNoLeftovers(t, d)
			if len(checkpoint) == 0 {
				return // there was nothing to go on with before
			}
			o := d.o
			o.Checkpoint = checkpoint
			_, err := create(t.Context(), s.session(t), d.path, d.data, o)
			requireCheckpointLost(t, err)
			s.requireNoLeftovers(t, d)
		})
	}
}

func (s *suite) lostCheckpoint(t *testing.T) {
	for name, end := range map[string]func(d *delivery) error{
		"aborted":   func(d *delivery) error { return d.sink.Abort(t.Context()) },
		"published": func(d *delivery) error { return d.commit(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			path := s.path("lost")
			d := s.begin(t, path, content(s.size(3, 0)), transfer.CreateOptions{})
			checkpoint := s.interrupted(t, d, 2)
			d = s.again(t, d, checkpoint)
			require.NoError(t, d.writeWindow(t.Context(), 2))
			require.NoError(t, end(d))
			require.NoError(t, d.close())
			o := d.o
			o.Checkpoint = checkpoint
			_, err := create(t.Context(), s.session(t), path, d.data, o)
			requireCheckpointLost(t, err)
		})
	}
}

func (s *suite) damagedCheckpoint(t *testing.T) {
	for name, damage := range map[string]func(whole []byte) []byte{
		"garbage":   func([]byte) []byte { return []byte("\x00\xffgarbage{") },
		"truncated": func(whole []byte) []byte { return whole[:len(whole)/2] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := s.begin(t, s.path("damaged"), content(s.size(2, 5)), transfer.CreateOptions{})
			require.NoError(t, d.writeWindow(t.Context(), 0))
			checkpoint := d.sink.Checkpoint()
			require.NoError(t, d.close())
			if len(checkpoint) == 0 {
				checkpoint = []byte("no checkpoint at all")
			}
			d.o.Checkpoint = damage(checkpoint)
			_, err := create(t.Context(), s.session(t), d.path, d.data, d.o)
			if s.o.Resume || err != nil {
				requireCheckpointLost(t, err)
			}
			d = s.again(t, d, nil)
			require.NoError(t, d.writeAll(t.Context()))
			require.NoError(t, d.commit(t.Context()))
			require.NoError(t, d.close())
			s.requireContent(t, d.path, d.data)
		})
	}
}

func (s *suite) restarted(t *testing.T) {
	d := s.begin(t, s.path("restart"), content(s.size(3, 0)), transfer.CreateOptions{})
	require.NoError(t, d.writeAll(t.Context()))
	require.NoError(t, d.close())

	d = s.again(t, d, nil)
	require.NoError(t, d.writeWindow(t.Context(), 0))
	require.ErrorIs(t, d.commit(t.Context()), transfer.SizeMismatch, "Commit took windows of an attempt that was given up")
	require.NoError(t, d.close())
	s.requireMissing(t, d.path)

	d.data = content(s.size(2, 0))
	d = s.again(t, d, nil)
	require.NoError(t, d.writeAll(t.Context()))
	require.NoError(t, d.commit(t.Context()))
	require.NoError(t, d.close())
	s.requireContent(t, d.path, d.data)
	if !s.o.Orphans {
		s.requireNoLeftovers(t, d)
	}
}

func requireCheckpointLost(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err, "Create went on from a checkpoint that is no good")
	require.ErrorIs(t, err, transfer.CheckpointLost)
	require.Equal(t, transfer.CheckpointLost, transfer.CodeOf(err))
}
