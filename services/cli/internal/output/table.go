package output

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"
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
			row[i] = Clean(cell)
		}
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(aligned.String()) {
		if _, err := fmt.Fprintln(p.Out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}
