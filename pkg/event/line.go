package event

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Line writes one JSON object, field by field. It writes what encoding/json would, at a fraction of its cost: a record is
// written for each event and each attempt.
type Line struct {
	buf []byte
	err error
}

// NewLine begins an object in a buffer with room for size bytes.
func NewLine(size int) *Line { return &Line{buf: append(make([]byte, 0, size), '{')} }

// End ends the object and gives it, or the first field that could not be written.
func (l *Line) End() ([]byte, error) { return append(l.buf, '}'), l.err }

// name begins a field. Names are ours and need no escapes.
func (l *Line) name(name string) {
	if len(l.buf) > 1 {
		l.buf = append(l.buf, ',')
	}
	l.buf = append(append(append(l.buf, '"'), name...), '"', ':')
}

// Text writes a text.
func (l *Line) Text(name, value string) {
	l.name(name)
	if plainText(value) {
		l.buf = append(append(append(l.buf, '"'), value...), '"')
		return
	}
	l.any(name, value)
}

// TextIf writes a text unless it is empty.
func (l *Line) TextIf(name, value string) {
	if value != "" {
		l.Text(name, value)
	}
}

// Flag writes a truth.
func (l *Line) Flag(name string, value bool) {
	l.name(name)
	if value {
		l.buf = append(l.buf, "true"...)
	} else {
		l.buf = append(l.buf, "false"...)
	}
}

// FlagIf writes a truth unless it is false.
func (l *Line) FlagIf(name string, value bool) {
	if value {
		l.Flag(name, true)
	}
}

// Int writes a number.
func (l *Line) Int(name string, value int64) {
	l.name(name)
	l.buf = strconv.AppendInt(l.buf, value, 10)
}

// IntIf writes a number unless it is 0.
func (l *Line) IntIf(name string, value int64) {
	if value != 0 {
		l.Int(name, value)
	}
}

// Uint writes a number.
func (l *Line) Uint(name string, value uint64) {
	l.name(name)
	l.buf = strconv.AppendUint(l.buf, value, 10)
}

// UintIf writes a number unless it is 0.
func (l *Line) UintIf(name string, value uint64) {
	if value != 0 {
		l.Uint(name, value)
	}
}

// Time writes a time.
func (l *Line) Time(name string, value time.Time) {
	l.name(name)
	// encoding/json refuses years and zones that RFC 3339 can't tell.
	if _, offset := value.Zone(); value.Year() < 0 || value.Year() > 9999 || max(offset, -offset) >= 24*60*60 {
		l.any(name, value)
		return
	}
	l.buf = append(value.AppendFormat(append(l.buf, '"'), time.RFC3339Nano), '"')
}

// TimeIf writes a time unless there is none.
func (l *Line) TimeIf(name string, value *time.Time) {
	if value != nil {
		l.Time(name, *value)
	}
}

// Any writes what the other calls can't.
func (l *Line) Any(name string, value any) {
	l.name(name)
	l.any(name, value)
}

func (l *Line) any(name string, value any) {
	raw, err := json.Marshal(value)
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("write %s: %w", name, err)
	}
	l.buf = append(l.buf, raw...)
}

// plainText reports whether a text stands for itself in JSON as encoding/json writes it.
func plainText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}
