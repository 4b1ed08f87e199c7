package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// screen writes the account. Lines of several goroutines do not mix.
type screen struct {
	mu     sync.Mutex
	out    io.Writer
	colour bool
}

// ink is a colour of the terminal, as its escape code takes it.
type ink string

// The inks.
const (
	plain  ink = ""
	bold   ink = "1"
	faint  ink = "2"
	red    ink = "31"
	green  ink = "32"
	yellow ink = "33"
	cyan   ink = "36"
)

// in is text in an ink, or just the text where there is no colour.
func (s *screen) in(c ink, text string) string {
	if !s.colour || c == plain {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// Line writes one line.
func (s *screen) Line(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A terminal that is gone ends the program by itself; there is nothing to do about it here.
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}

// Title begins a section.
func (s *screen) Title(text string) { s.Line("\n%s", s.in(bold, text)) }

// Happening is a line of what happens at the appliance: when, which event.
func (s *screen) Happening(at time.Time, says, eventType string) {
	s.Line("%s  %s  %s", s.in(faint, at.Format("15:04:05.000")), says, s.in(cyan, eventType))
}

// To prints what a recipient received, with an optional second line.
func (s *screen) To(recipient string, c ink, mark, text, more string) {
	line := fmt.Sprintf("      → %s %s %s", column(recipient), s.in(c, mark), text)
	if more != "" {
		line += "\n" + strings.Repeat(" ", nameWidth+11) + s.in(faint, short(more, moreWidth))
	}
	s.Line("%s", line)
}

// moreWidth keeps a second line within a terminal of 100 columns.
const moreWidth = 76

// nameWidth is the column of recipients; the longest has 12 characters.
const nameWidth = 12

// column fills a recipient's name with blanks up to the width of its column.
func column(name string) string {
	return name + strings.Repeat(" ", max(0, nameWidth-len(name)))
}

// short cuts text to a width in characters.
func short(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}
