package waarpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/seed62b9dc43/transfer"
)

// The published error codes that are given here, and 0 for none.
const (
	codeNone           = 0
	codeMissingBody    = 1
	codeMalformedJSON  = 2
	codeDuplicateKey   = 3
	codeIllegalQuery   = 4
	codeUnknownField   = 5
	codeMissingField   = 6
	codeIllegalField   = 7
	codeUnknownRule    = 10
	codeUnknownHost    = 11
	codeRuleNotAllowed = 12
)

// problem is one thing that is wrong with a request, in the published form.
type problem = transfer.QueryStringProblem

// problems is all that is wrong with a request.
type problems []problem

func (p *problems) add(code int, format string, args ...any) {
	*p = append(*p, problem{Message: fmt.Sprintf(format, args...), ErrorCode: code})
}

// illegal says that a field's value is wrong, and the fix.
func (p *problems) illegal(field, value, fix string) {
	p.add(codeIllegalField, "Field '%s' : illegal value '%s' (%s).", field, shorten(value), fix)
}

const maxShownValue = 80 // characters

func shorten(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if utf8.RuneCountInString(s) <= maxShownValue {
		return s
	}
	return string([]rune(s)[:maxShownValue]) + "…"
}

// member is one attribute of a JSON object.
type member struct {
	name   string
	folded string // the name by which it is told from others
	value  json.RawMessage
}

// parseObject reads a body that is one JSON object. Its names are told apart without regard to case.
func parseObject(body []byte) ([]member, problems) {
	var p problems
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		p.add(codeMissingBody, "Body : missing (send a JSON object).")
		return nil, p
	case !utf8.Valid(body):
		p.add(codeMalformedJSON, "Body : not UTF-8 (send a JSON object in UTF-8).")
		return nil, p
	}
	members, err := readObject(body)
	if err != nil {
		p.add(codeMalformedJSON, "Body : not a JSON object (%s).", describe(body, err))
		return nil, p
	}
	seen := make(map[string]bool, len(members))
	for _, m := range members {
		if seen[m.folded] {
			p.add(codeDuplicateKey, "Field '%s' : given twice (give it once).", shorten(m.name))
		}
		seen[m.folded] = true
	}
	return members, p
}

// readObject returns the members of a JSON object in their order.
func readObject(text []byte) (members []member, err error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, err
	}
	if object == nil {
		return nil, errors.New("it is null")
	}
	d := json.NewDecoder(bytes.NewReader(text)) // of what is known to be an object; a map would hide what is there twice
	for _, _ = d.Token(); d.More(); {
		var m member
		name, _ := d.Token()
		m.name, _ = name.(string)
		m.folded = strings.ToLower(m.name)
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

// describe says where a body is not a JSON object.
func describe(body []byte, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return "it is another value"
	}
	before := body[:max(syntax.Offset-1, 0)]
	line := before[bytes.LastIndexByte(before, '\n')+1:]
	return fmt.Sprintf("it goes wrong at line %d, column %d", 1+bytes.Count(before, []byte{'\n'}), 1+utf8.RuneCount(line))
}

// scalars returns the members of a JSON object of texts, numbers and booleans, none of them twice; ok is false for
// everything else.
func scalars(text string) (values map[string]string, ok bool) {
	members, err := readObject([]byte(text))
	if err != nil {
		return nil, false
	}
	values = make(map[string]string, len(members))
	for _, m := range members {
		var s string
		switch m.value[0] {
		case '{', '[', 'n':
			return nil, false
		case '"':
			_ = json.Unmarshal(m.value, &s) // was read before
		default:
			s = string(m.value)
		}
		if _, twice := values[m.name]; twice {
			return nil, false
		}
		values[m.name] = s
	}
	return values, true
}
