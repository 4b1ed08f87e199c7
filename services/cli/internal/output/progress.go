package output

import (
	"fmt"
	"time"
)

// bar draws how far long work is, in one line of a terminal that is drawn over, and nothing anywhere else.
type Bar struct {
	*Printer
	drawn time.Time
	shown bool
}

// barPause keeps the drawing from costing more than the work.
const barPause = 100 * time.Millisecond

func (p *Printer) Progress() *Bar { return &Bar{Printer: p, drawn: time.Now()} }

func (b *Bar) Show(format string, args ...any) {
	if !b.Terminal || time.Since(b.drawn) < barPause {
		return
	}
	b.drawn, b.shown = time.Now(), true
	_, _ = fmt.Fprintf(b.Err, "\r\x1b[K%s", Clean(fmt.Sprintf(format, args...)))
}

// end wipes the line. It may be called again.
func (b *Bar) End() {
	if b.shown {
		b.shown = false
		_, _ = fmt.Fprint(b.Err, "\r\x1b[K")
	}
}
