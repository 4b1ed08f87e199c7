package ledger

import (
	"path/filepath"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// PlanOf is the plan of a run on a machine that has all that faults need.
func PlanOf(s Settings) any {
	return plan(s, func(fault, harness.Shape) bool { return true })
}

// FaultNames are the names in the table.
func FaultNames() (out []string) {
	for _, f := range table() {
		out = append(out, f.name)
	}
	return out
}

// Story is a round that is written by hand.
type Story struct {
	Dir string
	err error
}

// Tell writes the plan of a round of an all-in-one.
func Tell(dir string) *Story {
	at := filepath.Join(dir, "round-01-allinone")
	return &Story{Dir: at, err: writePlan(at, roundPlan{Number: 1, Shape: harness.AllInOne, Seed: 7})}
}

// Err is the first error in telling.
func (s *Story) Err() error { return s.err }

func (s *Story) add(name string, entry any) {
	j, err := openJournal(s.Dir, name)
	if err == nil {
		err = j.add(entry)
		j.close()
	}
	if s.err == nil {
		s.err = err
	}
}

// Event publishes an event of a type that steady, slow and flaky select, filters and dooms do not.
func (s *Story) Event(id, result string) {
	e := event{ID: id, Appliance: "ledger-3", Type: begins, Content: hash(id)}
	s.add(publishedFile, published{Result: resultTry, Event: e})
	s.add(publishedFile, published{Result: result, Event: e})
}

// Receive has a receiver get it.
func (s *Story) Receive(recipient, id, body string, success bool) {
	s.add(receivedFile, received{Time: time.Unix(1, 0), Recipient: recipient, Key: "ledger-3~" + id, Body: body, Content: hash(id),
		Success: success})
}

// Alter has a receiver get other content.
func (s *Story) Alter(recipient, id string) {
	s.add(receivedFile, received{Time: time.Unix(1, 0), Recipient: recipient, Key: "ledger-3~" + id, Body: "b", Content: hash("other"),
		Success: true})
}

// Final records a final state.
func (s *Story) Final(recipient, id, state string) { s.Attempted(recipient, id, state, 0) }

// Attempted records a final state and a number of attempts.
func (s *Story) Attempted(recipient, id, state string, attempts int) {
	s.add(finalFile, final{Recipient: recipient, Key: "ledger-3~" + id, State: state, Listed: 1, Attempts: attempts})
}

// Numbered has a receiver be told a number, which is recorded too.
func (s *Story) Numbered(recipient, id, told, recorded string) {
	s.add(receivedFile, received{Time: time.Unix(1, 0), Recipient: recipient, Key: "ledger-3~" + id, Body: "b", Content: hash(id),
		Success: true, Number: told})
	s.add(finalFile, final{Recipient: recipient, Key: "ledger-3~" + id, State: "DELIVERED", Listed: 1, Number: recorded})
}

// Restart is an orderly restart while everything is received. It takes a minute and more until a fresh event is delivered.
func (s *Story) Restart(discarded int) {
	s.add(faultsFile, struck{Step: 1, Faults: []string{"restart all-in-one"}, Began: time.Unix(0, 0), Mended: time.Unix(1, 0),
		Ended: time.Unix(62, 0), Recovery: 59 * time.Second, Discarded: discarded})
}

// DiscardedIn is how many records a log says were given up.
func DiscardedIn(log string) int { return discardedIn(log) }

// Selecting are the recipients that select the events of a story.
func Selecting() (out []string) {
	e := event{ID: "any", Appliance: "ledger-3", Type: begins}
	for _, p := range profiles() {
		if len(p.want(7, e)) > 0 {
			out = append(out, p.name)
		}
	}
	return out
}
