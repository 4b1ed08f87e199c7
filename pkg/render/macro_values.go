package render

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/event"
)

// How times are written: to be read by people, with the zone.
const (
	timeLayout      = "2006-01-02 15:04:05 MST"
	dateLayout      = "Monday, 2 January 2006"
	timeOfDayLayout = "15:04 MST"
)

// values are the macro values of one event, by name.
type values map[string]string

// macroValues gathers the values of an event. The derived ones win over variables of the same name, custom fields over
// variables; custom fields that are not in o.Custom are left out.
func macroValues(e *event.Event, t event.Type, o MailOptions) values {
	zone := o.Zone
	if zone == nil {
		zone = time.UTC
	}
	fields := knownFields(e, o.Custom)
	v := make(values, len(e.Variables)+len(fields)+24)
	for _, x := range e.Variables {
		v.keep(macroName(x.Name), x.Value)
	}
	for _, x := range fields {
		v[macroCustom+macroName(x.Name)] = x.Value
	}
	for name, value := range map[string]string{
		"EVENT":             e.Type,
		"EVENT_LABEL":       cmp.Or(t.DisplayName, e.Type),
		"EVENT_ID":          e.Key(),
		"EVENT_TIME":        e.Time.In(zone).Format(timeLayout),
		"EVENT_DATE":        e.Time.In(zone).Format(dateLayout),
		"EVENT_TIME_OF_DAY": e.Time.In(zone).Format(timeOfDayLayout),
		"EVENT_TIME_UTC":    e.Time.UTC().Format(time.RFC3339),
		"EVENT_VARIABLES":   lines(e.Variables, nil),
		"PRODUCT":           t.Product,
		"TIMESTAMP":         strconv.FormatInt(e.Time.Unix(), 10),
		"VERSION":           event.SchemaVersion,
		"APPLIANCE_ID":      e.Appliance,
		"APPLIANCE_NAME":    cmp.Or(o.ApplianceName, e.Appliance),
		"LSID":              e.Session,
		"SESSION_ID":        e.Session,
		"EXTERNAL_KEY":      e.ExternalKey,
		"DURATION_TEXT":     durationText(e.Variables),
		"SURVEY_ANSWERS":    surveyAnswers(e.Variables),
		"CUSTOM_FIELDS":     lines(fields, o.CustomNames),
	} {
		v[name] = value
	}
	return v
}

// durationText is the variable duration, which is in seconds, as people say it; empty if there is none.
func durationText(vars []event.Variable) string {
	for _, x := range vars {
		if x.Name != "duration" {
			continue
		}
		seconds, err := strconv.ParseInt(x.Value, 10, 32)
		if err != nil || seconds < 0 {
			return ""
		}
		return lasting(time.Duration(seconds) * time.Second)
	}
	return ""
}

// keep sets a value unless there is one: of two variables with the same macro, the first by name is it.
func (v values) keep(name, value string) {
	if _, ok := v[name]; !ok {
		v[name] = value
	}
}

// expand puts values in the place of macros, once: what a value holds is not looked at again. A macro without a value is
// empty. The result ends after at most limit bytes, and cut says whether it was cut there, so that a text of many macros
// costs no more than its mail may hold.
func (v values) expand(text string, limit int) (out string, cut bool) {
	var b strings.Builder
	for _, p := range split(text) {
		s := p.text
		if p.macro != "" {
			s = v[p.macro]
		}
		if b.Len()+len(s) > limit {
			b.WriteString(s[:limit-b.Len()])
			return b.String(), true
		}
		b.WriteString(s)
	}
	return b.String(), false
}

// knownFields is the event's custom fields that are known, those without a value left out.
func knownFields(e *event.Event, custom []string) []event.Variable {
	var out []event.Variable
	for _, x := range e.Custom {
		if x.Value != "" && slices.Contains(custom, x.Name) {
			out = append(out, x)
		}
	}
	return out
}

// lines writes variables as `name: value`, one to a line. Names holds what some of them are called.
func lines(vars []event.Variable, names map[string]string) string {
	var b strings.Builder
	for i, x := range vars {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(cmp.Or(names[x.Name], x.Name) + ": " + x.Value)
	}
	return b.String()
}

// surveyAnswers writes what the survey variables rating, comment and answers hold, one to a line.
func surveyAnswers(vars []event.Variable) string {
	var rating, comment, answers string
	for _, x := range vars {
		switch x.Name {
		case "rating":
			rating = x.Value
		case "comment":
			comment = x.Value
		case "answers":
			answers = x.Value
		}
	}
	var out []string
	if rating != "" {
		out = append(out, "Rating: "+rating)
	}
	out = append(out, questions(answers)...)
	if comment != "" {
		out = append(out, "Comment: "+comment)
	}
	return strings.Join(out, "\n")
}

// questions reads an array of objects with question and answer. What is not one is shown as it is, so that nothing an
// appliance says is lost.
func questions(text string) []string {
	if text == "" || text == "[]" {
		return nil
	}
	var list []struct {
		Question *string `json:"question"`
		Answer   any     `json:"answer"`
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return []string{"Answers: " + text}
	}
	out := make([]string, 0, len(list))
	for _, q := range list {
		if q.Question == nil {
			return []string{"Answers: " + text}
		}
		out = append(out, strings.TrimSpace(*q.Question+" "+answer(q.Answer)))
	}
	return out
}

// answer writes an answer of any JSON type; several are separated by commas.
func answer(value any) string {
	switch a := value.(type) {
	case nil:
		return "(no answer)"
	case []any:
		parts := make([]string, len(a))
		for i, x := range a {
			parts[i] = answer(x)
		}
		return strings.Join(parts, ", ")
	default:
		return fmt.Sprint(a)
	}
}
