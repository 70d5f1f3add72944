package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// walked returns all that a listing gives.
func walked(t *testing.T, client *transfer.Client, in transfer.ListDirectoryInput) []transfer.ListedFile {
	t.Helper()
	var files []transfer.ListedFile
	for f, err := range client.ListDirectory(t.Context(), &in) {
		require.NoError(t, err)
		files = append(files, f)
	}
	return files
}

func pathsOf(files []transfer.ListedFile) []string {
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = f.Path
		if f.Directory {
			paths[i] += "/"
		}
		if f.TooDeep {
			paths[i] += " ↓"
		}
		if f.Truncated {
			paths[i] += " …"
		}
	}
	return paths
}

// walkError returns the error of a listing that gives nothing else.
func walkError(t *testing.T, client *transfer.Client, in *transfer.ListDirectoryInput) error {
	t.Helper()
	n := 0
	var got error
	for f, err := range client.ListDirectory(t.Context(), in) {
		n++
		got = err
		require.Zero(t, f)
	}
	require.Equal(t, 1, n)
	require.Error(t, got)
	return got
}

// newLister returns a Client that does not run, with our storage and a partner "acme" over these.
func newLister(t *testing.T, ours, theirs transfer.Storage) (*transfer.Client, *transfertest.Connector) {
	t.Helper()
	partner := transfertest.NewConnector(theirs, transfertest.ConnectorOptions{})
	client, err := transfer.New(transfer.Config{Storage: ours, Connectors: map[string]transfer.Connector{"acme": partner}})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, client.Shutdown(context.Background()))
		require.Zero(t, partner.OpenRemotes())
		require.Empty(t, partner.Violations())
	})
	return client, partner
}

// shelves returns a storage with directories in directories.
func shelves() *transfer.Memory {
	m := transfer.NewMemory()
	for i, name := range []string{"in/a", "in/b/1", "in/b/c/deep", "in/b/2", "in/d/x", "in/e", "other"} {
		m.WriteFile(name, make([]byte, i))
	}
	return m
}

func TestListDirectory(t *testing.T) {
	t.Parallel()
	client, partner := newLister(t, shelves(), shelves())
	for _, connector := range []string{"", "acme"} {
		list := func(in transfer.ListDirectoryInput) []string {
			in.ConnectorID = connector
			return pathsOf(walked(t, client, in))
		}
		require.Equal(t, []string{"in/a", "in/b/", "in/d/", "in/e"}, list(transfer.ListDirectoryInput{Path: "in"}))
		require.Equal(t, []string{"/in/", "/other"}, list(transfer.ListDirectoryInput{Path: "/"}))
		require.Equal(t, []string{"in/", "other"}, list(transfer.ListDirectoryInput{Path: "."}))
		require.Equal(t, []string{"/in/a", "/in/b/", "/in/d/", "/in/e", "/in/b/1", "/in/b/2", "/in/b/c/", "/in/b/c/deep", "/in/d/x"},
			list(transfer.ListDirectoryInput{Path: "/in/", Recursive: true}))
		require.Equal(t, []string{"/in/a", "/in/b/", "/in/d/", "/in/e", "/in/b/1", "/in/b/2", "/in/b/c/ ↓", "/in/d/x"},
			list(transfer.ListDirectoryInput{Path: "/in", Recursive: true, MaxDepth: 2}))
		require.Equal(t, []string{"/in/a", "/in/b/ ↓", "/in/d/ ↓", "/in/e"}, list(transfer.ListDirectoryInput{Path: "/in", Recursive: true, MaxDepth: 1}))
	}
	require.Zero(t, partner.OpenRemotes())
	first := walked(t, client, transfer.ListDirectoryInput{ConnectorID: "acme", Path: "in"})
	require.Equal(t, transfer.ListedFile{Path: "in/e", Size: 5, ModTime: first[3].ModTime}, first[3])
	require.WithinDuration(t, time.Now(), first[3].ModTime, time.Minute)
	require.Equal(t, transfer.ListedFile{Path: "in/b", Directory: true, Size: -1}, first[1])
}

func TestListDirectoryIsCapped(t *testing.T) {
	t.Parallel()
	client, _ := newLister(t, shelves(), nil)
	whole := pathsOf(walked(t, client, transfer.ListDirectoryInput{Path: "in", Recursive: true}))
	require.Len(t, whole, 9)
	for n := 1; n <= len(whole); n++ {
		want := append([]string(nil), whole[:n]...)
		if n < len(whole) {
			want[n-1] += " …"
		}
		require.Equal(t, want, pathsOf(walked(t, client, transfer.ListDirectoryInput{Path: "in", Recursive: true, MaxItems: n})), "%d items", n)
	}
}

// endless lists the same in every directory.
type endless struct {
	*transfer.Memory
	names []string
}

func (e endless) ListDirectory(_ context.Context, _ string, found func(transfer.DirectoryEntry) bool) error {
	for _, name := range e.names {
		found(transfer.DirectoryEntry{Name: name, Directory: strings.HasPrefix(name, "loop"), Size: -1}) // as if it had not understood
	}
	return nil
}

func TestListDirectoryGoesRoundNoCircles(t *testing.T) {
	t.Parallel()
	client, _ := newLister(t, endless{names: []string{"file", "loop"}}, endless{names: []string{"loop1", "loop2", "loop3"}})
	files := walked(t, client, transfer.ListDirectoryInput{Path: ".", Recursive: true, MaxDepth: 5})
	require.Equal(t, []string{
		"file", "loop/", "loop/file", "loop/loop/", "loop/loop/file", "loop/loop/loop/", "loop/loop/loop/file", "loop/loop/loop/loop/",
		"loop/loop/loop/loop/file", "loop/loop/loop/loop/loop/ ↓",
	}, pathsOf(files))
	require.Equal(t, 2*32, len(walked(t, client, transfer.ListDirectoryInput{Path: ".", Recursive: true})))
	files = walked(t, client, transfer.ListDirectoryInput{Path: ".", Recursive: true, MaxDepth: 1000})
	require.Equal(t, 2*(1025/len("loop/")), len(files), "paths have an end, too")

	files = walked(t, client, transfer.ListDirectoryInput{ConnectorID: "acme", Path: "/", Recursive: true, MaxItems: 5000})
	require.Equal(t, 5000, len(files))
	require.True(t, files[4999].Truncated)
	both := walked(t, client, transfer.ListDirectoryInput{ConnectorID: "acme", Path: "/", Recursive: true, MaxItems: 2, MaxDepth: 1})
	require.Equal(t, []string{"/loop1/ ↓", "/loop2/ ↓ …"}, pathsOf(both))
}

// What a partner says is never taken for a path that it is not.
func TestListDirectoryOfAHostilePartner(t *testing.T) {
	t.Parallel()
	bad := []string{"", ".", "..", "../up", "/etc/passwd", "a/b", "nul\x00", "bad\xffname", "two\nlines", strings.Repeat("x", 1021)}
	client, _ := newLister(t, endless{names: append(bad, "good", "loop", strings.Repeat("y", 1020))}, nil)
	var left []string
	files := walked(t, client, transfer.ListDirectoryInput{Path: "/in", Recursive: true, MaxDepth: 2, MaxItems: 5, LeftOut: func(path string) { left = append(left, path) }})
	require.Equal(t, []string{"/in/good", "/in/loop/", "/in/" + strings.Repeat("y", 1020), "/in/loop/good", "/in/loop/loop/ ↓"}, pathsOf(files))
	require.Len(t, left, 2*len(bad)+1, "of both directories; in the lower one, a path is too long")
	require.Equal(t, "/in/bad\xffname", left[7])

	many := make([]string, 200_001)
	client, _ = newLister(t, endless{names: many}, nil)
	require.Equal(t, transfer.ListDirectoryError, transfer.CodeOf(walkError(t, client, &transfer.ListDirectoryInput{Path: "/"})))
	many[7] = "good"
	require.Equal(t, []string{"/good …"}, pathsOf(walked(t, client, transfer.ListDirectoryInput{Path: "/"})))
}

func TestListDirectoryEndsEarly(t *testing.T) {
	t.Parallel()
	client, partner := newLister(t, nil, shelves())
	for n := 1; n <= 9; n++ {
		seen := 0
		for _, err := range client.ListDirectory(t.Context(), &transfer.ListDirectoryInput{ConnectorID: "acme", Path: "in", Recursive: true}) {
			require.NoError(t, err)
			require.Equal(t, 1, partner.OpenRemotes())
			if seen++; seen == n {
				break
			}
		}
		require.Equal(t, n, seen)
		require.Zero(t, partner.OpenRemotes(), "left after %d", n)
	}
	require.Panics(t, func() {
		for range client.ListDirectory(t.Context(), &transfer.ListDirectoryInput{ConnectorID: "acme", Path: "in"}) {
			panic("in the loop")
		}
	})
	require.Zero(t, partner.OpenRemotes())
}

func TestListDirectoryFails(t *testing.T) {
	t.Parallel()
	client, partner := newLister(t, onlyStorage{transfer.NewMemory()}, shelves())
	var bad *transfer.InvalidRequestException
	require.ErrorAs(t, walkError(t, client, &transfer.ListDirectoryInput{ConnectorID: "a\nb", MaxItems: 200_001, MaxDepth: -1}), &bad)
	require.Len(t, bad.Fields, 4)
	require.ErrorAs(t, walkError(t, client, nil), &bad)
	var unknown *transfer.ResourceNotFoundException
	require.ErrorAs(t, walkError(t, client, &transfer.ListDirectoryInput{ConnectorID: "none", Path: "/"}), &unknown)
	require.ErrorIs(t, walkError(t, client, &transfer.ListDirectoryInput{Path: "/"}), transfer.UnsupportedOperationError)

	in := &transfer.ListDirectoryInput{ConnectorID: "acme", Path: "in/none", Recursive: true}
	require.ErrorIs(t, walkError(t, client, in), transfer.FileNotFound)
	in.Path = "in"
	partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Times: 1, Err: &transfer.Error{Op: "dial", Code: transfer.ConnectionRefused}})
	require.ErrorIs(t, walkError(t, client, in), transfer.ConnectionRefused)
	partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Times: 1, Do: func(transfertest.Call) { panic("in the connector") }})
	require.Equal(t, transfer.InternalError, transfer.CodeOf(walkError(t, client, in)))

	broken := errors.New("broken")
	partner.Inject(transfertest.Rule{Op: transfertest.OpListDirectory, Nth: 2, Err: broken})
	var seen []string
	var end error
	for f, err := range client.ListDirectory(t.Context(), in) {
		if end = err; err == nil {
			seen = append(seen, f.Path)
		}
	}
	require.ErrorIs(t, end, broken)
	require.Equal(t, []string{"in/a", "in/b", "in/d", "in/e"}, seen, "what was there before")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen = nil
	for f, err := range client.ListDirectory(ctx, in) {
		if end = err; err == nil {
			seen = append(seen, f.Path)
			cancel()
		}
	}
	require.ErrorIs(t, end, context.Canceled)
	require.NotEmpty(t, seen)
}

// A directory that is gone when its turn comes is empty.
func TestListDirectoryWhileDirectoriesGo(t *testing.T) {
	t.Parallel()
	theirs := shelves()
	client, _ := newLister(t, nil, theirs)
	var seen []string
	for f, err := range client.ListDirectory(t.Context(), &transfer.ListDirectoryInput{ConnectorID: "acme", Path: "in", Recursive: true}) {
		require.NoError(t, err)
		seen = append(seen, f.Path)
		theirs.Remove("in/d/x")
	}
	require.Equal(t, []string{"in/a", "in/b", "in/d", "in/e", "in/b/1", "in/b/2", "in/b/c", "in/b/c/deep"}, seen)
}

// Connectors of the Store can be listed by clients that run, that do not, and that were shut down.
func TestListDirectoryOfAStoredConnector(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	d.remote.WriteFile("in/a", nil)
	idle := d.newDynamic()
	gone := d.newDynamic()
	require.NoError(t, gone.Start(context.WithoutCancel(t.Context())))
	require.NoError(t, gone.Shutdown(context.Background()))
	in := transfer.ListDirectoryInput{ConnectorID: d.id, Path: "in"}
	opened := d.protocol.Opened()
	for i, client := range []*transfer.Client{d.client, idle, gone} {
		require.Equal(t, []string{"in/a"}, pathsOf(walked(t, client, in)), "client %d", i)
	}
	require.Equal(t, opened, d.protocol.Opened(), "what was opened for a listing is closed after it")
	poor := d.newDynamic(func(c *transfer.Config) { c.Protocols = nil })
	var cannot *transfer.ServiceUnavailableException
	require.ErrorAs(t, walkError(t, poor, &in), &cannot)
}

// A listing finds out for the files, too, whether the partner can be reached.
func TestListDirectoryTellsTheBreaker(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	partner := transfertest.NewConnector(shelves(), transfertest.ConnectorOptions{})
	client, err := transfer.New(transfer.Config{
		Connectors: map[string]transfer.Connector{"acme": partner}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Times: 2, Err: &transfer.Error{Op: "dial", Code: transfer.ConnectionRefused}})
	in := &transfer.ListDirectoryInput{ConnectorID: "acme", Path: "in"}
	for range 2 {
		require.ErrorIs(t, walkError(t, client, in), transfer.ConnectionRefused)
	}
	require.Equal(t, 1, strings.Count(log.String(), "the partner, which is left alone"), log.String())
	require.Len(t, walked(t, client, *in), 4)
	require.Contains(t, log.String(), "partner can be reached again")
}

func TestListRemoteOperations(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	other := d.create(transfer.CreateConnectorInput{})
	d.remote.WriteFile("in/a", nil)
	var ids []string
	for i := range 7 {
		connector := []string{d.id, other}[i%2]
		out, err := d.client.StartRemoteDelete(t.Context(), &transfer.StartRemoteDeleteInput{ConnectorID: connector, DeletePath: fmt.Sprint("in/", i)})
		require.NoError(t, err)
		d.ended(out.DeleteID)
		ids = append(ids, out.DeleteID)
	}
	slices.Reverse(ids)
	for _, size := range []int32{0, 1, 3, 7} {
		var got []string
		pages := transfer.NewListRemoteOperationsPaginator(d.client, &transfer.ListRemoteOperationsInput{MaxResults: size})
		for o, err := range pages.All(t.Context()) {
			require.NoError(t, err)
			got = append(got, o.OperationID)
			described, err := d.client.DescribeRemoteOperation(t.Context(), &transfer.DescribeRemoteOperationInput{OperationID: o.OperationID})
			require.NoError(t, err)
			require.Equal(t, *described, o)
		}
		require.Equal(t, ids, got)
		require.False(t, pages.HasMorePages())
		_, err := pages.NextPage(t.Context())
		require.EqualError(t, err, "no more pages available")
	}
	page, err := d.client.ListRemoteOperations(t.Context(), &transfer.ListRemoteOperationsInput{ConnectorID: other, MaxResults: 2})
	require.NoError(t, err)
	require.Equal(t, []string{ids[1], ids[3]}, []string{page.Operations[0].OperationID, page.Operations[1].OperationID})
	var badToken *transfer.InvalidNextTokenException
	for connector, token := range map[string]string{d.id: page.NextToken, "": page.NextToken, other: "x" + page.NextToken} {
		_, err = d.client.ListRemoteOperations(t.Context(), &transfer.ListRemoteOperationsInput{ConnectorID: connector, NextToken: token})
		require.ErrorAs(t, err, &badToken, "%q", connector)
	}
	var bad *transfer.InvalidRequestException
	_, err = d.client.ListRemoteOperations(t.Context(), &transfer.ListRemoteOperationsInput{ConnectorID: "a\nb", MaxResults: 1001})
	require.ErrorAs(t, err, &bad)
	require.Len(t, bad.Fields, 2)
	empty, err := d.client.ListRemoteOperations(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, empty.Operations, 7)
}
