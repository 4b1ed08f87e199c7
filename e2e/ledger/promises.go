package ledger

import (
	"strings"
	"time"
)

// shownDuplicates is how many duplicates a broken promise shows.
const shownDuplicates = 5

// promises compares each step with what its faults promise. A record that a process said it gave up may cause one duplicate.
func (c *checker) promises() {
	by := map[string]int{}
	for cause, n := range c.report.Duplicates {
		by[cause] = n
	}
	steps, discarded := map[string]int{}, map[string]int{}
	for _, f := range c.faults {
		name := strings.Join(f.Faults, " + ")
		steps[name]++
		discarded[name] += f.Discarded
	}
	for _, f := range c.faults {
		name := strings.Join(f.Faults, " + ")
		allowed, within := 0, time.Duration(0)
		for _, one := range f.Faults {
			entry, err := find(one)
			if err != nil {
				continue
			}
			allowed, within = allowed+entry.duplicates, max(within, entry.recovery)
		}
		c.report.Steps = append(c.report.Steps, StepReport{Name: name, Detail: strings.Join(f.Detail, "; "),
			Lasted: f.Mended.Sub(f.Began), Recovery: f.Recovery, Within: within, Allowed: allowed,
			StartedAgain: f.StartedAgain})
		if f.Failed != "" {
			c.find(Promise, name, "did not recover: %s", f.Failed)
		} else if f.Recovery > within && !c.plan.Untimed {
			c.find(Promise, name, "a fresh event was delivered %v after the end of the fault; %v is promised",
				f.Recovery.Round(time.Millisecond), within)
		}
		if n, most := by[name], allowed*steps[name]+discarded[name]; n > most {
			c.find(Promise, name, "caused %d duplicates; at most %d are promised: %s", n, most,
				strings.Join(c.examples[name][:min(n, shownDuplicates)], "; "))
			delete(by, name)
		}
	}
}

// A broker hands out a delivery once for each attempt, and again for what was held, not due, or under way in a fault. More than
// handedFactor times the attempts, above handedFree, is a message that comes back without a delay.
const (
	handedFactor = 4
	handedFree   = 2000
)

// handedOut compares how often the broker handed out deliveries with how often they were attempted.
func (c *checker) handedOut() {
	requests := map[string]int{}
	for _, g := range c.received {
		if !g.Gone {
			requests[g.Recipient]++
		}
	}
	owed := map[string]int{}
	for id := range c.finals {
		owed[id[0]]++
	}
	for _, h := range c.handed {
		attempts := max(requests[h.Recipient], owed[h.Recipient])
		if h.Times > handedFactor*attempts+handedFree {
			c.find(Promise, "", "the broker handed out deliveries to %s %d times for %d attempts", h.Recipient, h.Times, attempts)
		}
	}
}
