package transfer

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// QueryStringError is what is wrong with a query string, every wrong parameter at once. As JSON it is the published body
// of status 400.
type QueryStringError struct {
	Errors []QueryStringProblem `json:"errors"`
}

// QueryStringProblem is one wrong parameter.
type QueryStringProblem struct {
	Message   string `json:"message"`
	ErrorCode int    `json:"errorCode"` // 4: illegal parameter value
}

const illegalParameterValue = 4

// Error returns all messages.
func (e *QueryStringError) Error() string {
	messages := make([]string, len(e.Errors))
	for i, p := range e.Errors {
		messages[i] = p.Message
	}
	return strings.Join(messages, " ")
}

// ListTransfersQuery reads the query string of Waarp's GET /v2/transfers: limit, offset, order, ruleName, partner,
// status, filename, startTrans, stopTrans, followId and countOrder. Unknown parameters are ignored; of one given twice
// the first counts; an empty one is as if it were not there, except limit, offset and order, for which it is wrong. Dates
// are ISO 8601, in UTC where they have no offset. The default limit is 20. countOnly says that only the number of matches
// is asked for.
//
// The error is a *QueryStringError with the published message for each wrong parameter, in a fixed order: limit, offset,
// order, startTrans, stopTrans, status, countOrder.
func (c *Client) ListTransfersQuery(values url.Values) (l Query, countOnly bool, err error) {
	p := queryString{values: values}
	limit := p.integer("limit", defaultPage, 32)
	offset := p.integer("offset", 0, 64)
	order := AscID
	if text, given := p.given("order"); given {
		if order = Order(text); !order.known() {
			p.illegal("order", text)
		}
	}
	from, to := p.date("startTrans"), p.date("stopTrans")
	status := Status(p.text("status"))
	if status != "" && !status.known() {
		p.illegal("status", string(status))
	}
	countOnly = p.boolean("countOrder")
	if len(p.wrong) > 0 {
		return Query{}, false, &QueryStringError{Errors: p.wrong}
	}
	l = c.ListTransfers().Limit(int(limit)).Offset(offset).OrderBy(order).
		Rule(p.text("ruleName")).Partner(p.text("partner")).Filename(p.text("filename")).FollowID(p.text("followId")).
		StartedAfter(from).StartedBefore(to)
	if status != "" {
		l = l.Status(status)
	}
	return l, countOnly, nil
}

// queryString reads parameters and notes which are wrong.
type queryString struct {
	values url.Values
	wrong  []QueryStringProblem
}

func (p *queryString) illegal(name, value string) {
	p.wrong = append(p.wrong, QueryStringProblem{
		Message:   "Query parameter '" + name + "' : illegal value '" + value + "'.",
		ErrorCode: illegalParameterValue,
	})
}

func (p *queryString) given(name string) (value string, given bool) {
	all := p.values[name]
	if len(all) == 0 {
		return "", false
	}
	return all[0], true
}

// text returns a filter; a blank one is none.
func (p *queryString) text(name string) string {
	value, _ := p.given(name)
	if strings.TrimSpace(value) == "" {
		return ""
	}
	return value
}

// integer returns a number of 0 or more.
func (p *queryString) integer(name string, otherwise int64, bits int) int64 {
	text, given := p.given(name)
	if !given {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, bits)
	if err != nil || n < 0 {
		p.illegal(name, text)
	}
	return n
}

func (p *queryString) boolean(name string) bool {
	text := p.text(name)
	switch strings.ToLower(text) {
	case "true":
		return true
	case "", "false":
		return false
	}
	p.illegal(name, text)
	return false
}

// dateLayouts are the forms of ISO 8601 that are read, each with and without an offset.
var dateLayouts = []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02", "2006-01", "2006"}

func (p *queryString) date(name string) time.Time {
	text := p.text(name)
	if text == "" {
		return time.Time{}
	}
	for _, layout := range dateLayouts {
		for _, zone := range []string{"", "Z07:00", "Z0700"} {
			if t, err := time.Parse(layout+zone, text); err == nil && (zone == "" || strings.Contains(layout, "T")) {
				return t.UTC()
			}
		}
	}
	p.illegal(name, text)
	return time.Time{}
}
