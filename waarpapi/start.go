package waarpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// newTransfer is what the body of POST /v2/transfers may say.
type newTransfer struct {
	ruleName     string
	filename     string
	requested    string
	blockSize    string // a number: an offer that is not taken up, see fields
	fileInfo     string
	transferInfo string
	start        string
}

// fields are the published ones. A blockSize is checked and otherwise left aside: it is an offer in Waarp too, which the
// other side may answer with a smaller one, and the record shows the size in use.
var fields = []string{"ruleName", "filename", "requested", "blockSize", "fileInfo", "transferInfo", "start"}

func (n *newTransfer) field(name string) *string {
	return map[string]*string{
		"ruleName": &n.ruleName, "filename": &n.filename, "requested": &n.requested, "blockSize": &n.blockSize,
		"fileInfo": &n.fileInfo, "transferInfo": &n.transferInfo, "start": &n.start,
	}[name]
}

// parseNewTransfer reads a body; strict refuses fields that are not known.
func parseNewTransfer(body []byte, strict bool) (n newTransfer, p problems) {
	members, p := parseObject(body)
	if members == nil && len(p) > 0 {
		return n, p
	}
	for _, m := range members {
		i := slices.IndexFunc(fields, func(known string) bool { return strings.ToLower(known) == m.folded })
		switch {
		case i < 0 && strict:
			p.add(codeUnknownField, "Field '%s' : unknown (use %s).", shorten(m.name), strings.Join(fields, ", "))
		case i >= 0 && fields[i] == "blockSize":
			p.number(fields[i], m.value, &n.blockSize)
		case i >= 0:
			p.text(fields[i], m.value, n.field(fields[i]))
		}
	}
	for _, required := range fields[:3] {
		if strings.TrimSpace(*n.field(required)) == "" && !p.about(required) {
			p.add(codeMissingField, "Field '%s' : missing or empty (it is required).", required)
		}
	}
	return n, p
}

// text reads a text; null is none.
func (p *problems) text(name string, value json.RawMessage, into *string) {
	if json.Unmarshal(value, into) != nil {
		p.illegal(name, string(value), "use a text")
	}
}

// number reads a positive number of 32 bits; null is none.
func (p *problems) number(name string, value json.RawMessage, into *string) {
	if string(value) == "null" {
		return
	}
	n, err := strconv.ParseInt(string(value), 10, 32)
	if err != nil || n < 1 {
		p.illegal(name, string(value), "use a number of 1 to 2147483647")
		return
	}
	*into = string(value)
}

// about reports whether something is wrong with a field already.
func (p problems) about(field string) bool {
	return slices.ContainsFunc(p, func(one problem) bool { return strings.HasPrefix(one.Message, "Field '"+field+"' ") })
}

// start serves POST /v2/transfers.
func (h *handler) start(ctx context.Context, q request) reply {
	n, p := parseNewTransfer(q.body, h.cfg.RejectUnknownFields)
	if len(p) > 0 {
		return badRequest(p)
	}
	in, p := h.input(n, time.Now())
	connector, err := h.cfg.ConnectorOf(ctx, n.requested)
	if err != nil {
		return h.unavailable(ctx, "find connector", err)
	}
	if connector == "" {
		p.unknownHost(n.requested)
	}
	if len(p) > 0 {
		return badRequest(p)
	}
	in.ConnectorID, in.ClientToken = connector, q.token()
	out, err := h.client.StartFileTransfer(ctx, &in)
	if p := n.blame(err); len(p) > 0 {
		return badRequest(p)
	}
	if err != nil {
		return h.failure(ctx, "start transfer", err)
	}
	h.cfg.Logger.InfoContext(ctx, "waarpapi: transfer started", "user", q.caller.name, "transfer", out.TransferID, "rule", n.ruleName, "requested", n.requested)
	return h.created(ctx, http.StatusCreated, out.TransferID)
}

// token makes a request with a signature that covers a timestamp repeatable: the same signature is the same request, so
// that whoever repeats it starts nothing twice. Under Basic authentication equal requests have equal signatures for ever.
func (q *request) token() string {
	if !q.signed || !q.caller.dated {
		return ""
	}
	sum := sha256.Sum256([]byte(q.caller.name + "\x00" + q.header.Get("Authorization") + "\x00" + strings.ToLower(q.header.Get(headerSignature))))
	return "waarp/" + hex.EncodeToString(sum[:])
}

// created answers with the record of a transfer of one file that is new, and where it is found.
func (h *handler) created(ctx context.Context, status int, transferID string) reply {
	rows, err := h.client.ListTransfers().Transfer(transferID).Limit(1).All(ctx)
	if err == nil && len(rows) == 0 {
		err = errors.New("transfer " + transferID + " is gone")
	}
	if err != nil {
		return h.failure(ctx, "get new transfer", err)
	}
	answer := ok(status, h.record(&rows[0]))
	uri := transfersPath + "/" + url.PathEscape(fmt.Sprintf("%d_%s", rows[0].FileID, rows[0].Partner))
	answer.header = http.Header{"Transferuri": {uri}, "Transfer-Uri": {uri}} // the published name, and the one that is sent
	return answer
}

// input makes a request of what is asked for, without its connector.
func (h *handler) input(n newTransfer, now time.Time) (in transfer.StartFileTransferInput, p problems) {
	rule, known := h.cfg.Rules[n.ruleName]
	switch {
	case !known:
		p.add(codeUnknownRule, "Field 'ruleName' : there is no rule '%s' (use a rule of this server).", shorten(n.ruleName))
	case len(rule.Partners) > 0 && !slices.Contains(rule.Partners, n.requested):
		p.add(codeRuleNotAllowed, "Field 'ruleName' : the rule '%s' is not for '%s' (use another rule).", shorten(n.ruleName), shorten(n.requested))
	default:
		in = rule.input(p.below(rule.directory(), n.filename))
	}
	in.RuleName = n.ruleName
	in.Metadata = metadata(n.fileInfo)
	in.FollowID = p.follow(n.transferInfo)
	in.StartAt = p.startAt(n.start, now, h.cfg.ClockSkew)
	return in, p
}

func (r Rule) input(file string) transfer.StartFileTransferInput {
	in := transfer.StartFileTransferInput{Overwrite: r.Overwrite, Verify: r.Verify}
	if r.Direction == Send {
		in.SendFilePaths, in.RemoteDirectoryPath = []string{file}, r.RemoteDirectory
	} else {
		in.RetrieveFilePaths, in.LocalDirectoryPath = []string{file}, r.LocalDirectory
	}
	return in
}

// below returns the path of a file that is named relative to dir or absolutely, and is below dir either way.
func (p *problems) below(dir, name string) string {
	const field = "filename"
	switch {
	case climbs(name):
		p.illegal(field, name, "name the file without ..")
	case strings.HasSuffix(name, "/"), path.Clean(name) == ".":
		p.illegal(field, name, "name a file, not a directory")
	case dir == "":
		return name
	case !path.IsAbs(name):
		return path.Join(dir, name)
	case !strings.HasPrefix(path.Clean(name), strings.TrimSuffix(dir, "/")+"/"):
		p.illegal(field, name, "name a file below the rule's directory, best relative to it")
	}
	return path.Clean(name)
}

// climbs reports whether a path goes up.
func climbs(name string) bool { return slices.Contains(strings.Split(name, "/"), "..") }

// informationKey is the entry of the metadata that has a fileInfo which is not a JSON object of texts and numbers.
const informationKey = "information"

// metadata keeps a fileInfo: a JSON object of texts, numbers and booleans entry by entry, anything else as one.
func metadata(fileInfo string) map[string]string {
	if strings.TrimSpace(fileInfo) == "" {
		return nil
	}
	if values, ok := scalars(fileInfo); ok {
		return values
	}
	return map[string]string{informationKey: fileInfo}
}

// follow finds the follow id in a transferInfo. What else Waarp keeps there are orders to itself, which are not obeyed
// here, and so are refused.
func (p *problems) follow(transferInfo string) string {
	const field = "transferInfo"
	if strings.TrimSpace(transferInfo) == "" {
		return ""
	}
	values, ok := scalars(transferInfo)
	if !ok {
		p.illegal(field, transferInfo, `use a JSON object such as {"follow":12}; text of your own belongs into fileInfo`)
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if name != "follow" {
			p.illegal(field, transferInfo, fmt.Sprintf("leave %q out: only follow is known; entries of your own belong into fileInfo", shorten(name)))
		}
	}
	return values["follow"]
}

// startAt reads the moment from which on the transfer may begin.
func (p *problems) startAt(text string, now time.Time, skew time.Duration) time.Time {
	if strings.TrimSpace(text) == "" {
		return time.Time{}
	}
	at, ok := parseDate(text)
	switch {
	case !ok:
		p.illegal("start", text, "use a date of ISO 8601, such as 2026-01-31T08:00:00Z")
	case at.Before(now.Add(-skew)):
		p.illegal("start", text, "it is past: use one that is not, or none to begin at once")
	}
	return at
}

func (p *problems) unknownHost(requested string) {
	p.add(codeUnknownHost, "Field 'requested' : there is no host '%s' (use a partner of this server).", shorten(requested))
}

// blame tells of a refusal by the Client in terms of the body's fields.
func (n *newTransfer) blame(err error) (p problems) {
	var unknown *transfer.ResourceNotFoundException
	if errors.As(err, &unknown) && unknown.ResourceType == "Connector" {
		p.unknownHost(n.requested)
	}
	var invalid *transfer.InvalidRequestException
	if errors.As(err, &invalid) {
		for _, f := range invalid.Fields {
			name := fieldOf(f.Name)
			p.illegal(name, *n.field(name), f.Problem)
		}
	}
	return p
}

// fieldOf is the body's field that a field of StartFileTransferInput was made of.
func fieldOf(input string) string {
	name, _, _ := strings.Cut(input, "[")
	switch name {
	case "ConnectorID":
		return "requested"
	case "Metadata":
		return "fileInfo"
	case "FollowID":
		return "transferInfo"
	case "StartAt":
		return "start"
	case "SendFilePaths", "RetrieveFilePaths":
		return "filename"
	}
	return "ruleName" // its name, directories and options
}
