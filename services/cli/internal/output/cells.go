package output

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// Clean replaces control and format characters, so that text of others cannot control the terminal or break a table.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf)) {
			return '?'
		}
		if r == '\n' {
			return ' '
		}
		return r
	}, s)
}

// Clock is a time in UTC, or a dash if there is none.
func Clock(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

// Duration is a duration as people write it: 24h, not 24h0m0s, and 90s, not 1m30s.
func Duration(d time.Duration) string {
	switch {
	case d%time.Second == 0 && d > time.Minute && d < 2*time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d%time.Minute == 0 && d > time.Hour && d < 2*time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Dash is the text, or a dash if it is empty.
func Dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Yes is yes or no.
func Yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// shownLength is how many characters of a value are shown in a line.
const shownLength = 80

// Short cuts a text that is too long for a line.
func Short(s string) string {
	if r := []rune(s); len(r) > shownLength {
		return string(r[:shownLength]) + fmt.Sprintf("… (%d characters)", len(r))
	}
	return s
}

// Compact is JSON without the blanks that protojson adds at random.
func Compact(raw json.RawMessage) string {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return string(raw)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return string(raw)
	}
	return string(b)
}

// Named is an id with its display name.
func Named(id, name string) string {
	if name == "" || name == id {
		return id
	}
	return id + " (" + name + ")"
}

// Code is a status code, or a dash if there is none.
func Code(n int32) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// Size is a number of bytes in the largest unit of which there is at least one.
func Size(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
