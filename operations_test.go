package transfer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// ended waits for the end of an operation.
func (d *dynamic) ended(id string) *transfer.DescribeRemoteOperationOutput {
	d.t.Helper()
	var out *transfer.DescribeRemoteOperationOutput
	require.Eventually(d.t, func() bool {
		var err error
		out, err = d.client.DescribeRemoteOperation(d.t.Context(), &transfer.DescribeRemoteOperationInput{OperationID: id})
		require.NoError(d.t, err)
		return out.StatusCode != transfer.TransferTableStatusInProgress
	}, 30*time.Second, time.Millisecond)
	require.False(d.t, out.FinishedAt.Before(out.CreatedAt))
	return out
}

func (d *dynamic) list(dir string, items int32) *transfer.DescribeRemoteOperationOutput {
	d.t.Helper()
	out, err := d.client.StartDirectoryListing(d.t.Context(), &transfer.StartDirectoryListingInput{
		ConnectorID: d.id, RemoteDirectoryPath: dir, OutputDirectoryPath: "/lists", MaxItems: items,
	})
	require.NoError(d.t, err)
	require.Equal(d.t, d.id+"-"+out.ListingID+".json", out.OutputFileName)
	return d.ended(out.ListingID)
}

// listed is the listing file as a program reads it.
type listed struct {
	Files []struct {
		FilePath          string
		ModifiedTimestamp *time.Time
		Size              *int64
	}
	Paths     []struct{ Path string }
	Truncated string
}

func (d *dynamic) listed(path string) (l listed) {
	d.t.Helper()
	text, err := d.local.ReadFile(path)
	require.NoError(d.t, err)
	require.NoError(d.t, json.Unmarshal(text, &l))
	return l
}

func TestDirectoryListing(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	d.remote.WriteFile("in/a.csv", content(1, 10))
	d.remote.WriteFile("in/b & <c>.csv", nil)
	d.remote.WriteFile("in/old/x.csv", nil)
	d.remote.WriteFile("in/old/y.csv", nil)
	d.remote.WriteFile("in/bad\xffname", nil)
	d.remote.WriteFile("in/two\nlines", nil)
	d.remote.WriteFile("other", nil)
	out := d.list("/in", 0)
	require.Equal(t, transfer.TransferTableStatusCompleted, out.StatusCode)
	require.Equal(t, transfer.RemoteList, out.Kind)
	require.Equal(t, []any{d.id, "/in", 3, false}, []any{out.ConnectorID, out.Path, out.Items, out.Truncated})
	require.Equal(t, 2, out.LeftOut)
	l := d.listed(out.TargetPath)
	require.Len(t, l.Files, 2)
	require.Equal(t, "/in/a.csv", l.Files[0].FilePath)
	require.EqualValues(t, 10, *l.Files[0].Size)
	require.WithinDuration(t, time.Now(), *l.Files[0].ModifiedTimestamp, time.Minute)
	require.Equal(t, "/in/b & <c>.csv", l.Files[1].FilePath)
	require.Zero(t, *l.Files[1].Size)
	require.Equal(t, []struct{ Path string }{{"/in/old"}}, l.Paths)
	require.Equal(t, "false", l.Truncated)

	require.Equal(t, "in/a.csv", d.listed(d.list("in", 1).TargetPath).Files[0].FilePath)
	l = d.listed(d.list(".", 0).TargetPath)
	require.Equal(t, "other", l.Files[0].FilePath)
	require.Equal(t, "in", l.Paths[0].Path)
}

// The file has the shape that AWS publishes, byte for byte.
func TestListingFileShape(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	d.partner = nil
	partner := transfertest.NewConnector(shelf{Memory: d.remote}, transfertest.ConnectorOptions{})
	d.protocol = transfertest.NewProtocol(partner)
	client := d.newDynamic()
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	defer func() { require.NoError(t, client.Shutdown(context.Background())) }()
	out, err := client.StartDirectoryListing(t.Context(), &transfer.StartDirectoryListingInput{
		ConnectorID: d.id, RemoteDirectoryPath: "/home/", OutputDirectoryPath: "lists/",
	})
	require.NoError(t, err)
	done := d.ended(out.ListingID)
	require.Equal(t, "lists/"+out.OutputFileName, done.TargetPath)
	text, err := d.local.ReadFile(done.TargetPath)
	require.NoError(t, err)
	require.Equal(t, `{"files":[{"filePath":"/home/what.txt","modifiedTimestamp":"2024-01-30T20:34:54Z","size":2323},{"filePath":"/home/bare"}],`+
		`"paths":[{"path":"/home/magic"}],"truncated":"false"}`, string(text))
	d.partner = transfertest.NewConnector(nil, transfertest.ConnectorOptions{})
	d.protocol = transfertest.NewProtocol(nil)
}

// shelf lists what AWS's guide has as its example.
type shelf struct{ *transfer.Memory }

func (shelf) ListDirectory(_ context.Context, _ string, found func(transfer.DirectoryEntry) bool) error {
	for _, e := range []transfer.DirectoryEntry{
		{Name: "what.txt", Size: 2323, ModTime: time.Date(2024, 1, 30, 20, 34, 54, 123, time.UTC)}, {Name: "magic", Directory: true}, {Name: "bare", Size: -1},
	} {
		if !found(e) {
			break
		}
	}
	return nil
}

func TestListingIsCapped(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	for i := range 1005 {
		d.remote.WriteFile(fmt.Sprintf("in/%04d", i), nil)
	}
	for items, want := range map[int32]int{0: 1000, 1: 1, 1004: 1004} {
		out := d.list("in", items)
		require.Equal(t, []any{want, true}, []any{out.Items, out.Truncated})
		l := d.listed(out.TargetPath)
		require.Len(t, l.Files, want)
		require.Equal(t, "true", l.Truncated)
	}
	out := d.list("in", 1005)
	require.Equal(t, []any{1005, false}, []any{out.Items, out.Truncated})
	require.Empty(t, d.local.Partials())
}

func TestListingFails(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	d.remote.WriteFile("in/a", nil)
	for name, test := range map[string]struct {
		dir          string
		rule         transfertest.Rule
		local        bool
		code, detail transfer.Code
	}{
		"missing":    {dir: "nowhere", code: transfer.DirectoryNotFound},
		"refused":    {dir: "in", rule: transfertest.FailNth(transfertest.OpListDirectory, 1, &transfer.Error{Op: "list", Code: transfer.PermissionDenied}), code: transfer.ListDirectoryError, detail: transfer.PermissionDenied},
		"unknown":    {dir: "in", rule: transfertest.FailNth(transfertest.OpListDirectory, 1, errors.New("?")), code: transfer.ListDirectoryError},
		"no session": {dir: "in", rule: transfertest.FailNth(transfertest.OpConnect, 1, &transfer.Error{Op: "connect", Code: transfer.HostKeyMismatch}), code: transfer.ConnectionError, detail: transfer.HostKeyMismatch},
		"lost":       {dir: "in", rule: transfertest.FailNth(transfertest.OpListDirectory, 1, &transfer.Error{Op: "list", Code: transfer.ConnectionLost}), code: transfer.ConnectionError, detail: transfer.ConnectionLost},
		"late":       {dir: "in", rule: transfertest.FailNth(transfertest.OpListDirectory, 1, &transfer.Error{Op: "list", Code: transfer.OperationTimeout}), code: transfer.TimeoutError, detail: transfer.OperationTimeout},
		"full":       {dir: "in", local: true, rule: transfertest.FailNth(transfertest.OpWriteWindow, 1, &transfer.Error{Op: "write", Code: transfer.NoSpace}), code: transfer.WriteFileError, detail: transfer.NoSpace},
	} {
		at := d.partner.Inject
		if test.local {
			at = d.storage.Inject
		}
		var struck *transfertest.Injection
		if test.rule.Op != 0 {
			struck = at(test.rule)
		}
		out := d.list(test.dir, 0)
		require.Equal(t, []transfer.Code{test.code, test.detail}, []transfer.Code{out.FailureCode, out.FailureDetail}, name)
		require.Equal(t, transfer.TransferTableStatusFailed, out.StatusCode, name)
		require.Contains(t, out.FailureMessage, "sftp://partner.example", name)
		if struck != nil {
			require.Equal(t, 1, struck.Hits(), name)
		}
		_, err := d.local.ReadFile(out.TargetPath)
		require.Error(t, err, name)
		require.Empty(t, d.local.Partials(), name)
	}
}

func TestRemoteDelete(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	d.remote.WriteFile("in/a", nil)
	remove := func(path string) *transfer.DescribeRemoteOperationOutput {
		t.Helper()
		out, err := d.client.StartRemoteDelete(t.Context(), &transfer.StartRemoteDeleteInput{ConnectorID: d.id, DeletePath: path})
		require.NoError(t, err)
		return d.ended(out.DeleteID)
	}
	out := remove("in")
	require.Equal(t, transfer.DeleteError, out.FailureCode)
	out = remove("/in/a")
	require.Equal(t, []any{transfer.RemoteDelete, transfer.TransferTableStatusCompleted, "/in/a"}, []any{out.Kind, out.StatusCode, out.Path})
	require.Empty(t, d.remote.Paths())
	require.Equal(t, transfer.FileNotFound, remove("in/a").FailureCode)
}

func TestRemoteMove(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	for _, path := range []string{"in/a", "in/b", "old/x", "old/y/z"} {
		d.remote.WriteFile(path, []byte(path))
	}
	move := func(from, to string) *transfer.DescribeRemoteOperationOutput {
		t.Helper()
		out, err := d.client.StartRemoteMove(t.Context(), &transfer.StartRemoteMoveInput{ConnectorID: d.id, SourcePath: from, TargetPath: to})
		require.NoError(t, err)
		return d.ended(out.MoveID)
	}
	out := move("in/a", "done/a")
	require.Equal(t, []any{transfer.RemoteMove, transfer.TransferTableStatusCompleted, "in/a", "done/a"}, []any{out.Kind, out.StatusCode, out.Path, out.TargetPath})
	out = move("in/b", "done/a")
	require.Equal(t, []transfer.Code{transfer.RenameError, transfer.FileExists}, []transfer.Code{out.FailureCode, out.FailureDetail})
	require.Equal(t, transfer.FileNotFound, move("in/c", "in/d").FailureCode)
	require.Equal(t, transfer.TransferTableStatusCompleted, move("old", "older").StatusCode)
	require.Equal(t, []string{"done/a", "in/b", "older/x", "older/y/z"}, d.remote.Paths())
}

func TestBadOperations(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	long := strings.Repeat("x", 1025)
	var invalid *transfer.InvalidRequestException
	_, err := d.client.StartDirectoryListing(t.Context(), &transfer.StartDirectoryListingInput{RemoteDirectoryPath: long, OutputDirectoryPath: "a\nb", MaxItems: 200_001})
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid.Fields, 4)
	_, err = d.client.StartDirectoryListing(t.Context(), nil)
	require.ErrorAs(t, err, &invalid)
	_, err = d.client.StartRemoteDelete(t.Context(), nil)
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid.Fields, 2)
	_, err = d.client.StartRemoteMove(t.Context(), nil)
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid.Fields, 3)
	_, err = d.client.DescribeRemoteOperation(t.Context(), nil)
	require.ErrorAs(t, err, &invalid)
	var unknown *transfer.ResourceNotFoundException
	_, err = d.client.DescribeRemoteOperation(t.Context(), &transfer.DescribeRemoteOperationInput{OperationID: "x"})
	require.ErrorAs(t, err, &unknown)
	var unavailable *transfer.ServiceUnavailableException
	_, err = d.newDynamic().StartRemoteDelete(t.Context(), &transfer.StartRemoteDeleteInput{ConnectorID: d.id, DeletePath: "a"})
	require.ErrorAs(t, err, &unavailable)
	require.Contains(t, unavailable.Message, "call Start")
}

// Sixteen operations are worked on at once, a thousand may wait; those beyond are refused.
func TestOperationsAreBounded(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	hold := make(chan struct{})
	d.partner.Inject(transfertest.Rule{Op: transfertest.OpRemovePath, Hold: hold})
	remove := func() (string, error) {
		out, err := d.client.StartRemoteDelete(t.Context(), &transfer.StartRemoteDeleteInput{ConnectorID: d.id, DeletePath: "a"})
		if err != nil {
			return "", err
		}
		return out.DeleteID, nil
	}
	var ids []string
	for range 1000 {
		id, err := remove()
		require.NoError(t, err)
		ids = append(ids, id)
	}
	_, err := remove()
	var busy *transfer.ThrottlingException
	require.ErrorAs(t, err, &busy)
	require.Contains(t, busy.Message, "Exceeded maximum pending requests")
	require.Positive(t, busy.RetryAfter)
	close(hold)
	for _, id := range ids {
		require.Equal(t, transfer.FileNotFound, d.ended(id).FailureCode)
	}
	require.LessOrEqual(t, d.partner.PeakRemotes(), 16)
	_, err = remove()
	require.NoError(t, err)
}

// Shutdown ends what waits and what lists, and lets a removal that has begun come to its end.
func TestShutdownEndsOperations(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := setupDynamic(t)
		d.remote.WriteFile("a", nil)
		hold := make(chan struct{})
		d.partner.Inject(transfertest.Rule{Op: transfertest.OpRemovePath, Hold: hold})
		d.partner.Inject(transfertest.Rule{Op: transfertest.OpListDirectory, Block: true})
		removal, err := d.client.StartRemoteDelete(t.Context(), &transfer.StartRemoteDeleteInput{ConnectorID: d.id, DeletePath: "a"})
		require.NoError(t, err)
		var lists []string
		for range 20 {
			out, err := d.client.StartDirectoryListing(t.Context(), &transfer.StartDirectoryListingInput{ConnectorID: d.id, RemoteDirectoryPath: "/", OutputDirectoryPath: "/"})
			require.NoError(t, err)
			lists = append(lists, out.ListingID)
			synctest.Wait()
		}
		ended := make(chan error)
		go func() { ended <- d.client.Shutdown(context.Background()) }()
		synctest.Wait()
		for _, id := range lists {
			require.Equal(t, transfer.TransferTableStatusFailed, d.ended(id).StatusCode)
		}
		close(hold)
		require.NoError(t, <-ended)
		require.Equal(t, transfer.TransferTableStatusCompleted, d.ended(removal.DeleteID).StatusCode)
		var unavailable *transfer.ServiceUnavailableException
		_, err = d.client.StartRemoteDelete(t.Context(), &transfer.StartRemoteDeleteInput{ConnectorID: d.id, DeletePath: "a"})
		require.ErrorAs(t, err, &unavailable)
	})
}

// An operation that nobody ended is IN_PROGRESS until its time is over, and is forgotten after seven days.
func TestOperationOfAClientThatDied(t *testing.T) {
	bubble(t, func(t *testing.T) {
		faulty := transfertest.NewStore(nil)
		d := setupDynamic(t, func(c *transfer.Config) {
			c.Store, c.PollInterval, c.ProgressInterval = faulty, time.Minute, time.Second
		})
		lost := faulty.Inject(transfertest.StoreRule{Op: transfertest.OpOperations, Nth: 2, Times: -1, Err: errors.New("away")})
		out, err := d.client.StartRemoteDelete(t.Context(), &transfer.StartRemoteDeleteInput{ConnectorID: d.id, DeletePath: "a"})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		lost.Remove()
		describe := func() *transfer.DescribeRemoteOperationOutput {
			t.Helper()
			got, err := d.client.DescribeRemoteOperation(t.Context(), &transfer.DescribeRemoteOperationInput{OperationID: out.DeleteID})
			require.NoError(t, err)
			return got
		}
		require.Equal(t, transfer.TransferTableStatusInProgress, describe().StatusCode)
		time.Sleep(20 * time.Minute)
		got := describe()
		require.Equal(t, []any{transfer.TransferTableStatusFailed, transfer.UnknownError}, []any{got.StatusCode, got.FailureCode})
		require.Contains(t, got.FailureMessage, "may have been done or not")
		time.Sleep(8 * 24 * time.Hour)
		_, err = d.client.DescribeRemoteOperation(t.Context(), &transfer.DescribeRemoteOperationInput{OperationID: out.DeleteID})
		var unknown *transfer.ResourceNotFoundException
		require.ErrorAs(t, err, &unknown)
	})
}
