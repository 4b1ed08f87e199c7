package cli

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"
)

// table is rows of text under a head.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (p *printer) print(t *table) error {
	var aligned bytes.Buffer
	w := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	if len(t.head) > 0 {
		_, _ = fmt.Fprintln(w, strings.Join(t.head, "\t"))
	}
	for _, row := range t.rows {
		for i, cell := range row {
			row[i] = clean(cell)
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
