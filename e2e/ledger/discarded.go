package ledger

import (
	"regexp"
	"strconv"
)

// discardedRecords finds in a log how many records a process that was asked to end gave up, because the broker had stored nothing for 5 s.
// What they tell of is attempted again.
var discardedRecords = regexp.MustCompile(`(?m)messages discarded.*stream["=:]+HISTORY"?,? ?"?messages["=:]+(\d+)`)

// discarded is how many records processes gave up so far, as they say themselves.
func (w *world) discarded() int {
	n := 0
	for _, name := range w.parts() {
		n += discardedIn(w.system.Output(w, name))
	}
	return n
}

func discardedIn(log string) (n int) {
	for _, m := range discardedRecords.FindAllStringSubmatch(log, -1) {
		k, _ := strconv.Atoi(m[1]) // digits
		n += k
	}
	return n
}
