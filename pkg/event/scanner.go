package event

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON (RFC 8259) strictly and in one pass: encoding/json can tell neither where a fault is nor that a name
// came twice, and would read the text twice as slowly. Strings without escapes are parts of the text, not copies.
type scanner struct {
	text string
	at   int
	// depth counts the objects and arrays around the present place.
	depth int
	// keys is a stack of the names seen in the objects around the present place.
	keys []string
	// fatal is the fault that ended the reading.
	fatal *Violation
	// half is set when an escape was half of a surrogate pair, which is no character.
	half bool
	// twice is told of each name that came twice in one object.
	twice func(name string)
}

// kind is a kind of JSON value.
type kind int

const (
	kindNone kind = iota
	kindNull
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

func (k kind) String() string {
	return [...]string{"nothing", "null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

func (s *scanner) fail(format string, args ...any) bool {
	if s.fatal == nil {
		s.fatal = &Violation{Reason: ReasonMalformed, Description: fmt.Sprintf("is not valid JSON at byte %d: ", s.at) +
			fmt.Sprintf(format, args...)}
	}
	return false
}

func (s *scanner) blanks() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// peek skips blanks and says what kind of value begins.
func (s *scanner) peek() kind {
	s.blanks()
	if s.at >= len(s.text) {
		s.fail("it is incomplete")
		return kindNone
	}
	switch c := s.text[s.at]; {
	case c == '"':
		return kindString
	case c == '{':
		return kindObject
	case c == '[':
		return kindArray
	case c == 't' || c == 'f':
		return kindBool
	case c == 'n':
		return kindNull
	case c == '-' || c >= '0' && c <= '9':
		return kindNumber
	default:
		s.fail("%s instead of a value", shown(s.text[s.at:]))
		return kindNone
	}
}

// shown is the first character of the rest of the text, fit to be read.
func shown(rest string) string {
	r, n := utf8.DecodeRuneInString(rest)
	if r == utf8.RuneError && n <= 1 {
		return fmt.Sprintf("the byte 0x%02x", rest[0])
	}
	return strconv.QuoteRune(r)
}

// scalar reads a null, boolean, number or string and gives its text: of a null the empty one, of a number as it is written.
func (s *scanner) scalar(k kind) (string, bool) {
	switch k {
	case kindString:
		return s.str()
	case kindNumber:
		return s.number()
	case kindNull:
		return "", s.word("null")
	case kindBool:
		if s.text[s.at] == 't' {
			return "true", s.word("true")
		}
		return "false", s.word("false")
	default:
		return "", s.fail("%s instead of a single value", k)
	}
}

func (s *scanner) word(w string) bool {
	if !strings.HasPrefix(s.text[s.at:], w) {
		return s.fail("expected %s", w)
	}
	s.at += len(w)
	return true
}

func (s *scanner) digits() bool {
	from := s.at
	for s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at > from || s.fail("expected a digit")
}

func (s *scanner) on(set string) bool {
	return s.at < len(s.text) && strings.IndexByte(set, s.text[s.at]) >= 0
}

func (s *scanner) number() (string, bool) {
	from := s.at
	if s.on("-") {
		s.at++
	}
	if s.on("0") {
		s.at++
	} else if !s.digits() {
		return "", false
	}
	if s.on(".") {
		s.at++
		if !s.digits() {
			return "", false
		}
	}
	if s.on("eE") {
		s.at++
		if s.on("+-") {
			s.at++
		}
		if !s.digits() {
			return "", false
		}
	}
	return s.text[from:s.at], true
}

// str reads a string whose quote is at the present place.
func (s *scanner) str() (string, bool) {
	from := s.at + 1
	for i := from; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.at = i + 1
			return s.text[from:i], true
		case c == '\\':
			return s.escaped(from, i)
		case c < ' ':
			s.at = i
			return "", s.fail("a control character must be written as an escape")
		}
	}
	s.at = len(s.text)
	return "", s.fail("a string is not terminated")
}

// escaped reads the rest of a string that began at from and has its first escape at i.
func (s *scanner) escaped(from, i int) (string, bool) {
	var b strings.Builder
	for s.at = i; s.at < len(s.text); {
		switch c := s.text[s.at]; {
		case c == '"':
			b.WriteString(s.text[from:s.at])
			s.at++
			return b.String(), true
		case c == '\\':
			b.WriteString(s.text[from:s.at])
			if !s.escape(&b) {
				return "", false
			}
			from = s.at
		case c < ' ':
			return "", s.fail("a control character must be written as an escape")
		default:
			s.at++
		}
	}
	return "", s.fail("a string is not terminated")
}

func (s *scanner) escape(b *strings.Builder) bool {
	s.at++
	if s.at >= len(s.text) {
		return s.fail("an escape is not terminated")
	}
	const names, values = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if n := strings.IndexByte(names, s.text[s.at]); n >= 0 {
		s.at++
		b.WriteByte(values[n])
		return true
	}
	if s.text[s.at] != 'u' {
		return s.fail("%s is not an escape", shown(s.text[s.at:]))
	}
	s.at++
	r, ok := s.hex()
	if !ok {
		return s.fail("expected four hexadecimal digits")
	}
	if utf16.IsSurrogate(r) {
		r = s.pair(r)
	}
	b.WriteRune(r)
	return true
}

// pair reads the second half of a surrogate pair. A half alone is noted and becomes U+FFFD.
func (s *scanner) pair(first rune) rune {
	here := s.at
	if strings.HasPrefix(s.text[s.at:], `\u`) {
		s.at += 2
		if second, ok := s.hex(); ok {
			if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
				return r
			}
		}
	}
	s.at = here
	s.half = true
	return utf8.RuneError
}

func (s *scanner) hex() (rune, bool) {
	if len(s.text)-s.at < 4 {
		return 0, false
	}
	n := rune(0)
	for _, c := range []byte(s.text[s.at : s.at+4]) {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			n = n<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	s.at += 4
	return n, true
}

// deeper counts an object or array that begins.
func (s *scanner) deeper() bool {
	s.at++
	s.depth++
	if s.depth > MaxDepth && s.fatal == nil {
		s.fatal = &Violation{Reason: ReasonTooDeep, Description: fmt.Sprintf(
			"is nested deeper than %d levels at byte %d, the event itself being the first: flatten it", MaxDepth, s.at-1)}
	}
	return s.fatal == nil
}

// object reads an object and calls member for each name, which must read the value.
func (s *scanner) object(member func(name string) bool) bool {
	if !s.deeper() {
		return false
	}
	mine := len(s.keys)
	for s.blanks(); !s.on("}"); s.blanks() {
		if len(s.keys) > mine && !s.comma("}") {
			return false
		}
		if !s.on(`"`) {
			return s.fail("expected a name in quotes")
		}
		name, ok := s.str()
		if !ok {
			return false
		}
		if s.blanks(); !s.on(":") {
			return s.fail("expected a colon after a name")
		}
		s.at++
		s.keys = append(s.keys, name)
		if !member(name) {
			return false
		}
	}
	s.repeats(s.keys[mine:])
	s.keys = s.keys[:mine]
	s.at++
	s.depth--
	return true
}

// array reads an array and calls element for each value, which must read it.
func (s *scanner) array(element func() bool) bool {
	if !s.deeper() {
		return false
	}
	first := true
	for s.blanks(); !s.on("]"); s.blanks() {
		if !first && !s.comma("]") {
			return false
		}
		first = false
		if !element() {
			return false
		}
	}
	s.at++
	s.depth--
	return true
}

func (s *scanner) comma(end string) bool {
	if !s.on(",") {
		return s.fail("expected a comma or %s", end)
	}
	s.at++
	s.blanks()
	return true
}

// skip reads any value and forgets it.
func (s *scanner) skip(k kind) bool {
	switch k {
	case kindNone:
		return false
	case kindObject:
		return s.object(func(string) bool { return s.skip(s.peek()) })
	case kindArray:
		return s.array(func() bool { return s.skip(s.peek()) })
	default:
		_, ok := s.scalar(k)
		return ok
	}
}

// few names are compared each with each, which is faster than sorting them.
const few = 24

func (s *scanner) repeats(names []string) {
	if len(names) <= few {
		for i, name := range names {
			if slices.Contains(names[:i], name) {
				s.twice(name)
			}
		}
		return
	}
	sorted := slices.Sorted(slices.Values(names))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			s.twice(sorted[i])
		}
	}
}
