package render

import (
	"fmt"
	"strings"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/spelling"
)

// Macro is a placeholder of email templates: `%NAME%` is replaced by a value of the event.
type Macro struct {
	// Name without the percent signs, e.g. EXTERNAL_KEY.
	Name string
	// Description of the value, as a sentence.
	Description string
}

// macroCustom begins the macros of custom fields.
const macroCustom = "CUSTOM_"

// derivedMacros are the macros that every event type has. Their values are in macro_values.go.
func derivedMacros() []Macro {
	return []Macro{
		{"EVENT", "Identifier of the event type."},
		{"EVENT_LABEL", "Display name of the event type."},
		{"EVENT_ID", "Event ID with the appliance (eventId in the API)."},
		{"EVENT_TIME", "Time of the event in the time zone of the email settings."},
		{"EVENT_DATE", "Date of the event in the time zone of the email settings."},
		{"EVENT_TIME_OF_DAY", "Time of day of the event in the time zone of the email settings, to the minute."},
		{"EVENT_TIME_UTC", "Time of the event in UTC, in RFC 3339 format."},
		{"EVENT_VARIABLES", "All variables of the event, one per line."},
		{"PRODUCT", "Product that publishes the event type."},
		{"TIMESTAMP", "Time of the event in Unix seconds."},
		{"VERSION", "Version of the set of variables."},
		{"APPLIANCE_ID", "Appliance that published the event."},
		{"APPLIANCE_NAME", "Display name of the appliance, or its ID if it has none."},
		{"LSID", "Session of the event."},
		{"SESSION_ID", "Session of the event (same as LSID)."},
		{"EXTERNAL_KEY", "External key of the session when the event happened."},
		{"DURATION_TEXT", "Duration of the session in words (variable duration)."},
		{"SURVEY_ANSWERS", "Questions and answers of the survey, one per line."},
		{"CUSTOM_FIELDS", "All custom fields with a value, one per line."},
	}
}

// MacroNames lists the macros of an event type in a fixed order: those of every type, those of its own variables, then
// those of the custom fields, given by code name.
func MacroNames(t event.Type, custom []string) []Macro {
	out := derivedMacros()
	seen := make(map[string]bool, len(out)+len(t.Variables)+len(custom))
	for _, m := range out {
		seen[m.Name] = true
	}
	add := func(m Macro) {
		if !seen[m.Name] {
			seen[m.Name] = true
			out = append(out, m)
		}
	}
	for _, v := range t.Variables {
		add(Macro{Name: macroName(v.Name), Description: v.Description})
	}
	for _, code := range custom {
		add(Macro{Name: macroCustom + macroName(code), Description: "Custom field " + code + "."})
	}
	return out
}

// KnownMacros is the names of the macros that at least one of the types has: what CheckMacros takes for a recipient of
// these types.
func KnownMacros(types []event.Type, custom []string) []string {
	var out []string
	seen := make(map[string]bool)
	for _, t := range types {
		for _, m := range MacroNames(t, custom) {
			if !seen[m.Name] {
				seen[m.Name] = true
				out = append(out, m.Name)
			}
		}
	}
	return out
}

// CheckMacros refuses a text with a macro that is not known. The error names each such macro once, with the known macro that
// is spelled most like it. A macro in lower case counts as misspelled if it is known in upper case.
func CheckMacros(text string, known []string) error {
	if len(text) > MaxHTMLTemplate {
		return tooLong(text, MaxHTMLTemplate)
	}
	is := make(map[string]bool, len(known))
	for _, k := range known {
		is[k] = true
	}
	var faults []string
	seen := make(map[string]bool)
	for _, p := range split(text) {
		name := p.macro
		if name == "" {
			// Only what would be a macro in upper case is taken for a misspelled one: other text may hold percent signs.
			if name = strings.ToUpper(p.word); name == "" || !is[name] {
				continue
			}
			name = p.word
		}
		if is[name] || seen[name] {
			continue
		}
		seen[name] = true
		// The nearest name is looked for among all that are known: for a few, not for as many as fit into a text.
		if len(seen) <= maxFaults {
			faults = append(faults, fault(name, known))
		}
	}
	if more := len(seen) - maxFaults; more > 0 {
		faults = append(faults, fmt.Sprintf("and %d more", more))
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%s; write %%%% for a percent sign", strings.Join(faults, "; "))
}

// maxFaults is how many unknown macros an error names.
const maxFaults = 10

func fault(name string, known []string) string {
	if near, ok := spelling.Nearest(strings.ToUpper(name), known, len(name)/3+2); ok {
		return fmt.Sprintf("unknown macro %%%s%%, did you mean %%%s%%?", name, near)
	}
	return fmt.Sprintf("unknown macro %%%s%%", name)
}

// macroName is the macro of a variable: upper case, and an underscore for each dot or other character that a macro's name
// can't hold.
func macroName(variable string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, variable)
}

// part is a piece of a text: literal text, or a macro.
type part struct {
	text string
	// macro is the name if it is one; text is then the whole placeholder.
	macro string
	// word is the name of what looks like a macro but is not in upper case. It does not end the literal text.
	word string
}

// split takes a text apart. `%%` is a percent sign, `%NAME%` a macro; a percent sign that begins neither stays.
func split(text string) []part {
	var out []part
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			out = append(out, part{text: lit.String()})
			lit.Reset()
		}
	}
	for text != "" {
		i := strings.IndexByte(text, '%')
		if i < 0 {
			break
		}
		lit.WriteString(text[:i])
		text = text[i:]
		if strings.HasPrefix(text, "%%") {
			lit.WriteByte('%')
			text = text[2:]
			continue
		}
		name := word(text[1:])
		switch {
		case name == "":
			lit.WriteByte('%')
			text = text[1:]
		case name == strings.ToUpper(name):
			flush()
			out = append(out, part{text: text[:len(name)+2], macro: name})
			text = text[len(name)+2:]
		default:
			flush()
			out = append(out, part{text: text[:len(name)+1], word: name})
			text = text[len(name)+1:]
		}
	}
	lit.WriteString(text)
	flush()
	return out
}

// maxMacroName is longer than any macro: a custom field's code name has at most 64 characters, a variable fewer than this.
const maxMacroName = event.MaxNameLength

// word is the name that text begins with, if a percent sign ends it: a letter, then letters, digits and underscores.
func word(text string) string {
	for i := 0; i < len(text) && i <= maxMacroName; i++ {
		c := text[i]
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		switch {
		case letter, i > 0 && (c == '_' || c >= '0' && c <= '9'):
		case c == '%' && i > 0:
			return text[:i]
		default:
			return ""
		}
	}
	return ""
}
