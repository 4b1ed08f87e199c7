package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// ledger holds what is expected of a session beside what has arrived.
type ledger struct {
	mu      sync.Mutex
	rows    map[owed]*row
	changed chan struct{}
}

// owed is one event owed to one recipient.
type owed struct{ Recipient, EventKey string }

// row is what has happened to it so far.
type row struct {
	// Skip says that it must not arrive.
	Skip bool
	// Arrived counts how often the receiver took it, Refused how often it answered 500.
	Arrived, Refused int
}

func newLedger() *ledger {
	return &ledger{rows: map[owed]*row{}, changed: make(chan struct{})}
}

// Clear begins a new account.
func (l *ledger) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.rows)
}

// Expect notes that an event is owed to a recipient, or with skip that it must not be sent to it.
func (l *ledger) Expect(o owed, skip bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at(o).Skip = skip
}

// Note takes in an arrival.
func (l *ledger) Note(a arrival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.at(owed{a.Recipient, a.EventKey})
	if a.Refused {
		r.Refused++
	} else {
		r.Arrived++
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// Refused is how often a delivery has been refused so far.
func (l *ledger) Refused(o owed) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at(o).Refused
}

// at finds or makes a row. What arrives may be faster than the reply to its publisher, so a row can begin with either.
func (l *ledger) at(o owed) *row {
	r := l.rows[o]
	if r == nil {
		r = &row{}
		l.rows[o] = r
	}
	return r
}

// Await returns once done says so of the ledger, or when ctx or the time given ends.
func (l *ledger) Await(ctx context.Context, most time.Duration, done func(map[owed]*row) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		l.mu.Lock()
		ok, changed := done(l.rows), l.changed
		l.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// touched reports whether every delivery of an event was taken or refused once.
func touched(eventKey string) func(map[owed]*row) bool {
	return func(rows map[owed]*row) bool {
		for o, r := range rows {
			if o.EventKey == eventKey && !r.Skip && r.Arrived+r.Refused == 0 {
				return false
			}
		}
		return true
	}
}

// complete reports whether everything owed has arrived.
func complete(rows map[owed]*row) bool {
	for _, r := range rows {
		if !r.Skip && r.Arrived == 0 {
			return false
		}
	}
	return true
}

// total is the sum of a recipient's rows.
type total struct {
	Expected, Arrived, Repeated, Refused, Skipped int
}

// Total sums up a recipient.
func (l *ledger) Total(recipient string) total {
	l.mu.Lock()
	defer l.mu.Unlock()
	var t total
	for o, r := range l.rows {
		if o.Recipient != recipient {
			continue
		}
		if r.Skip {
			t.Skipped++
		} else {
			t.Expected++
		}
		t.Arrived += min(r.Arrived, 1)
		t.Repeated += max(r.Arrived-1, 0)
		t.Refused += r.Refused
	}
	return t
}

// Faults names what is missing, what came unasked and what came more than once, in a fixed order.
func (l *ledger) Faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for o, r := range l.rows {
		switch {
		case r.Skip && r.Arrived > 0:
			out = append(out, fmt.Sprintf("%s received %s unexpectedly", o.Recipient, o.EventKey))
		case !r.Skip && r.Arrived == 0:
			out = append(out, fmt.Sprintf("%s did not receive %s", o.Recipient, o.EventKey))
		case r.Arrived > 1:
			out = append(out, fmt.Sprintf("%s received %s %d times", o.Recipient, o.EventKey, r.Arrived))
		}
	}
	slices.SortFunc(out, strings.Compare)
	return out
}
