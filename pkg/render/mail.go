package render

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/outbound-events/outbound/pkg/event"
)

// The most a mail may hold, in bytes. What is longer is cut, and says so.
const (
	MaxSubject = 500
	MaxBody    = 512 << 10
)

// cutMark ends what was cut.
const cutMark = "…"

// Mail is the text of a mail: safe to put in headers and in a text/plain body.
type Mail struct {
	// Subject is one line of valid UTF-8 without control characters.
	Subject string
	// Body is valid UTF-8 with lines ended by "\n" and no other control character than tabs.
	Body string
	// HTML is the same as HTML, values escaped; empty: the mail is plain text alone.
	HTML string
}

// MailOptions says how a mail is worded.
type MailOptions struct {
	// Subject and Body with macros. Empty: the default of the event type.
	Subject, Body string
	// HTMLBody with macros. Empty: none.
	HTMLBody string
	// Custom is the code names of the custom fields that may be shown, CustomNames what people call them.
	Custom      []string
	CustomNames map[string]string
	// ApplianceName is what people call the event's appliance; empty: its id.
	ApplianceName string
	// Zone of the times. Nil: UTC.
	Zone *time.Location
}

// NewMail renders the email of an event. It can't fail: an unknown macro is empty, and characters that are not allowed are left out.
// An HTML body that can't be had, since values make it too long, is left out too: the plain text says the same. The same
// arguments give the same mail.
func NewMail(e *event.Event, t event.Type, o MailOptions) Mail {
	v := macroValues(e, t, o)
	subject := o.Subject
	if subject == "" {
		subject = DefaultSubject(e.Type)
	}
	// Room to shorten in: white space is joined before the subject is cut to its length.
	subject, _ = v.expand(subject, 4*MaxSubject)
	m := Mail{Subject: OneLine(subject, MaxSubject), Body: body(v, e.Type, o.Body)}
	if o.HTMLBody != "" {
		m.HTML, _ = htmlBody(v, o.HTMLBody)
	}
	return m
}

// Check says why an HTML body can't be mailed about an event, nil if it can. A body that is fine for a sample of a type may
// still be left out of a mail whose values make it too long.
func (b *HTMLBody) Check(e *event.Event, t event.Type, o MailOptions) error {
	_, err := b.expand(macroValues(e, t, o))
	return err
}

func htmlBody(v values, text string) (string, error) {
	b, err := NewHTMLBody(text)
	if err != nil {
		return "", err
	}
	return b.expand(v)
}

// MacroValues returns the values of a type's macros in an event, by name, without empty ones.
func MacroValues(e *event.Event, t event.Type, o MailOptions) map[string]string {
	all := macroValues(e, t, o)
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return all
}

func body(v values, eventType, text string) string {
	if text == "" {
		text = v.withoutEmptyLines(DefaultBody(eventType))
	}
	out, cut := v.expand(text, MaxBody)
	out = manyLines(out)
	if cut {
		out += cutMark + "\n"
	}
	return out
}

// withoutEmptyLines leaves out the lines whose macros are all empty, and all but one of the blank lines that then meet, so
// that the default texts say nothing about what an event does not hold. Texts that people write are left as they are.
func (v values) withoutEmptyLines(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		macros, filled := 0, 0
		for _, p := range split(line) {
			if p.macro == "" {
				continue
			}
			macros++
			if v[p.macro] != "" {
				filled++
			}
		}
		twice := line == "\n" && len(kept) > 0 && kept[len(kept)-1] == "\n"
		if !twice && (macros == 0 || filled > 0) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// OneLine converts a text to one line for a header: valid UTF-8, no control characters, white space joined, at most limit bytes.
func OneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return ' '
		}
		return visible(r)
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
	return cutTo(strings.Join(strings.Fields(s), " "), limit)
}

// manyLines makes a plain text of any text: valid UTF-8, lines ended by "\n", no control characters but tabs.
func manyLines(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if unicode.IsControl(r) {
			return -1
		}
		return visible(r)
	}, s)
}

// visible drops what changes the direction of the text around it: with it, a value can make a mail read as what it is not.
func visible(r rune) rune {
	if r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
		return -1
	}
	return r
}

// cutTo shortens s to at most limit bytes, between two runes.
func cutTo(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit - len(cutMark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + cutMark
}
