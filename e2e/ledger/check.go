package ledger

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Kinds of findings.
const (
	// Lost is an accepted event without a final state at a matching recipient, with one that the plan does not explain, or recorded as
	// delivered although the receiver never accepted it.
	Lost = "lost"
	// Phantom was received or recorded although nobody published it, it was refused, or the recipient does not match.
	Phantom = "phantom"
	// Changed is a body that differs from an earlier one of the same delivery, or from what was published.
	Changed = "changed"
	// Sum is a delivery that is listed twice, still open, or counted otherwise than it happened.
	Sum = "sum"
	// Intake is a valid event that was refused, an invalid one that was accepted, or one accepted twice as new.
	Intake = "intake"
	// Number is a delivery without a number, a number that is missing, or one that two events have.
	Number = "number"
	// Promise is a fault that caused more duplicates or took longer to recover from than is promised.
	Promise = "promise"
	// Stopped is a round that could not go on.
	Stopped = "stopped"
)

// Finding is one thing that is wrong.
type Finding struct {
	Kind   string `json:"kind"`
	Round  string `json:"round"`
	What   string `json:"what"`
	During string `json:"during,omitempty"`
}

// causes of duplicates that are not faults.
const (
	causeTimeout = "client timeout"
	causeNone    = "no known cause"
)

// checker joins the journals of one round.
type checker struct {
	round string
	plan  roundPlan

	published []published
	received  []received
	faults    []struck
	finals    map[[2]string]final
	handed    []handed
	// ended says that there are final states.
	ended bool

	// accepted and unknown events by key.
	accepted, unknown map[string]event
	report            RoundReport
	// examples are the duplicates in words, by cause.
	examples map[string][]string
}

// checkRound joins the journals in the folder of a round.
func checkRound(dir string) (RoundReport, error) {
	c := checker{round: filepath.Base(dir), finals: map[[2]string]final{}, accepted: map[string]event{}, unknown: map[string]event{},
		examples: map[string][]string{}}
	if err := c.read(dir); err != nil {
		return RoundReport{}, err
	}
	c.report = RoundReport{Name: c.round, Shape: string(c.plan.Shape), Duplicates: map[string]int{}, States: map[string]int{}}
	c.intake()
	received := c.receipts()
	if c.ended {
		c.states(received)
	} else {
		c.find(Stopped, "", "the round did not get as far as the final states")
	}
	c.numbers()
	c.promises()
	c.handedOut()
	return c.report, nil
}

func (c *checker) read(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, planFile))
	if err == nil {
		err = json.Unmarshal(raw, &c.plan)
	}
	if err != nil {
		return fmt.Errorf("read the plan of a round: %w", err)
	}
	if c.published, err = readJournal[published](dir, publishedFile); err != nil {
		return err
	}
	if c.received, err = readJournal[received](dir, receivedFile); err != nil {
		return err
	}
	mailed, err := readJournal[received](dir, mailedFile)
	if err != nil {
		return err
	}
	c.received = append(c.received, mailed...)
	slices.SortStableFunc(c.received, func(a, b received) int { return a.Time.Compare(b.Time) })
	if c.faults, err = readJournal[struck](dir, faultsFile); err != nil {
		return err
	}
	if c.handed, err = readJournal[handed](dir, handedFile); err != nil {
		return err
	}
	finals, err := readJournal[final](dir, finalFile)
	c.ended = len(finals) > 0
	for _, f := range finals {
		c.finals[[2]string{f.Recipient, f.Key}] = f
	}
	return err
}

func (c *checker) find(kind, during, format string, args ...any) {
	c.report.Findings = append(c.report.Findings, Finding{Kind: kind, Round: c.round, What: fmt.Sprintf(format, args...), During: during})
}

// intake sorts the events by what the publisher was answered.
func (c *checker) intake() {
	began, asNew := map[string]event{}, map[string]int{}
	for _, p := range c.published {
		key := p.Event.Key()
		switch p.Result {
		case resultTry:
			began[key] = p.Event
		case resultAccepted:
			c.accepted[key] = p.Event
			if p.Event.Invalid != "" {
				c.find(Intake, "", "%s was accepted although it is invalid: %s", key, p.Event.Invalid)
			}
			if p.Detail != "" {
				c.find(Intake, "", "%s was %s", key, p.Detail)
			}
			if !p.Duplicate {
				asNew[key]++
			}
		case resultRefused:
			delete(began, key)
			switch {
			case p.Event.Invalid != "":
				c.report.Refused++
			case strings.Contains(c.during(p.Time), earlierVersion):
				// What an earlier version refuses is not this one's fault.
			default:
				c.find(Intake, c.during(p.Time), "%s (%s) was refused although it is valid: %s", key, p.Event.Odd, p.Detail)
			}
		}
	}
	for key, e := range began {
		if _, ok := c.accepted[key]; !ok {
			c.unknown[key] = e
		}
	}
	for key, n := range asNew {
		if n > 1 {
			c.find(Intake, "", "%s was accepted %d times as new", key, n)
		}
	}
	c.report.Accepted, c.report.Unknown = len(c.accepted), len(c.unknown)
}

// deliveryID is one delivery; of an email, at one address.
type deliveryID struct{ recipient, address, key string }

// receipt is what a receiver knows about a delivery.
type receipt struct {
	requests  int
	succeeded time.Time
	gone      bool
	// again are the requests after the success.
	again []time.Time
	body  string
}

// receipts goes through what was received: phantoms, changed bodies, duplicates.
func (c *checker) receipts() map[deliveryID]*receipt {
	out := map[deliveryID]*receipt{}
	byName := map[string]profile{}
	for _, p := range profiles() {
		byName[p.name] = p
	}
	for _, g := range c.received {
		id := deliveryID{g.Recipient, g.Address, g.Key}
		r, ok := out[id]
		if !ok {
			r = &receipt{body: g.Body}
			out[id] = r
		}
		if g.Gone {
			r.gone = true
			continue
		}
		r.requests++
		c.report.Requests++
		c.content(g, r, byName[g.Recipient])
		if !r.succeeded.IsZero() {
			r.again = append(r.again, g.Time)
		}
		if g.Success && r.succeeded.IsZero() {
			r.succeeded = g.Time
		}
	}
	for id, r := range out {
		for _, again := range r.again {
			c.duplicate(id, r, again)
		}
	}
	return out
}

// content compares a request with what was published.
func (c *checker) content(g received, r *receipt, p profile) {
	e, ok := c.accepted[g.Key]
	if !ok {
		e, ok = c.unknown[g.Key]
	}
	want := p.want(c.plan.Seed, e)
	switch {
	case !ok:
		c.find(Phantom, c.during(g.Time), "%s got %q, which was not accepted", g.Recipient, g.Key)
	case len(want) == 0 || want[0] == skipped:
		c.find(Phantom, c.during(g.Time), "%s got %s, which it does not select", g.Recipient, g.Key)
	case g.Content != e.Content:
		c.find(Changed, c.during(g.Time), "%s got %s with the content %s instead of %s", g.Recipient, g.Key, g.Content, e.Content)
	case g.Body != r.body:
		c.find(Changed, c.during(g.Time), "%s got %s in try %d with another body than before", g.Recipient, g.Key, g.Try)
	}
}

// duplicate counts a request after a success, by its cause. A sender that recorded as many attempts as there were requests knows of the
// successful one as a failure: its answer did not come in time, whatever else happened then.
func (c *checker) duplicate(id deliveryID, r *receipt, again time.Time) {
	attempts := c.finals[[2]string{id.recipient, id.key}].Attempts
	cause := causeTimeout
	if attempts < r.requests {
		cause = c.cause(r.succeeded, again)
	}
	if cause == "" && r.gone {
		cause = causeTimeout
	}
	if cause == "" {
		cause = causeNone
		c.find(Promise, "", "%s got %s again %v after it had accepted it, and no fault explains that", id.recipient, id.key,
			again.Sub(r.succeeded).Round(time.Millisecond))
	}
	c.report.Duplicates[cause]++
	c.examples[cause] = append(c.examples[cause], fmt.Sprintf("%s got %s at %s and %v later; %d requests, %d attempts recorded",
		id.recipient, id.key, r.succeeded.Format(time.TimeOnly), again.Sub(r.succeeded).Round(time.Millisecond), r.requests, attempts))
}

// cause is the step that explains why a delivery that succeeded was made again: one that was going on at that time, one that began between,
// or one that had just ended; empty: none.
func (c *checker) cause(succeeded, again time.Time) string {
	within := func(f struck) bool { return !succeeded.Before(f.Began) && !succeeded.After(f.Ended) }
	between := func(f struck) bool { return f.Began.After(succeeded) && f.Began.Before(again) }
	ended := func(f struck) bool { return succeeded.After(f.Ended) && succeeded.Before(f.Ended.Add(after)) }
	for _, explains := range []func(struck) bool{within, between, ended} {
		if i := slices.IndexFunc(c.faults, explains); i >= 0 {
			return strings.Join(c.faults[i].Faults, " + ")
		}
	}
	return ""
}

// Margins around a step for what is said to have happened during it.
const (
	before = time.Second
	after  = 5 * time.Second
)

// during is the step of faults that a time falls into; empty: none.
func (c *checker) during(t time.Time) string {
	for _, f := range c.faults {
		if t.After(f.Began.Add(-before)) && t.Before(f.Ended.Add(after)) {
			return strings.Join(f.Faults, " + ")
		}
	}
	return ""
}

// states compares the final states with what each event must come to at each recipient.
func (c *checker) states(got map[deliveryID]*receipt) {
	for _, p := range profiles() {
		owed := 0
		for key, e := range c.accepted {
			want := c.want(p, e)
			f, listed := c.finals[[2]string{p.name, key}]
			switch {
			case len(want) == 0 && listed:
				c.find(Phantom, "", "%s has a delivery of %s, which it does not select: %s", p.name, key, f.State)
			case len(want) > 0:
				owed++
				c.state(p, e, want, f, got)
			}
		}
		finals := 0
		for id, f := range c.finals {
			if id[0] != p.name {
				continue
			}
			_, accepted := c.accepted[f.Key]
			if _, unknown := c.unknown[f.Key]; !accepted && !unknown {
				c.find(Phantom, "", "%s has a delivery of %q, which was not accepted: %s", p.name, f.Key, f.State)
			}
			if accepted && isFinal(f.State) {
				finals++
			}
		}
		c.report.Owed += owed
		if finals != owed {
			c.find(Sum, "", "%s is owed %d deliveries and has %d final states", p.name, owed, finals)
		}
	}
}

// want is what an event may come to. When EVENTS is full, the oldest deliveries of whoever pins it are cancelled; when its store is
// damaged, those whose events are gone.
func (c *checker) want(p profile, e event) []string {
	want := p.want(c.plan.Seed, e)
	if len(want) > 0 && c.plan.has([]string{eventsFull, diskFull, damagedStore}) {
		want = append(want, cancelled)
	}
	return want
}

// eventLost is the reason of deliveries whose events a repair found missing.
const eventLost = "event_lost"

func isFinal(state string) bool {
	return slices.Contains([]string{delivered, expired, skipped, "REJECTED", cancelled}, state)
}

// state checks one delivery.
func (c *checker) state(p profile, e event, want []string, f final, got map[deliveryID]*receipt) {
	addresses := p.mail
	if addresses == nil {
		addresses = []string{""}
	}
	requests, accepted := 0, true
	for _, a := range addresses {
		r := got[deliveryID{p.name, a, e.Key()}]
		accepted = accepted && r != nil && !r.succeeded.IsZero()
		if r != nil {
			requests += r.requests
		}
	}
	c.report.States[f.State]++
	switch {
	case f.Listed > 1:
		c.find(Sum, "", "%s/%s is listed %d times", p.name, e.Key(), f.Listed)
	case f.State == "" && accepted:
		c.find(Sum, "", "%s/%s was accepted by its receiver and has no record", p.name, e.Key())
	case f.State == "":
		c.find(Lost, c.acceptedDuring(e), "%s/%s was neither received nor recorded; %d requests", p.name, e.Key(), requests)
	case !isFinal(f.State) && accepted:
		c.find(Sum, "", "%s/%s was accepted by its receiver and is still %s", p.name, e.Key(), f.State)
	case !isFinal(f.State):
		c.find(Lost, c.acceptedDuring(e), "%s/%s is still %s (%s)", p.name, e.Key(), f.State, f.Reason)
	case !slices.Contains(want, f.State):
		c.find(Lost, c.acceptedDuring(e), "%s/%s is %s (%s) and must be %s", p.name, e.Key(), f.State, f.Reason, strings.Join(want, " or "))
	case f.State == cancelled && f.Reason != eventLost && !c.plan.has([]string{eventsFull, diskFull}):
		c.find(Lost, c.acceptedDuring(e), "%s/%s is CANCELLED (%s) and nothing explains that", p.name, e.Key(), f.Reason)
	case f.State == delivered && !accepted:
		c.find(Lost, c.acceptedDuring(e), "%s/%s is DELIVERED, and its receiver never accepted it; %d requests", p.name, e.Key(), requests)
	case f.State == expired && requests == 0:
		c.find(Lost, c.acceptedDuring(e), "%s/%s is EXPIRED (%s) without one attempt", p.name, e.Key(), f.Reason)
	case f.State == delivered:
		c.report.Delivered++
	}
}

// acceptedDuring is the step that an event was published in.
func (c *checker) acceptedDuring(e event) string {
	for _, p := range c.published {
		if p.Result == resultAccepted && p.Event.Key() == e.Key() {
			return c.during(p.Time)
		}
	}
	return ""
}
