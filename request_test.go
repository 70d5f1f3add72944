package transfer_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

func TestStartReturnsAUUIDOfVersion7(t *testing.T) {
	t.Parallel()
	b := setup(t)
	shape := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for range 100 {
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a"}})
		require.Regexp(t, shape, id)
		require.False(t, seen[id])
		seen[id] = true
	}
}

func TestWrongRequestsNameTheFieldAndStoreNothing(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 1025)
	send := func(change func(*transfer.StartFileTransferInput)) transfer.StartFileTransferInput {
		in := transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"/outbox/a"}}
		change(&in)
		return in
	}
	type in = *transfer.StartFileTransferInput
	for name, test := range map[string]struct {
		in     transfer.StartFileTransferInput
		fields []string
	}{
		"nothing given":                {transfer.StartFileTransferInput{}, []string{"ConnectorID", "SendFilePaths"}},
		"neither direction":            {send(func(i in) { i.SendFilePaths = nil }), []string{"SendFilePaths"}},
		"both directions":              {send(func(i in) { i.RetrieveFilePaths, i.LocalDirectoryPath = []string{"b"}, "/in" }), []string{"SendFilePaths", "LocalDirectoryPath"}},
		"retrieve to nowhere":          {transfer.StartFileTransferInput{ConnectorID: "acme", RetrieveFilePaths: []string{"a"}}, []string{"LocalDirectoryPath"}},
		"local directory when sending": {send(func(i in) { i.LocalDirectoryPath = "/in" }), []string{"LocalDirectoryPath"}},
		"remote directory when retrieving": {transfer.StartFileTransferInput{ConnectorID: "acme", RetrieveFilePaths: []string{"a"},
			LocalDirectoryPath: "/in", RemoteDirectoryPath: "/x"}, []string{"RemoteDirectoryPath"}},
		"empty path":    {send(func(i in) { i.SendFilePaths = []string{"a", ""} }), []string{"SendFilePaths[1]"}},
		"path too long": {send(func(i in) { i.SendFilePaths = []string{long} }), []string{"SendFilePaths[0]"}},
		"target too long": {send(func(i in) {
			i.RemoteDirectoryPath = strings.Repeat("d", 1020)
			i.SendFilePaths = []string{"/outbox/abcdef"}
		}), []string{"SendFilePaths[0]"}},
		"line feed":                        {send(func(i in) { i.SendFilePaths = []string{"a\nb"} }), []string{"SendFilePaths[0]"}},
		"carriage return":                  {send(func(i in) { i.RemoteDirectoryPath = "a\rb" }), []string{"RemoteDirectoryPath"}},
		"line separator":                   {send(func(i in) { i.SendFilePaths = []string{"a\u2028b"} }), []string{"SendFilePaths[0]"}},
		"NUL":                              {send(func(i in) { i.SendFilePaths = []string{"a\x00b"} }), []string{"SendFilePaths[0]"}},
		"not UTF-8":                        {send(func(i in) { i.SendFilePaths = []string{"a\xffb"} }), []string{"SendFilePaths[0]"}},
		"directory":                        {send(func(i in) { i.SendFilePaths = []string{"a/", "..", "."} }), []string{"SendFilePaths[0]", "SendFilePaths[1]", "SendFilePaths[2]"}},
		"same file twice":                  {send(func(i in) { i.SendFilePaths = []string{"/x/a", "/x/a"} }), []string{"SendFilePaths[1]"}},
		"same target from two directories": {send(func(i in) { i.SendFilePaths = []string{"/x/a", "/y/b", "/y/a"} }), []string{"SendFilePaths[2]"}},
		"too many paths":                   {send(func(i in) { i.SendFilePaths = make([]string, 10_001) }), []string{"SendFilePaths"}},
		"far future":                       {send(func(i in) { i.StartAt = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) }), []string{"StartAt"}},
		"unknown policy":                   {send(func(i in) { i.Overwrite = "replace" }), []string{"Overwrite"}},
		"long token":                       {send(func(i in) { i.ClientToken = strings.Repeat("x", 129) }), []string{"ClientToken"}},
		"long names":                       {send(func(i in) { i.FollowID, i.RuleName = long, long }), []string{"FollowID", "RuleName"}},
		"metadata":                         {send(func(i in) { i.Metadata = map[string]string{"": "x", "k": long} }), []string{`Metadata[""]`, `Metadata["k"]`}},
		"too much metadata":                {send(func(i in) { i.Metadata = manyEntries(51) }), []string{"Metadata"}},
		"everything at once": {transfer.StartFileTransferInput{RetrieveFilePaths: []string{"", "b\n"}, ClientToken: "a\nb", Overwrite: "?"},
			[]string{"ConnectorID", "ClientToken", "Overwrite", "LocalDirectoryPath", "RetrieveFilePaths[0]", "RetrieveFilePaths[1]"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			_, err := b.client.StartFileTransfer(t.Context(), &test.in)
			var wrong *transfer.InvalidRequestException
			require.ErrorAs(t, err, &wrong)
			var fields []string
			for _, f := range wrong.Fields {
				fields = append(fields, f.Name)
				require.Contains(t, wrong.Message, f.Name)
				require.Less(t, len(f.Value), 500)
			}
			require.Equal(t, test.fields, fields, wrong.Message)
			files, err := b.store.ListFiles(t.Context(), store.Query{})
			require.NoError(t, err)
			require.Empty(t, files, "nothing is stored")
		})
	}
	b := setup(t)
	_, err := b.client.StartFileTransfer(t.Context(), nil)
	require.ErrorContains(t, err, "InvalidRequestException", "nil is an empty request")
}

func manyEntries(n int) map[string]string {
	m := make(map[string]string, n)
	for i := range n {
		m[fmt.Sprint(i)] = "x"
	}
	return m
}

func TestBoundariesOfARequestAreAllowed(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *transfer.Config) { c.MaxPaths = -1 })
	paths := make([]string, 10_001)
	for i := range paths {
		paths[i] = fmt.Sprintf("/missing/%d", i)
	}
	b.start(transfer.StartFileTransferInput{SendFilePaths: paths})
	b.start(transfer.StartFileTransferInput{
		SendFilePaths: []string{"/" + strings.Repeat("é", 1023)}, ClientToken: strings.Repeat("é", 128),
		FollowID: strings.Repeat("é", 255), RuleName: strings.Repeat("é", 255), Metadata: manyEntries(50),
	})
}

func TestUnknownConnectorIsNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "acne", SendFilePaths: []string{"a"}})
	var missing *transfer.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)
	require.Equal(t, "acne", missing.Resource)
	require.Equal(t, "Connector", missing.ResourceType)
	require.ErrorContains(t, err, `"acme"`, "the message says which there are")
}

func TestClientTokenMakesStartRepeatable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	request := func() *transfer.StartFileTransferInput {
		return &transfer.StartFileTransferInput{
			ConnectorID: "acme", SendFilePaths: []string{"a", "b"}, ClientToken: "t-1",
			Metadata: map[string]string{"x": "1", "y": "2"}, StartAt: at,
		}
	}
	var mu sync.Mutex
	ids := map[string]bool{}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			out, err := b.client.StartFileTransfer(t.Context(), request())
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[out.TransferID] = true
		})
	}
	wg.Wait()
	require.Len(t, ids, 1)
	same := request()
	same.Overwrite = transfer.OverwriteReplace // the default, said aloud
	same.StartAt = at.In(time.FixedZone("", 3600))
	same.RetrieveFilePaths = []string{}
	_, err := b.client.StartFileTransfer(t.Context(), same)
	require.NoError(t, err)

	for name, change := range map[string]func(*transfer.StartFileTransferInput){
		"path":      func(in *transfer.StartFileTransferInput) { in.SendFilePaths[1] = "c" },
		"order":     func(in *transfer.StartFileTransferInput) { in.SendFilePaths = []string{"b", "a"} },
		"policy":    func(in *transfer.StartFileTransferInput) { in.Overwrite = transfer.OverwriteFail },
		"metadata":  func(in *transfer.StartFileTransferInput) { in.Metadata["y"] = "3" },
		"time":      func(in *transfer.StartFileTransferInput) { in.StartAt = at.Add(1) },
		"directory": func(in *transfer.StartFileTransferInput) { in.RemoteDirectoryPath = "/in" },
	} {
		in := request()
		change(in)
		_, err := b.client.StartFileTransfer(t.Context(), in)
		var wrong *transfer.InvalidRequestException
		require.ErrorAs(t, err, &wrong, name)
		require.Equal(t, "ClientToken", wrong.Fields[0].Name)
	}
	files, err := b.store.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Len(t, files, 2)
}

func TestRequestIsKeptWithTheRow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a"}, RuleName: "payroll", FollowID: "f-1", Metadata: map[string]string{"order": "17"}})
	kept, err := b.store.GetTransfer(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "payroll", kept.RuleName)
	require.Equal(t, "f-1", kept.FollowID)
	require.Equal(t, map[string]string{"order": "17"}, kept.Metadata)
	files, err := b.store.ListFiles(t.Context(), store.Query{TransferID: id})
	require.NoError(t, err)
	require.Equal(t, "f-1", files[0].FollowID)
	require.Equal(t, "acme", files[0].Partner, "the connector's id, where it names no partner")

	id = b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a"}})
	kept, err = b.store.GetTransfer(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, id, kept.FollowID, "the default")
}

func TestCallsOnAClosedStoreAreUnavailable(t *testing.T) {
	t.Parallel()
	st := store.NewMemory()
	client, err := transfer.New(transfer.Config{Store: st, Connectors: map[string]transfer.Connector{"acme": setup(t).partner}})
	require.NoError(t, err)
	require.NoError(t, st.Close())
	_, err = client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"a"}})
	var unavailable *transfer.ServiceUnavailableException
	require.ErrorAs(t, err, &unavailable)
	_, err = client.Wait(t.Context(), "x")
	require.ErrorAs(t, err, &unavailable)
	require.ErrorIs(t, err, store.ErrClosed)
}

func TestCodes(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("outer: %w", &transfer.Error{Op: "dial", Path: "h:22", Code: transfer.HostKeyMismatch, Err: errors.New("inner")})
	require.ErrorIs(t, err, transfer.HostKeyMismatch)
	require.ErrorIs(t, err, transfer.ConnectionError, "the code that it is published under")
	require.NotErrorIs(t, err, transfer.TimeoutError)
	require.Equal(t, transfer.HostKeyMismatch, transfer.CodeOf(err))
	require.Equal(t, "outer: dial h:22: HOST_KEY_MISMATCH: inner", err.Error())
	require.Equal(t, transfer.Code(""), transfer.CodeOf(nil))
	require.Equal(t, transfer.UnknownError, transfer.CodeOf(errors.New("x")))
	require.Equal(t, transfer.NoSpace, transfer.CodeOf(fmt.Errorf("x: %w", transfer.NoSpace)))
	require.NotErrorIs(t, &transfer.Error{Code: transfer.NoSpace}, transfer.Code(""))
	require.True(t, transfer.ConnectionLost.Retryable())
	require.False(t, transfer.AuthenticationFailed.Retryable(), "a locked account is worse than a late file")
}
