package deliveries

import (
	"strconv"
	"strings"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// line is a line of a comparison: added, gone, or gap for those between that are the same.
type line struct{ Kind, Text string }

// Mark is the line's sign, for those who see no colours.
func (l line) Mark() string {
	switch l.Kind {
	case "added":
		return "+"
	case "gone":
		return "−"
	default:
		return "…"
	}
}

// linesMost is how many lines of an answer are compared; an answer of more is compared as far.
const linesMost = 300

// diff tells which lines of two texts are not in both, in their order. Nothing if the texts are the same.
func diff(before, after string) []line {
	if before == after {
		return nil
	}
	a, b := split(before), split(after)
	// common[i][j] is how many lines a[i:] and b[j:] have in common at most.
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	return diffLines(a, b, common)
}

func diffLines(a, b []string, common [][]int) []line {
	var out []line
	same := 0
	add := func(kind, text string) {
		if same > 0 {
			out = append(out, line{"gap", plain(same)})
			same = 0
		}
		out = append(out, line{kind, text})
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			same++
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			add("gone", a[i])
			i++
		default:
			add("added", b[j])
			j++
		}
	}
	if len(out) > 0 && same > 0 {
		out = append(out, line{"gap", plain(same)})
	}
	return out
}

func plain(n int) string {
	if n == 1 {
		return "1 line the same"
	}
	return strconv.Itoa(n) + " lines the same"
}

// split cuts a text into lines. What lies beyond the bound is one line more, so that a difference in it is seen.
func split(text string) []string {
	if text == "" {
		return nil
	}
	return strings.SplitN(strings.ReplaceAll(text, "\r\n", "\n"), "\n", linesMost)
}

// number is a code, empty if there is none.
func number(n int32) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}

func revision(a *outboundv1.Attempt) string {
	if a.GetRecipientRevision() == 0 {
		return ""
	}
	return strconv.FormatUint(a.GetRecipientRevision(), 10)
}
