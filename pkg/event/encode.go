package event

import (
	"bytes"
	"time"
)

// WithTime gives the event a time if it has none, in its Raw too, so that what is stored says when. An event that has a time
// is returned as it is. Times are in UTC, to the millisecond.
func (e *Event) WithTime(now time.Time) *Event {
	if !e.Time.IsZero() {
		return e
	}
	dated := *e
	dated.Time = now.UTC().Truncate(time.Millisecond)
	stamp := `"` + dated.Time.Format("2006-01-02T15:04:05.000Z07:00") + `"`
	if from, to, ok := timeSpan(e.Raw); ok {
		dated.Raw = slicesJoin(e.Raw[:from], stamp, e.Raw[to:])
	} else if brace := bytes.IndexByte(e.Raw, '{'); brace >= 0 {
		dated.Raw = slicesJoin(e.Raw[:brace+1], `"time":`+stamp+`,`, e.Raw[brace+1:])
	}
	return &dated
}

func slicesJoin(head []byte, middle string, tail []byte) []byte {
	out := make([]byte, 0, len(head)+len(middle)+len(tail))
	return append(append(append(out, head...), middle...), tail...)
}

// timeSpan finds the value of a time that is there but null.
func timeSpan(raw []byte) (from, to int, ok bool) {
	s := scanner{text: string(raw), twice: func(string) {}}
	if s.peek() != kindObject {
		return 0, 0, false
	}
	s.object(func(name string) bool {
		k := s.peek()
		begin := s.at
		if !s.skip(k) {
			return false
		}
		if name == "time" {
			from, to, ok = begin, s.at, true
		}
		return true
	})
	return from, to, ok
}
