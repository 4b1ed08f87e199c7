package output

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// clean keeps foreign text from steering the terminal or breaking a table.
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

func Clock(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

func Dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func Yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// shownLength is how many characters of a value are shown in a line.
const shownLength = 80

// short cuts what is too long to be read in a line.
func Short(s string) string {
	if r := []rune(s); len(r) > shownLength {
		return string(r[:shownLength]) + fmt.Sprintf("… (%d characters)", len(r))
	}
	return s
}

// compact is JSON without blanks, which the encoder sets at random.
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

// named is an id with what people call it.
func Named(id, name string) string {
	if name == "" || name == id {
		return id
	}
	return id + " (" + name + ")"
}

func Code(n int32) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// size writes bytes in the largest unit that leaves at least one.
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
