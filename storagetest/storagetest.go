// Package storagetest checks that a [transfer.Storage] keeps its contract. An implementation's test is one call:
//
//	func TestStorage(t *testing.T) {
//		t.Parallel()
//		m := mystorage.New()
//		storagetest.Run(t, func(*testing.T) transfer.Storage { return m }, storagetest.Options{Resume: true})
//	}
//
// Every promise is a subtest named after it. What a storage cannot do is declared in [Options]; the subtests of it are
// then skipped, visibly.
//
// [Write] and [Read] move one file through a Storage the way the engine does, for use in other tests.
package storagetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// DefaultWindowSize is the window of the suite where Options.WindowSize is 0, in bytes.
const DefaultWindowSize = 64 << 10

// Options says where the suite may write and what the storage can do.
type Options struct {
	// Root is put before every path: "/bucket" for S3, "" (the default) for none. It must be there.
	Root string
	// WindowSize is the window of every delivery, in bytes. 0 is DefaultWindowSize; S3 needs 5 MiB. The suite writes
	// files of up to four windows.
	WindowSize int64
	// Resume says that a delivery goes on from a Checkpoint.
	Resume bool
	// MissingParent is the code that Create fails with where the parent directory is missing; "" says that parents
	// are created, or not needed.
	MissingParent transfer.Code
	// Flat says that there are no directories, so that opening one is like opening a missing file.
	Flat bool
	// RacyOverwrite says that a file which appears between Create and Commit may be replaced even if the overwrite
	// policy forbids it. Create refuses to replace in every case.
	RacyOverwrite bool
	// Orphans says that a delivery which begins again without its Checkpoint does not find what the attempt before it
	// left, as an upload to S3 does not. It stays until somebody else removes it.
	Orphans bool
	// Directories says that what open returns is a transfer.Directories; MakeDirectory is then called for what the suite
	// needs there.
	Directories bool
	// Implied says that directories are there while files are below them, and only then.
	Implied bool
	// ListsUnfinished says that a listing shows the temporary names of deliveries, as a partner's server does.
	ListsUnfinished bool
	// Leftovers, if not nil, returns the names of all files there are, temporary ones and unfinished uploads too.
	// The suite then checks that a delivery that has ended left no name that holds the target's name or the delivery's
	// Key, but the target itself. An unfinished upload needs something after its target's name: "bucket/a.csv (upload)".
	Leftovers func(t *testing.T) []string
}

func (o Options) withDefaults() Options {
	if o.WindowSize == 0 {
		o.WindowSize = DefaultWindowSize
	}
	return o
}

// Run checks the Storage that open returns, under Options.Root and names that no other run has used. open is called for
// each file: all that it returns MUST show the same files. The suite closes a [transfer.Remote] when the file is done
// with, as the engine does; anything else that must be closed is the caller's to close, through t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) transfer.Storage, o Options) {
	t.Helper()
	s := &suite{open: open, o: o.withDefaults()}
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"delivery", s.deliveryCases()},
		{"overwrite", s.overwriteCases()},
		{"unknown size", s.unknownCases()},
		{"source", s.sourceCases()},
		{"resume", s.resumeCases()},
		{"both", s.generalCases()},
		{"directories", s.directoryCases()},
	} {
		if group.name == "directories" && !s.o.Directories {
			continue
		}
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range group.cases {
				t.Run(c.promise, func(t *testing.T) {
					t.Parallel()
					c.check(t)
				})
			}
		})
	}
}

type testCase struct {
	promise string
	check   func(t *testing.T)
}

type suite struct {
	open func(t *testing.T) transfer.Storage
	o    Options
}

// lend returns a live storage for one file at a time, and what to call when the file is done with.
func (s *suite) lend(t *testing.T) (storage transfer.Storage, done func()) {
	t.Helper()
	storage = s.open(t)
	require.NotNil(t, storage, "open returned nil")
	if remote, ok := storage.(transfer.Remote); ok {
		return storage, func() { _ = remote.Close() }
	}
	return storage, func() {}
}

// session returns a live storage for one file, until the test ends.
func (s *suite) session(t *testing.T) transfer.Storage {
	t.Helper()
	storage, done := s.lend(t)
	t.Cleanup(done)
	return storage
}

// path returns a path that nobody has used, with label in its name.
func (s *suite) path(label string) string {
	return s.o.Root + "/" + label + "-" + token()
}

// write delivers data to path and fails the test if that fails.
func (s *suite) write(t *testing.T, path string, data []byte) {
	t.Helper()
	storage, done := s.lend(t)
	defer done()
	err := Write(t.Context(), storage, path, data, transfer.CreateOptions{WindowSize: s.o.WindowSize})
	require.NoError(t, err, "write %s", path)
}

// requireContent fails the test unless the file at path holds exactly data.
func (s *suite) requireContent(t *testing.T, path string, data []byte) {
	t.Helper()
	storage, done := s.lend(t)
	defer done()
	got, err := Read(t.Context(), storage, path)
	require.NoError(t, err, "read %s", path)
	requireSame(t, data, got, path)
}

// requireMissing fails the test unless there is no file at path.
func (s *suite) requireMissing(t *testing.T, path string) {
	t.Helper()
	storage, done := s.lend(t)
	defer done()
	source, err := storage.Open(t.Context(), path)
	if err == nil {
		_ = source.Close()
	}
	require.Error(t, err, "%s is there, but should not be", path)
	require.ErrorIs(t, err, transfer.FileNotFound)
	require.Equal(t, transfer.FileNotFound, transfer.CodeOf(err))
}

// requireNoLeftovers fails the test if anything that belongs to the delivery d is there, apart from the target itself.
func (s *suite) requireNoLeftovers(t *testing.T, d *delivery) {
	t.Helper()
	if s.o.Leftovers == nil {
		return
	}
	base := d.path[strings.LastIndexByte(d.path, '/')+1:]
	left := slices.DeleteFunc(s.o.Leftovers(t), func(name string) bool {
		isTarget := strings.HasSuffix("/"+name, "/"+base)
		return isTarget || !strings.Contains(name, base) && !strings.Contains(name, d.o.Key)
	})
	require.Empty(t, left, "the delivery of %s left something behind", d.path)
}

// window returns the length of n windows and extra bytes.
func (s *suite) size(windows, extra int64) int { return int(windows*s.o.WindowSize + extra) }

// requireSame compares contents without printing megabytes.
func requireSame(t *testing.T, want, got []byte, what string) {
	t.Helper()
	require.Equal(t, len(want), len(got), "length of %s", what)
	for i := range want {
		if want[i] != got[i] {
			require.Failf(t, "content differs", "%s: byte %d of %d is %#x, want %#x", what, i, len(want), got[i], want[i])
		}
	}
}

// content returns n bytes that nothing else holds.
func content(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.Read(p)
	return p
}

func token() string { return hex.EncodeToString(content(5)) }

// NewKey returns a key for CreateOptions that nobody has used.
func NewKey() string { return hex.EncodeToString(content(16)) }

// ended returns a context that has ended.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
