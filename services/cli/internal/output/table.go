package output

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// Table is rows of text under a head.
type Table struct {
	Head []string
	Rows [][]string
}

// Add adds a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Print prints a table in aligned columns.
func (p *Printer) Print(t *Table) error {
	var aligned bytes.Buffer
	w := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	if len(t.Head) > 0 {
		_, _ = fmt.Fprintln(w, strings.Join(t.Head, "\t"))
	}
	for _, row := range t.Rows {
		for i, cell := range row {
			row[i] = Clean(p.relative(cell, len(t.Head) == 0 || t.Head[0] == "FIELD"))
		}
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	head := len(t.Head) > 0
	for line := range strings.Lines(aligned.String()) {
		line = p.painted(strings.TrimRight(line, " \n"))
		if head {
			line, head = p.Colored(Strong, line), false
		}
		if _, err := fmt.Fprintln(p.Out, line); err != nil {
			return err
		}
	}
	return nil
}

// relative shows a cell that is a time as how long ago it was, or how soon it comes. Beside a single fact the time itself stays.
func (p *Printer) relative(cell string, fact bool) string {
	if !p.Relative || len(cell) != len("2026-11-21T10:00:00Z") {
		return cell
	}
	at, err := time.Parse(time.RFC3339, cell)
	if err != nil {
		return cell
	}
	if fact {
		return cell + " (" + Ago(at, time.Now()) + ")"
	}
	return Ago(at, time.Now())
}

// Ago is a time as people say it, in the largest unit that says enough: 12s ago, 3h ago, in 5m, 2d ago.
func Ago(at, now time.Time) string {
	d := now.Sub(at).Round(time.Second)
	text := rough(d.Abs())
	switch {
	case d == 0:
		return "now"
	case d < 0:
		return "in " + text
	default:
		return text + " ago"
	}
}

func rough(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
}
