package output

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Kind is what a text means, and so how it looks where there is a terminal. The text says the same without it.
type Kind int

// The kinds of texts.
const (
	Good Kind = iota + 1
	Warn
	Bad
	Strong
	Faint
)

// code is the SGR parameter of a kind (ECMA-48).
func (k Kind) code() string {
	switch k {
	case Good:
		return "32"
	case Warn:
		return "33"
	case Bad:
		return "31"
	case Strong:
		return "1"
	case Faint:
		return "2"
	default:
		return "0"
	}
}

// Colored returns a text in the colour of its kind, where colours are wanted. The text must be clean.
func (p *Printer) Colored(k Kind, text string) string {
	if !p.Color {
		return text
	}
	return "\x1b[" + k.code() + "m" + text + "\x1b[0m"
}

// SayRaw prints a line that is clean already, perhaps with colours, as Say does.
func (p *Printer) SayRaw(line string) {
	if !p.Structured() {
		_, _ = fmt.Fprintln(p.Out, line)
	}
}

// Note prints a line for people beside the output, to standard error, whatever the format.
func (p *Printer) Note(format string, args ...any) {
	_, _ = fmt.Fprintln(p.Err, Clean(fmt.Sprintf(format, args...)))
}

// ShowJSONLine prints JSON as a line of a stream, or as a YAML document.
func (p *Printer) ShowJSONLine(raw []byte) error {
	if !json.Valid(raw) {
		return errors.New("write the output: not JSON")
	}
	if p.Format == "yaml" {
		if _, err := fmt.Fprintln(p.Out, "---"); err != nil {
			return err
		}
		return p.ShowJSON(raw)
	}
	_, err := p.Out.Write(append(escapeJSON([]byte(Compact(raw))), '\n'))
	return err
}

// kindOf returns the kind of a state, whose colour helps to find it in a table.
func kindOf(word string) (Kind, bool) {
	switch word {
	case "DELIVERED", "OK", "✓":
		return Good, true
	case "RETRYING", "WAITING", "PAUSED", "HOLD", "paused", "MAINTENANCE":
		return Warn, true
	case "EXPIRED", "REJECTED", "FAILING", "failing", "✗":
		return Bad, true
	case "SKIPPED", "CANCELLED", "DISABLED", "DELETING", "disabled", "deleting":
		return Faint, true
	default:
		return 0, false
	}
}

// painted colours the cells of an aligned line that are a state. Cells have at least two blanks between them.
func (p *Printer) painted(line string) string {
	if !p.Color {
		return line
	}
	var b strings.Builder
	for rest := line; rest != ""; {
		cell, after, found := strings.Cut(rest, "  ")
		if k, ok := kindOf(cell); ok {
			b.WriteString(p.Colored(k, cell))
		} else {
			b.WriteString(cell)
		}
		if found {
			b.WriteString("  ")
		}
		blanks := len(after) - len(strings.TrimLeft(after, " "))
		b.WriteString(after[:blanks])
		rest = after[blanks:]
	}
	return b.String()
}
