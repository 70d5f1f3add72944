package transfer_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func TestPagesLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var paths []string
	for i := range 257 {
		paths = append(paths, fmt.Sprintf("missing/%d", i))
	}
	id := b.start(transfer.StartFileTransferInput{SendFilePaths: paths})
	for _, limit := range []int32{0, 1, 7, 256, 257, 258, 1000} {
		p := transfer.NewListFileTransferResultsPaginator(b.client, &transfer.ListFileTransferResultsInput{ConnectorID: "acme", TransferID: id, MaxResults: limit})
		var got []string
		pages := 0
		for p.HasMorePages() {
			page, err := p.NextPage(t.Context())
			require.NoError(t, err)
			require.NotEmpty(t, page.FileTransferResults)
			for _, r := range page.FileTransferResults {
				got = append(got, r.FilePath)
			}
			pages++
		}
		require.Equal(t, paths, got, "limit %d", limit)
		want := max(int(limit), 1)
		if limit == 0 {
			want = 100
		}
		require.Equal(t, (257+want-1)/want, pages)
		_, err := p.NextPage(t.Context())
		require.EqualError(t, err, "no more pages available")
	}
}

func TestWrongListRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"x", "y"}})
	other := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"x", "y"}})
	page, err := b.client.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{ConnectorID: "acme", TransferID: other, MaxResults: 1})
	require.NoError(t, err)
	for name, test := range map[string]struct {
		in     *transfer.ListFileTransferResultsInput
		fields []string
	}{
		"nil":                         {nil, []string{"ConnectorID", "TransferID"}},
		"MaxResults too small":        {&transfer.ListFileTransferResultsInput{ConnectorID: "acme", TransferID: id, MaxResults: -1}, []string{"MaxResults"}},
		"MaxResults too large":        {&transfer.ListFileTransferResultsInput{ConnectorID: "acme", TransferID: id, MaxResults: 1001}, []string{"MaxResults"}},
		"token is garbage":            {&transfer.ListFileTransferResultsInput{ConnectorID: "acme", TransferID: id, NextToken: "1111111"}, []string{"NextToken"}},
		"token of another transfer":   {&transfer.ListFileTransferResultsInput{ConnectorID: "acme", TransferID: id, NextToken: page.NextToken}, []string{"NextToken"}},
		"token too long":              {&transfer.ListFileTransferResultsInput{ConnectorID: "acme", TransferID: id, NextToken: strings.Repeat("A", 6145)}, []string{"NextToken"}},
		"everything wrong at once":    {&transfer.ListFileTransferResultsInput{MaxResults: -1, NextToken: "?"}, []string{"ConnectorID", "TransferID", "MaxResults", "NextToken"}},
		"connector with a line break": {&transfer.ListFileTransferResultsInput{ConnectorID: "a\nb", TransferID: id}, []string{"ConnectorID"}},
	} {
		_, err := b.client.ListFileTransferResults(t.Context(), test.in)
		var wrong *transfer.InvalidRequestException
		require.ErrorAs(t, err, &wrong, name)
		var fields []string
		for _, f := range wrong.Fields {
			fields = append(fields, f.Name)
		}
		require.Equal(t, test.fields, fields, name)
	}

	for _, test := range []struct{ connector, id, resource, kind string }{
		{"acme", "none", "none", "Transfer"},
		{"nobody", "none", "nobody", "Connector"},
		{"nobody", id, "nobody", "Connector"},
	} {
		_, err := b.client.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{ConnectorID: test.connector, TransferID: test.id})
		var missing *transfer.ResourceNotFoundException
		require.ErrorAs(t, err, &missing)
		require.Equal(t, test.resource, missing.Resource)
		require.Equal(t, test.kind, missing.ResourceType)
	}
	_, err = b.client.Wait(t.Context(), "none")
	var missing *transfer.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)
}

// pages is a client that answers with prepared pages.
type pages struct {
	answers []any // *transfer.ListFileTransferResultsOutput or error
	asked   []transfer.ListFileTransferResultsInput
}

func (p *pages) ListFileTransferResults(_ context.Context, in *transfer.ListFileTransferResultsInput) (*transfer.ListFileTransferResultsOutput, error) {
	p.asked = append(p.asked, *in)
	in.NextToken = "changed by the callee"
	answer := p.answers[0]
	p.answers = p.answers[1:]
	if err, ok := answer.(error); ok {
		return nil, err
	}
	return answer.(*transfer.ListFileTransferResultsOutput), nil
}

func TestPaginatorFollowsTheRulesOfTheSDK(t *testing.T) {
	t.Parallel()
	page := func(token string, paths ...string) *transfer.ListFileTransferResultsOutput {
		out := &transfer.ListFileTransferResultsOutput{NextToken: token}
		for _, p := range paths {
			out.FileTransferResults = append(out.FileTransferResults, transfer.ConnectorFileTransferResult{FilePath: p})
		}
		return out
	}
	client := &pages{answers: []any{page("1", "a"), page("2"), errors.New("boom"), page("3", "b"), page("")}}
	in := &transfer.ListFileTransferResultsInput{ConnectorID: "c", TransferID: "t", NextToken: "0", MaxResults: 5}
	p := transfer.NewListFileTransferResultsPaginator(client, in, func(o *transfer.ListFileTransferResultsPaginatorOptions) { o.Limit = 7 })
	require.True(t, p.HasMorePages(), "before the first call")
	failures := 0
	for p.HasMorePages() {
		if _, err := p.NextPage(t.Context()); err != nil {
			failures++
		}
	}
	require.Equal(t, 1, failures)
	var tokens []string
	for _, asked := range client.asked {
		tokens = append(tokens, asked.NextToken)
		require.Equal(t, int32(7), asked.MaxResults)
	}
	require.Equal(t, []string{"0", "1", "2", "2", "3"}, tokens, "an empty page goes on, a failed one is asked for again")
	require.Equal(t, "0", in.NextToken, "the input is not changed")

	client = &pages{answers: []any{page("1", "a"), page("1", "b")}}
	p = transfer.NewListFileTransferResultsPaginator(client, in, func(o *transfer.ListFileTransferResultsPaginatorOptions) { o.StopOnDuplicateToken = true })
	var got []string
	for r, err := range p.All(t.Context()) {
		require.NoError(t, err)
		got = append(got, r.FilePath)
	}
	require.Equal(t, []string{"a", "b"}, got)

	client = &pages{answers: []any{page("1", "a", "b"), errors.New("boom")}}
	p = transfer.NewListFileTransferResultsPaginator(client, in)
	var last error
	for _, err := range p.All(t.Context()) {
		last = err
	}
	require.EqualError(t, last, "boom")
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.local.WriteFile("a", []byte("x"))
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Nth: 1, Block: true})
	id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"missing", "a"}})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	summary, err := b.client.Wait(ctx, id)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, transfer.TransferSummary{Files: 2, Failed: 1}, summary, "as far as it came")
	cut, stop := context.WithCancel(t.Context())
	stop()
	require.Error(t, b.client.Shutdown(cut))
}

func FuzzNextToken(f *testing.F) {
	b := transfer.NewMemory()
	b.WriteFile("x", nil)
	client, err := transfer.New(transfer.Config{Storage: b, Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(nil, transfertest.ConnectorOptions{})}})
	require.NoError(f, err)
	out, err := client.StartFileTransfer(f.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"a", "b", "c"}})
	require.NoError(f, err)
	list := func(ctx context.Context, token string) (*transfer.ListFileTransferResultsOutput, error) {
		return client.ListFileTransferResults(ctx, &transfer.ListFileTransferResultsInput{ConnectorID: "acme", TransferID: out.TransferID, NextToken: token, MaxResults: 1})
	}
	first, err := list(f.Context(), "")
	require.NoError(f, err)
	f.Add(first.NextToken)
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, 16)))
	f.Add("?")
	f.Fuzz(func(t *testing.T, token string) {
		page, err := list(t.Context(), token)
		var wrong *transfer.InvalidRequestException
		if err != nil && !errors.As(err, &wrong) {
			t.Fatalf("token %q: %v", token, err)
		}
		if err == nil && token != "" && len(page.FileTransferResults) > 0 && page.FileTransferResults[0].FilePath == "a" {
			t.Fatalf("token %q begins again", token)
		}
	})
}
