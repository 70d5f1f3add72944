package storagetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

func (s *suite) deliveryCases() []testCase {
	return []testCase{
		{"a file of any size arrives as it was sent", s.anySize},
		{"nothing is visible before Commit", s.invisible},
		{"Abort leaves nothing", s.abort},
		{"Abort twice is fine", s.abortTwice},
		{"Discard leaves nothing of an unfinished delivery", s.discard},
		{"Discard makes nothing and spares what was published", s.discardNothing},
		{"Abort after Commit does nothing", s.abortAfterCommit},
		{"Open after Commit gives the committed version", s.readBack},
		{"Close without Commit publishes nothing", s.closeOnly},
		{"Commit fails if a window is missing", s.missingWindow},
		{"neither fewer nor more bytes than promised are published", s.wrongLength},
		{"windows may be written at once", s.parallelWindows},
		{"a missing parent directory is created or named", s.missingParent},
		{"a file may have any name", s.names},
	}
}

func (s *suite) anySize(t *testing.T) {
	for name, size := range map[string]int{
		"0": 0, "1": 1, "window-1": s.size(1, -1), "window": s.size(1, 0), "window+1": s.size(1, 1),
		"3 windows": s.size(3, 0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, data := s.path("size"), content(size)
			d := s.begin(t, path, data, transfer.CreateOptions{})
			require.NoError(t, d.writeAll(t.Context()))
			require.NoError(t, d.commit(t.Context()))
			require.NoError(t, d.close())
			s.requireContent(t, path, data)
			s.requireNoLeftovers(t, d)
		})
	}
}

func (s *suite) invisible(t *testing.T) {
	for _, windows := range []int64{1, 3} {
		t.Run(fmt.Sprint(windows, " windows"), func(t *testing.T) {
			t.Parallel()
			path := s.path("invisible")
			d := s.begin(t, path, content(s.size(windows, 0)), transfer.CreateOptions{})
			s.requireMissing(t, path)
			for i := range d.windows() {
				require.NoError(t, d.writeWindow(t.Context(), i))
				s.requireMissing(t, path)
			}
			require.NoError(t, d.commit(t.Context()))
			s.requireContent(t, path, d.data)
		})
	}
}

func (s *suite) discard(t *testing.T) {
	for _, windows := range []int{0, 1, 2} {
		t.Run(fmt.Sprint("after ", windows, " of 3 windows"), func(t *testing.T) {
			t.Parallel()
			path := s.path("discard")
			d := s.begin(t, path, content(s.size(3, 0)), transfer.CreateOptions{})
			for i := range windows {
				require.NoError(t, d.writeWindow(t.Context(), i))
			}
			o := d.o
			o.Checkpoint = d.sink.Checkpoint()
			require.NoError(t, d.close())
			if o.Checkpoint == nil && s.o.Orphans {
				return // nobody knows of the upload
			}
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

func (s *suite) discardNothing(t *testing.T) {
	path, data := s.path("discard-published"), content(s.size(2, 1))
	d := s.begin(t, path, data, transfer.CreateOptions{})
	require.NoError(t, d.writeAll(t.Context()))
	o := d.o
	o.Checkpoint = d.sink.Checkpoint()
	require.NoError(t, d.commit(t.Context()))
	require.NoError(t, d.close())
	storage, done := s.lend(t)
	defer done()
	require.NoError(t, storage.Discard(t.Context(), path, o))
	o.Checkpoint = nil
	require.NoError(t, storage.Discard(t.Context(), path, o))
	s.requireContent(t, path, data)
	s.requireNoLeftovers(t, d)
	none := s.path("discard-none")
	require.NoError(t, storage.Discard(t.Context(), none, o))
	s.requireMissing(t, none)
}

func (s *suite) abort(t *testing.T) {
	for _, windows := range []int{0, 1, 2, 3} {
		t.Run(fmt.Sprint("after ", windows, " of 3 windows"), func(t *testing.T) {
			t.Parallel()
			path := s.path("abort")
			d := s.begin(t, path, content(s.size(3, 0)), transfer.CreateOptions{})
			for i := range windows {
				require.NoError(t, d.writeWindow(t.Context(), i))
			}
			require.NoError(t, d.sink.Abort(t.Context()))
			require.NoError(t, d.close())
			s.requireMissing(t, path)
			s.requireNoLeftovers(t, d)
		})
	}
}

func (s *suite) abortTwice(t *testing.T) {
	for _, windows := range []int64{1, 3} {
		t.Run(fmt.Sprint(windows, " windows"), func(t *testing.T) {
			t.Parallel()
			path, old := s.path("twice"), content(100)
			s.write(t, path, old)
			d := s.begin(t, path, content(s.size(windows, 0)), transfer.CreateOptions{})
			require.NoError(t, d.writeWindow(t.Context(), 0))
			for range 2 {
				require.NoError(t, d.sink.Abort(t.Context()))
				s.requireContent(t, path, old)
				s.requireNoLeftovers(t, d)
			}
			require.NoError(t, d.close())
		})
	}
}

// readBack is what reading a delivered file back relies on: the version that was committed last is there at once, for
// every session, even before the sink is closed.
func (s *suite) readBack(t *testing.T) {
	for name, size := range map[string]int{"0": 0, "1 window": s.size(1, -1), "3 windows": s.size(2, 1)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := s.path("back")
			for range 3 { // contents as long as the one before
				d := s.begin(t, path, content(size), transfer.CreateOptions{})
				require.NoError(t, d.writeAll(t.Context()))
				require.NoError(t, d.commit(t.Context()))
				s.requireContent(t, path, d.data)
				require.NoError(t, d.sink.Abort(t.Context()))
				s.requireContent(t, path, d.data)
				require.NoError(t, d.close())
				s.requireContent(t, path, d.data)
			}
		})
	}
}

func (s *suite) abortAfterCommit(t *testing.T) {
	path := s.path("commit")
	d := s.begin(t, path, content(s.size(2, 5)), transfer.CreateOptions{})
	require.NoError(t, d.writeAll(t.Context()))
	require.NoError(t, d.commit(t.Context()))
	require.NoError(t, d.sink.Abort(t.Context()))
	s.requireContent(t, path, d.data)
	require.NoError(t, d.close())
	s.requireContent(t, path, d.data)
}

func (s *suite) closeOnly(t *testing.T) {
	for name, size := range map[string]int{"1 window": s.size(1, 0), "3 windows": s.size(3, 0)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := s.path("close")
			d := s.begin(t, path, content(size), transfer.CreateOptions{})
			require.NoError(t, d.writeAll(t.Context()))
			require.NoError(t, d.close())
			s.requireMissing(t, path)
		})
	}
}

func (s *suite) missingWindow(t *testing.T) {
	for _, c := range []struct {
		name    string
		windows int64
		write   []int
		order   bool // the windows come in order
	}{
		{"the only one", 1, nil, true},
		{"all", 3, nil, true},
		{"the last", 3, []int{0, 1}, true},
		{"the first", 3, []int{1, 2}, false},
		{"in the middle", 3, []int{0, 2}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := s.path("missing-window")
			old := content(100)
			s.write(t, path, old)
			d := s.begin(t, path, content(s.size(c.windows, 0)), transfer.CreateOptions{})
			if !c.order && d.sink.Concurrency() == 1 {
				t.Skip("skipped: this sink takes its windows in order")
			}
			for _, i := range c.write {
				require.NoError(t, d.writeWindow(t.Context(), i))
			}
			err := d.commit(t.Context())
			require.Error(t, err, "Commit published a file with a hole")
			require.ErrorIs(t, err, transfer.SizeMismatch)
			s.requireContent(t, path, old)
			require.NoError(t, d.sink.Abort(t.Context()))
			require.NoError(t, d.close())
			s.requireContent(t, path, old)
			s.requireNoLeftovers(t, d)
		})
	}
}

func (s *suite) wrongLength(t *testing.T) {
	short := func(d *delivery, last int) error {
		off := int64(last) * d.o.WindowSize
		return d.send(t.Context(), d.data[off:len(d.data)-1], off)
	}
	long := func(d *delivery, last int) error {
		off := int64(last) * d.o.WindowSize
		return d.send(t.Context(), append(d.data[off:len(d.data):len(d.data)], 'x'), off)
	}
	for name, lastWindow := range map[string]func(*delivery, int) error{"one fewer": short, "one more": long} {
		for _, windows := range []int64{0, 2} {
			t.Run(fmt.Sprint(name, ", ", windows+1, " windows"), func(t *testing.T) {
				t.Parallel()
				path := s.path("length")
				d := s.begin(t, path, content(s.size(windows, 100)), transfer.CreateOptions{})
				for i := range int(windows) {
					require.NoError(t, d.writeWindow(t.Context(), i))
				}
				err := lastWindow(d, int(windows))
				if err == nil {
					err = d.commit(t.Context())
				}
				require.ErrorIs(t, err, transfer.SizeMismatch)
				require.NoError(t, d.sink.Abort(t.Context()))
				s.requireMissing(t, path)
			})
		}
	}
}

func (s *suite) parallelWindows(t *testing.T) {
	path := s.path("parallel")
	d := s.begin(t, path, content(s.size(4, 17)), transfer.CreateOptions{})
	if d.sink.Concurrency() == 1 {
		t.Skip("skipped: this sink takes one window at a time")
	}
	require.NoError(t, inParallel(d.windows()+1, d.sink.Concurrency(), func(i int) error {
		if i == d.windows() {
			d.sink.Checkpoint() // may be called while windows are written
			return nil
		}
		return d.writeWindow(t.Context(), i)
	}))
	require.NoError(t, d.commit(t.Context()))
	require.NoError(t, d.close())
	s.requireContent(t, path, d.data)
}

func (s *suite) missingParent(t *testing.T) {
	path := s.path("parent") + "/child/file.txt"
	if s.o.MissingParent == "" {
		data := content(100)
		s.write(t, path, data)
		s.requireContent(t, path, data)
		return
	}
	_, err := create(t.Context(), s.session(t), path, content(100), transfer.CreateOptions{WindowSize: s.o.WindowSize})
	require.Error(t, err)
	require.Equal(t, s.o.MissingParent, transfer.CodeOf(err))
	require.ErrorIs(t, err, s.o.MissingParent)
}

func (s *suite) names(t *testing.T) {
	id := token()
	for _, name := range []string{
		"with  two spaces-" + id, "ünïcödé-日本語-" + id, "100%25%-" + id, "a+b-" + id, "a#b-" + id, ".dot-" + id,
		"quote'\"`-" + id, "&amp;=?-" + id, "-dash-" + id, "~tilde$HOME-" + id,
		"long-" + id + strings.Repeat("x", 195-len(id)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, data := s.o.Root+"/"+name, content(100)
			s.write(t, path, data)
			s.requireContent(t, path, data)
		})
	}
}

func (s *suite) generalCases() []testCase {
	return []testCase{
		{"16 files are delivered at once", s.manyFiles},
		{"an ended context fails promptly", s.endedContext},
	}
}

func (s *suite) manyFiles(t *testing.T) {
	const files = 16
	paths, contents, storages := make([]string, files), make([][]byte, files), make([]transfer.Storage, files)
	for i := range files {
		paths[i], contents[i], storages[i] = s.path("many"), content(s.size(0, int64(1000+i))), s.session(t)
		if i%4 == 0 {
			contents[i] = content(s.size(1, int64(i)))
		}
	}
	o := transfer.CreateOptions{WindowSize: s.o.WindowSize}
	require.NoError(t, inParallel(files, files, func(i int) error {
		return Write(t.Context(), storages[i], paths[i], contents[i], o)
	}))
	got := make([][]byte, files)
	for i := range files {
		storages[i] = s.session(t)
	}
	require.NoError(t, inParallel(files, files, func(i int) (err error) {
		got[i], err = Read(t.Context(), storages[i], paths[i])
		return err
	}))
	for i := range files {
		requireSame(t, contents[i], got[i], paths[i])
	}
}

func (s *suite) endedContext(t *testing.T) {
	path, data, ctx := s.path("ended"), content(s.size(2, 0)), ended(t)
	_, err := create(ctx, s.session(t), path, data, transfer.CreateOptions{WindowSize: s.o.WindowSize})
	require.Error(t, err, "Create")
	d := s.begin(t, path, data, transfer.CreateOptions{})
	require.Error(t, d.writeWindow(ctx, 0), "WriteWindow")
	require.NoError(t, errors.Join(d.sink.Abort(t.Context()), d.close()))

	d = s.begin(t, path, data, transfer.CreateOptions{})
	require.NoError(t, d.writeAll(t.Context()))
	require.Error(t, d.commit(ctx), "Commit")
	s.requireMissing(t, path)
	require.NoError(t, errors.Join(d.sink.Abort(t.Context()), d.close()))

	s.write(t, path, data)
	_, err = s.session(t).Open(ctx, path)
	require.Error(t, err, "Open")
	source, err := s.session(t).Open(t.Context(), path)
	require.NoError(t, err)
	require.Error(t, source.ReadWindow(ctx, make([]byte, 1), 0), "ReadWindow")
	require.NoError(t, source.Close())
}
