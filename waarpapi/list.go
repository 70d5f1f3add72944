package waarpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed62b9dc43/transfer"
)

// listBody and countBody are the published answers of GET /v2/transfers.
type listBody struct {
	TotalResults int64                     `json:"totalResults"`
	Results      []transfer.TransferRecord `json:"results"`
}

type countBody struct {
	TotalResults int64 `json:"totalResults"`
}

// list serves GET /v2/transfers.
func (h *handler) list(ctx context.Context, q request) reply {
	values, err := url.ParseQuery(q.query)
	if err != nil {
		var p problems
		p.add(codeIllegalQuery, "Query string : not readable (%s).", shorten(err.Error()))
		return badRequest(p)
	}
	if h.cfg.AcceptRuleID && !values.Has("ruleName") && values.Has("ruleID") {
		values["ruleName"] = values["ruleID"]
	}
	l, countOnly, err := h.client.ListTransfersQuery(values)
	var wrong *transfer.QueryStringError
	if errors.As(err, &wrong) {
		return badRequest(wrong.Errors)
	}
	if err != nil {
		return h.failure(ctx, "read query", err)
	}
	if countOnly {
		total, err := l.Count(ctx)
		if err != nil {
			return h.failure(ctx, "count transfers", err)
		}
		return ok(http.StatusOK, countBody{total})
	}
	page, err := h.bounded(l, values).Page(ctx)
	if err != nil {
		return h.failure(ctx, "list transfers", err)
	}
	body := listBody{page.Total, make([]transfer.TransferRecord, len(page.Rows))}
	for i := range page.Rows {
		body.Results[i] = h.record(&page.Rows[i])
	}
	return ok(http.StatusOK, body)
}

// bounded lowers the limit of a query that was read from values to MaxResults.
func (h *handler) bounded(l transfer.Query, values url.Values) transfer.Query {
	if limit, err := strconv.Atoi(values.Get("limit")); err == nil && h.cfg.MaxResults > 0 && limit > h.cfg.MaxResults {
		return l.Limit(h.cfg.MaxResults)
	}
	return l
}

func (h *handler) record(row *transfer.TransferRow) transfer.TransferRecord {
	r := row.Record()
	if h.cfg.HostID != "" {
		r.Requester = h.cfg.HostID
	}
	return r
}

// get serves GET /v2/transfers/{id}.
func (h *handler) get(ctx context.Context, q request) reply {
	row, fail := h.find(ctx, q.id)
	if fail != nil {
		return *fail
	}
	return ok(http.StatusOK, h.record(row))
}

// find returns the row of an {id}, or the answer that there is none. An id is a file's, alone or followed by an
// underscore and the partner.
func (h *handler) find(ctx context.Context, id string) (*transfer.TransferRow, *reply) {
	digits, partner, named := strings.Cut(id, "_")
	unknown := problemReply(http.StatusNotFound, "Transfer '%s' : not known.", shorten(id))
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != digits {
		return nil, &unknown
	}
	row, err := h.client.GetFile(ctx, n)
	var missing *transfer.ResourceNotFoundException
	switch {
	case errors.As(err, &missing), err == nil && named && row.Partner != partner:
		return nil, &unknown
	case err != nil:
		failed := h.failure(ctx, "get transfer", err)
		return nil, &failed
	}
	return row, nil
}
