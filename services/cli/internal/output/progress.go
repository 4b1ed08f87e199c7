package output

import (
	"fmt"
	"time"
)

// Bar shows the progress of work in one line of a terminal that is overwritten. Without a terminal it shows nothing.
type Bar struct {
	printer *Printer
	drawn   time.Time
	shown   bool
}

// barPause is the least time between two drawings.
const barPause = 100 * time.Millisecond

// Progress returns a progress bar.
func (p *Printer) Progress() *Bar { return &Bar{printer: p, drawn: time.Now()} }

// Show draws the line, unless it was drawn a moment ago.
func (b *Bar) Show(format string, args ...any) {
	if !b.printer.Terminal || time.Since(b.drawn) < barPause {
		return
	}
	b.drawn, b.shown = time.Now(), true
	_, _ = fmt.Fprintf(b.printer.Err, "\r\x1b[K%s", Clean(fmt.Sprintf(format, args...)))
}

// End clears the line. It may be called again.
func (b *Bar) End() {
	if b.shown {
		b.shown = false
		_, _ = fmt.Fprint(b.printer.Err, "\r\x1b[K")
	}
}
