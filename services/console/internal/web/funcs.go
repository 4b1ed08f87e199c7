package web

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// functions are the template functions.
func (s *Site) functions() template.FuncMap {
	return template.FuncMap{
		"asset": s.assets.address,
		"ago":   ago, "until": until, "clock": clock, "precise": precise, "duration": words,
		"bytes": byteCount, "count": count, "plural": plural,
		"state": stateChip, "chip": chip,
		"field": newField, "fieldID": FieldID, "link": link, "dict": dict, "list": func(x ...any) []any { return x },
		"join": strings.Join, "lower": strings.ToLower, "short": short, "words": spaced,
		"reason": ReasonWords, "class": ClassWords,
		"within": func(path, under string) bool { return path == under || strings.HasPrefix(path, under+"/") },
	}
}

// instant converts a timestamp or a time. ok is false for none.
func instant(v any) (t time.Time, ok bool) {
	switch v := v.(type) {
	case *timestamppb.Timestamp:
		if v == nil {
			return t, false
		}
		return v.AsTime(), true
	case time.Time:
		return v, !v.IsZero()
	default:
		return t, false
	}
}

// ago shows a relative time. The script of the page updates it, and the title is the absolute time.
func ago(v any) template.HTML { return timeElement(v, "data-ago") }

// until shows a countdown to an attempt. Once its time has come, the attempt is due.
func until(v any) template.HTML { return timeElement(v, "data-until") }

// clock shows an absolute time in UTC. The script of the page converts it to the local time zone.
func clock(v any) template.HTML { return timeElement(v, "data-clock") }

// precise shows an absolute time with milliseconds.
func precise(v any) template.HTML { return timeElement(v, "data-clock data-precise") }

func timeElement(v any, kind string) template.HTML {
	t, ok := instant(v)
	if !ok {
		return `<span class="none">–</span>`
	}
	t = t.UTC()
	text := Relative(t, time.Now())
	if kind == "data-until" && !t.After(time.Now()) {
		text = dueNow
	}
	full := t.Format("2006-01-02 15:04:05 UTC")
	switch kind {
	case "data-clock":
		text = full
	case "data-clock data-precise":
		full = t.Format("2006-01-02 15:04:05.000 UTC")
		text = full
	}
	// All parts are formatted numbers, so nothing needs escaping.
	// #nosec G203
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s" %s>%s</time>`, t.Format(time.RFC3339Nano), full, kind, text))
}

// dueNow is what a countdown shows whose time has come. The script of the page says the same.
const dueNow = "due now"

// Relative returns the time relative to now in words.
func Relative(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d > -time.Second && d < time.Second:
		return "now"
	case d < 0:
		return "in " + rough(-d)
	default:
		return rough(d) + " ago"
	}
}

// rough returns a duration in its largest unit.
func rough(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h"
	default:
		return strconv.Itoa(int(d.Hours()/24)) + " d"
	}
}

// words formats a duration in full, e.g. `1 h 30 min`.
func words(v any) string {
	var d time.Duration
	switch v := v.(type) {
	case *durationpb.Duration:
		if v == nil {
			return "–"
		}
		d = v.AsDuration()
	case time.Duration:
		d = v
	default:
		return "–"
	}
	return Words(d)
}

// Words formats a duration in full, e.g. `1 h 30 min`.
func Words(d time.Duration) string {
	if d < 0 {
		return "−" + Words(-d)
	}
	if d < time.Second {
		if d == 0 {
			return "0 s"
		}
		return strconv.FormatInt(max(1, d.Milliseconds()), 10) + " ms"
	}
	var out []string
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / u.size; n > 0 {
			out = append(out, strconv.FormatInt(int64(n), 10)+" "+u.name)
			d %= u.size
		}
	}
	return strings.Join(out, " ")
}

// number converts an integer.
func number(v any) int64 {
	n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func byteCount(v any) string {
	n := float64(number(v))
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if n < 1024 {
			return strings.TrimSuffix(strconv.FormatFloat(n, 'f', 1, 64), ".0") + " " + unit
		}
		n /= 1024
	}
	return strconv.FormatFloat(n, 'f', 1, 64) + " TiB"
}

// count formats a number with narrow spaces as thousands separators.
func count(v any) string {
	digits := strconv.FormatInt(number(v), 10)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "−", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return sign + digits
}

// Count formats a number with narrow spaces as thousands separators.
func Count(n int64) string { return count(n) }

func plural(v any, one, many string) string {
	if number(v) == 1 {
		return count(v) + " " + one
	}
	return count(v) + " " + many
}

// stateChip shows the state of a delivery as a chip.
func stateChip(v any) template.HTML {
	state := fmt.Sprint(v)
	tone := "note"
	switch state {
	case "DELIVERED":
		tone = "good"
	case "EXPIRED", "REJECTED":
		tone = "bad"
	case "RETRYING":
		tone = "warn"
	case "SKIPPED", "CANCELLED":
		tone = "quiet"
	}
	return chip(tone, strings.ToLower(state))
}

// chip shows a text on a colour: good, warn, bad, note or quiet.
func chip(tone, text string) template.HTML {
	return template.HTML(`<span class="chip ` + template.HTMLEscapeString(tone) + `">` + template.HTMLEscapeString(text) +
		`</span>`) // #nosec G203 -- escaped
}

// link returns an address with a query of name-value pairs. Empty values are left out.
func link(path string, pairs ...any) (string, error) {
	if len(pairs)%2 != 0 {
		return "", fmt.Errorf("link %s: its query must be pairs", path)
	}
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if v := fmt.Sprint(pairs[i+1]); v != "" {
			q.Add(fmt.Sprint(pairs[i]), v)
		}
	}
	if len(q) == 0 {
		return path, nil
	}
	return path + "?" + q.Encode(), nil
}

// Address returns an address with a query, like the template function link.
func Address(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Add(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// dict returns a map of key-value pairs, for templates with several arguments.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: %d arguments are not pairs", len(pairs))
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m, nil
}

// short truncates a text to n characters.
func short(n int, text string) string {
	r := []rune(text)
	if len(r) <= n {
		return text
	}
	return string(r[:n-1]) + "…"
}

// spaced converts an API constant to words: `NO_ANSWER` and `no_answer` become `no answer`.
func spaced(v any) string { return strings.ToLower(strings.ReplaceAll(fmt.Sprint(v), "_", " ")) }

// Seconds formats a duration in whole seconds for headers.
func Seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }
