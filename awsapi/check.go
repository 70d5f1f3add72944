package awsapi

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// checker compares a request with AWS's model, which is in the `shape` tags of the wire types. The tag is the name of a
// shape, followed by ",required" where the member is.
type checker struct {
	strict   bool
	problems []string
}

// maxProblems is how many are looked for: nobody reads what is wrong with each of thousands of paths.
const maxProblems = 20

// check returns nil, or one InvalidRequestException with what is wrong, in the words of AWS's services.
func check(in any, strict bool) error {
	c := checker{strict: strict}
	c.structure("", reflect.ValueOf(in).Elem())
	count := fmt.Sprintf("%d validation errors", len(c.problems))
	switch {
	case len(c.problems) == 0:
		return nil
	case len(c.problems) == 1:
		count = "1 validation error"
	case c.full():
		count = fmt.Sprintf("At least %d validation errors", maxProblems)
	}
	return invalid(count + " detected: " + strings.Join(c.problems, "; "))
}

func (c *checker) full() bool { return len(c.problems) >= maxProblems }

// structure checks the members of a wire type.
func (c *checker) structure(at string, v reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		tag, tagged := field.Tag.Lookup("shape")
		if !tagged {
			continue
		}
		name, required := strings.CutSuffix(tag, ",required")
		c.value(at+member(field), name, v.Field(i), required)
	}
}

// member is how messages name a field: by its JSON key, the first letter in lower case.
func member(field reflect.StructField) string {
	key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return strings.ToLower(key[:1]) + key[1:]
}

// value checks one member: a pointer to a scalar or to a structure, or a list. nil is a member that was not given.
func (c *checker) value(at, name string, v reflect.Value, required bool) {
	if v.IsNil() {
		if required {
			c.fail(at, "null", false, "not be null")
		}
		return
	}
	s := shapes[name]
	if s.lax != nil && !c.strict {
		s = *s.lax
	}
	if v.Kind() == reflect.Slice {
		c.list(at, s, v)
		return
	}
	switch v := v.Elem(); v.Kind() {
	case reflect.Struct:
		c.structure(at+".", v)
	case reflect.String:
		c.text(at, s, v.String())
	case reflect.Int32:
		c.number(at, s, int(v.Int()))
	}
}

func (c *checker) list(at string, s shape, v reflect.Value) {
	shown := fmt.Sprintf("[%d members]", v.Len())
	if v.Len() < s.min {
		c.fail(at, shown, false, fmt.Sprintf("have length greater than or equal to %d", s.min))
	}
	if v.Len() > s.max {
		c.fail(at, shown, false, fmt.Sprintf("have length less than or equal to %d", s.max))
	}
	of := shapes[s.member]
	for i := 0; i < v.Len() && !c.full(); i++ {
		m := v.Index(i)
		if m.Kind() == reflect.String && of.broken(m.String()) == "" {
			continue // as nearly all are: their place is only made into text for a message
		}
		at := at + "." + strconv.Itoa(i+1) + ".member"
		if m.Kind() == reflect.String {
			c.text(at, of, m.String())
		} else {
			c.structure(at+".", m)
		}
	}
}

func (c *checker) text(at string, s shape, value string) {
	if broken := s.broken(value); broken != "" {
		c.fail(at, "'"+shorten(value)+"'", s.sensitive, broken)
	}
}

// broken says which constraint a text does not satisfy, or nothing. One that may be empty needs no pattern then.
func (s *shape) broken(value string) string {
	switch n := utf8.RuneCountInString(value); {
	case len(s.values) > 0 && !slices.Contains(s.values, value):
		return "satisfy enum value set: [" + strings.Join(s.values, ", ") + "]"
	case n < s.min:
		return fmt.Sprintf("have length greater than or equal to %d", s.min)
	case n > s.max:
		return fmt.Sprintf("have length less than or equal to %d", s.max)
	case s.matches != nil && (n > 0 || s.min > 0) && !s.matches.MatchString(value):
		return "satisfy regular expression pattern: " + s.pattern
	}
	return ""
}

func (c *checker) number(at string, s shape, value int) {
	if value < s.min {
		c.fail(at, fmt.Sprintf("'%d'", value), false, fmt.Sprintf("have value greater than or equal to %d", s.min))
	}
	if value > s.max {
		c.fail(at, fmt.Sprintf("'%d'", value), false, fmt.Sprintf("have value less than or equal to %d", s.max))
	}
}

func (c *checker) fail(at, value string, sensitive bool, constraint string) {
	if sensitive {
		value = ""
	} else {
		value = " " + value
	}
	c.problems = append(c.problems, "Value"+value+" at '"+at+"' failed to satisfy constraint: Member must "+constraint)
}

// maxShown is how much of a value from outside is repeated in a message.
const maxShown = 80

// shorten cuts a text for a message and makes it one of printable characters.
func shorten(s string) string {
	if utf8.RuneCountInString(s) > maxShown {
		s = string([]rune(s[:min(len(s), maxShown*utf8.UTFMax)])[:maxShown]) + "…"
	}
	return strings.Map(printable, s)
}

func printable(r rune) rune {
	if strconv.IsPrint(r) {
		return r
	}
	return utf8.RuneError
}
