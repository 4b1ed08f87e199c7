package deliveries

import (
	"strconv"
	"strings"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// line is a line of a diff: added, removed, or a gap for unchanged lines.
type line struct{ Kind, Text string }

// Mark returns the sign of the line, so that colour is not the only mark.
func (l line) Mark() string {
	switch l.Kind {
	case "added":
		return "+"
	case "removed":
		return "−"
	default:
		return "…"
	}
}

// linesMost is the number of lines of a response that are compared.
const linesMost = 300

// diff returns the lines that differ between two texts, in order. It returns nothing for equal texts.
func diff(before, after string) []line {
	if before == after {
		return nil
	}
	a, b := split(before), split(after)
	// common[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
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
			add("removed", a[i])
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
		return "1 unchanged line"
	}
	return strconv.Itoa(n) + " unchanged lines"
}

// split splits a text into lines. The text beyond the limit is one more line, so that differences in it are seen.
func split(text string) []string {
	if text == "" {
		return nil
	}
	return strings.SplitN(strings.ReplaceAll(text, "\r\n", "\n"), "\n", linesMost)
}

// number returns a status code as text; empty for none.
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
