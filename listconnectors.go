package transfer

import (
	"context"
	"iter"
)

// ListConnectorsAPIClient is what the paginator needs of a Client.
type ListConnectorsAPIClient interface {
	ListConnectors(context.Context, *ListConnectorsInput) (*ListConnectorsOutput, error)
}

var _ ListConnectorsAPIClient = (*Client)(nil)

// ListConnectorsPaginatorOptions are the paginator's options.
type ListConnectorsPaginatorOptions struct {
	Limit                int32 // connectors in a page; default: MaxResults of the input
	StopOnDuplicateToken bool  // end when a page's token is the one that was sent
}

// ListConnectorsPaginator goes through all pages of connectors, with the rules of the AWS SDK's paginator of this name (see
// ListFileTransferResultsPaginator). It is not safe for concurrent use.
type ListConnectorsPaginator struct{ pages pager[ListConnectorsOutput] }

// NewListConnectorsPaginator returns a paginator that begins at in.NextToken. in is copied.
func NewListConnectorsPaginator(client ListConnectorsAPIClient, in *ListConnectorsInput, options ...func(*ListConnectorsPaginatorOptions)) *ListConnectorsPaginator {
	var first ListConnectorsInput
	if in != nil {
		first = *in
	}
	o := ListConnectorsPaginatorOptions{Limit: first.MaxResults}
	for _, set := range options {
		set(&o)
	}
	first.MaxResults = max(o.Limit, 0)
	ask := func(ctx context.Context, token string) (*ListConnectorsOutput, string, error) {
		in := first
		in.NextToken = token
		page, err := client.ListConnectors(ctx, &in)
		if err != nil {
			return nil, "", err
		}
		return page, page.NextToken, nil
	}
	return &ListConnectorsPaginator{pager[ListConnectorsOutput]{ask: ask, token: first.NextToken, stopOnDuplicate: o.StopOnDuplicateToken}}
}

// HasMorePages reports whether NextPage has a page to give.
func (p *ListConnectorsPaginator) HasMorePages() bool { return p.pages.more() }

// NextPage returns the next page. After the last one its error is "no more pages available".
func (p *ListConnectorsPaginator) NextPage(ctx context.Context) (*ListConnectorsOutput, error) {
	return p.pages.next(ctx)
}

// All goes through the connectors of all pages that are left. It ends after the first error.
func (p *ListConnectorsPaginator) All(ctx context.Context) iter.Seq2[ListedConnector, error] {
	return all(ctx, &p.pages, func(page *ListConnectorsOutput) []ListedConnector { return page.Connectors })
}
