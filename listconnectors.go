package transfer

import (
	"context"
	"errors"
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
type ListConnectorsPaginator struct {
	client  ListConnectorsAPIClient
	in      ListConnectorsInput
	options ListConnectorsPaginatorOptions
	started bool
}

// NewListConnectorsPaginator returns a paginator that begins at in.NextToken. in is copied.
func NewListConnectorsPaginator(client ListConnectorsAPIClient, in *ListConnectorsInput, options ...func(*ListConnectorsPaginatorOptions)) *ListConnectorsPaginator {
	p := &ListConnectorsPaginator{client: client}
	if in != nil {
		p.in = *in
	}
	p.options.Limit = p.in.MaxResults
	for _, set := range options {
		set(&p.options)
	}
	p.in.MaxResults = max(p.options.Limit, 0)
	return p
}

// HasMorePages reports whether NextPage has a page to give.
func (p *ListConnectorsPaginator) HasMorePages() bool { return !p.started || p.in.NextToken != "" }

// NextPage returns the next page. After the last one its error is "no more pages available".
func (p *ListConnectorsPaginator) NextPage(ctx context.Context) (*ListConnectorsOutput, error) {
	if !p.HasMorePages() {
		return nil, errors.New("no more pages available")
	}
	in := p.in
	out, err := p.client.ListConnectors(ctx, &in)
	if err != nil {
		return nil, err
	}
	p.started = true
	previous := p.in.NextToken
	p.in.NextToken = out.NextToken
	if p.options.StopOnDuplicateToken && previous != "" && previous == out.NextToken {
		p.in.NextToken = ""
	}
	return out, nil
}

// All goes through the connectors of all pages that are left. It ends after the first error.
func (p *ListConnectorsPaginator) All(ctx context.Context) iter.Seq2[ListedConnector, error] {
	return func(yield func(ListedConnector, error) bool) {
		for p.HasMorePages() {
			page, err := p.NextPage(ctx)
			if err != nil {
				yield(ListedConnector{}, err)
				return
			}
			for _, c := range page.Connectors {
				if !yield(c, nil) {
					return
				}
			}
		}
	}
}
