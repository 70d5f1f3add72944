package transfer

import (
	"context"
	"errors"
	"iter"
)

// pager goes from page to page, with the rules of the AWS SDK's paginators: there is a page before the first call, an empty
// page with a token goes on, and a page that failed is asked for again by the next call.
type pager[Out any] struct {
	ask             func(ctx context.Context, token string) (page *Out, next string, err error)
	token           string // of the page that comes next
	started         bool
	stopOnDuplicate bool // end when a page's token is the one that was sent
}

func (p *pager[Out]) more() bool { return !p.started || p.token != "" }

func (p *pager[Out]) next(ctx context.Context) (*Out, error) {
	if !p.more() {
		return nil, errors.New("no more pages available")
	}
	page, token, err := p.ask(ctx, p.token)
	if err != nil {
		return nil, err
	}
	if p.stopOnDuplicate && p.token != "" && p.token == token {
		token = ""
	}
	p.started, p.token = true, token
	return page, nil
}

// all goes through what is on all pages that are left. It ends after the first error.
func all[Out, T any](ctx context.Context, p *pager[Out], items func(*Out) []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for p.more() {
			page, err := p.next(ctx)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items(page) {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}
