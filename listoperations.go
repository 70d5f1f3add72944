package transfer

import (
	"context"
	"encoding/base64"
	"fmt"
	"iter"
	"strings"

	"github.com/seed62b9dc43/transfer/store"
)

// ListRemoteOperationsInput says which listings, removals and moves to list.
type ListRemoteOperationsInput struct {
	ConnectorID string // of this connector; empty for all
	MaxResults  int32  // in a page: 1 to 1,000; default 100
	NextToken   string // of the page before; empty for the first page
}

// ListRemoteOperationsOutput is one page of them, the newest first.
type ListRemoteOperationsOutput struct {
	Operations []DescribeRemoteOperationOutput
	NextToken  string // empty on the last page
}

// ListRemoteOperations returns the listings, removals and moves of the last seven days, whatever Client works on them, the
// newest first, a page at a time. AWS has no such call.
//
// Errors: InvalidRequestException with every wrong field; InvalidNextTokenException for a token of another list or
// connector; ServiceUnavailableException when the Store failed.
func (c *Client) ListRemoteOperations(ctx context.Context, in *ListRemoteOperationsInput) (*ListRemoteOperationsOutput, error) {
	if in == nil {
		in = &ListRemoteOperationsInput{}
	}
	var p problems
	p.text("ConnectorID", in.ConnectorID, 0, maxNameLength)
	if in.MaxResults < 0 || in.MaxResults > maxResults {
		p.add("MaxResults", fmt.Sprint(in.MaxResults), "is out of range (use 1 to %d, or 0 for %d)", maxResults, defaultMaxResults)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	before, err := parseOperationsToken(in.NextToken, in.ConnectorID)
	if err != nil {
		return nil, err
	}
	limit := int(in.MaxResults)
	fill(&limit, defaultMaxResults)
	found, err := c.cfg.Store.ListOperations(ctx, store.OperationQuery{ConnectorID: in.ConnectorID, Before: before, Limit: limit + 1})
	if err != nil {
		return nil, storeFailure("list operations", err)
	}
	out := &ListRemoteOperationsOutput{}
	if len(found) > limit {
		found = found[:limit]
		out.NextToken = newOperationsToken(in.ConnectorID, found[limit-1].ID)
	}
	for i := range found {
		described, err := describeOperation(&found[i])
		if err != nil {
			return nil, err
		}
		out.Operations = append(out.Operations, *described)
	}
	return out, nil
}

// operationsTokenPrefix tells tokens of this list from others.
const operationsTokenPrefix = "operations\x00"

func newOperationsToken(connectorID, before string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(operationsTokenPrefix + connectorID + "\x00" + before))
}

func parseOperationsToken(token, connectorID string) (before string, err error) {
	if token == "" {
		return "", nil
	}
	var text []byte
	if len(token) <= maxNextToken {
		text, err = base64.RawURLEncoding.DecodeString(token)
	}
	before, ok := strings.CutPrefix(string(text), operationsTokenPrefix+connectorID+"\x00")
	if err != nil || !ok || !validText(before, 1, maxNameLength) {
		return "", &InvalidNextTokenException{Message: "NextToken is not a token of this list (use the one of the page before, with the same ConnectorID)"}
	}
	return before, nil
}

// ListRemoteOperationsAPIClient is what the paginator needs of a Client.
type ListRemoteOperationsAPIClient interface {
	ListRemoteOperations(context.Context, *ListRemoteOperationsInput) (*ListRemoteOperationsOutput, error)
}

var _ ListRemoteOperationsAPIClient = (*Client)(nil)

// ListRemoteOperationsPaginatorOptions are the paginator's options.
type ListRemoteOperationsPaginatorOptions struct {
	Limit                int32 // operations in a page; default: MaxResults of the input
	StopOnDuplicateToken bool  // end when a page's token is the one that was sent
}

// ListRemoteOperationsPaginator goes through all pages of operations, with the rules of AWS's paginators (see
// ListFileTransferResultsPaginator). It is not safe for concurrent use.
type ListRemoteOperationsPaginator struct {
	pages pager[ListRemoteOperationsOutput]
}

// NewListRemoteOperationsPaginator returns a paginator that begins at in.NextToken. in is copied.
func NewListRemoteOperationsPaginator(client ListRemoteOperationsAPIClient, in *ListRemoteOperationsInput, options ...func(*ListRemoteOperationsPaginatorOptions)) *ListRemoteOperationsPaginator {
	var first ListRemoteOperationsInput
	if in != nil {
		first = *in
	}
	o := ListRemoteOperationsPaginatorOptions{Limit: first.MaxResults}
	for _, set := range options {
		set(&o)
	}
	first.MaxResults = max(o.Limit, 0)
	ask := func(ctx context.Context, token string) (*ListRemoteOperationsOutput, string, error) {
		in := first
		in.NextToken = token
		page, err := client.ListRemoteOperations(ctx, &in)
		if err != nil {
			return nil, "", err
		}
		return page, page.NextToken, nil
	}
	return &ListRemoteOperationsPaginator{pager[ListRemoteOperationsOutput]{ask: ask, token: first.NextToken, stopOnDuplicate: o.StopOnDuplicateToken}}
}

// HasMorePages reports whether NextPage has a page to give.
func (p *ListRemoteOperationsPaginator) HasMorePages() bool { return p.pages.more() }

// NextPage returns the next page. After the last one its error is "no more pages available".
func (p *ListRemoteOperationsPaginator) NextPage(ctx context.Context) (*ListRemoteOperationsOutput, error) {
	return p.pages.next(ctx)
}

// All goes through the operations of all pages that are left. It ends after the first error.
func (p *ListRemoteOperationsPaginator) All(ctx context.Context) iter.Seq2[DescribeRemoteOperationOutput, error] {
	return all(ctx, &p.pages, func(page *ListRemoteOperationsOutput) []DescribeRemoteOperationOutput { return page.Operations })
}
