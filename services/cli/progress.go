package cli

import (
	"fmt"
	"time"
)

// bar draws how far long work is, in one line of a terminal that is drawn over, and nothing anywhere else.
type bar struct {
	*printer
	drawn time.Time
	shown bool
}

// barPause keeps the drawing from costing more than the work.
const barPause = 100 * time.Millisecond

func (p *printer) progress() *bar { return &bar{printer: p, drawn: time.Now()} }

func (b *bar) show(format string, args ...any) {
	if !b.Terminal || time.Since(b.drawn) < barPause {
		return
	}
	b.drawn, b.shown = time.Now(), true
	_, _ = fmt.Fprintf(b.Err, "\r\x1b[K%s", clean(fmt.Sprintf(format, args...)))
}

// end wipes the line. It may be called again.
func (b *bar) end() {
	if b.shown {
		b.shown = false
		_, _ = fmt.Fprint(b.Err, "\r\x1b[K")
	}
}
