package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// mailKill kills the email-sender again and again while mails flow, each time when all its connections wait for the relay's
// answer to one step of the protocol.
type mailKill struct {
	h     *harness.System
	relay *smtptest.Server
	a     *harness.Appliance
	// ids are the recipients, each with one address.
	ids  []string
	keys []string
	// unanswered are the mails that the relay had, and that no sender learned of, by their ids.
	unanswered map[string]int
}

// burst is how many events are published before the relay falls silent, and again after.
const burst = 10

// TestNoMailIsLostWhenTheEmailSenderIsKilledAtAnyStep counts the mails: each arrives, and only those arrive twice whose data the
// relay had when the sender died, with the Message-ID they had before.
func TestNoMailIsLostWhenTheEmailSenderIsKilledAtAnyStep(t *testing.T) {
	t.Parallel()
	k := &mailKill{h: harness.Start(t, harness.Services), relay: smtptest.Start(t, smtptest.Options{}), unanswered: map[string]int{}}
	k.a = k.h.AddAppliance(t, "kill-1")
	k.h.REST.Do(t, http.MethodPatch, "/v1/settings/smtp",
		harness.Object{"host": k.relay.Host(), "port": k.relay.Port(), "encryption": "NONE", "fromAddress": "outbound@example.com"})
	k.h.REST.Do(t, http.MethodPatch, "/v1/settings/email", harness.Object{"retryInterval": "1s"})
	// A recipient has one of the four connections.
	for i := range 4 {
		k.ids = append(k.ids, k.h.AddRecipient(t, harness.Object{
			"displayName": fmt.Sprint("Mail ", i), "eventTypes": []string{"support_conference_end"},
			"email": harness.Object{"addresses": []string{mailTo(i)}},
		}))
	}
	for _, step := range []smtptest.Step{smtptest.AtEHLO, smtptest.AtMAIL, smtptest.AtRCPT, smtptest.AtDATA, smtptest.AtEnd} {
		k.strike(t, step)
	}
	k.count(t)
	k.h.Stop(t)
}

func mailTo(i int) string { return fmt.Sprintf("box%d@example.com", i) }

func (k *mailKill) publish(t *testing.T) {
	t.Helper()
	for range burst {
		e := harness.NewEvent(k.a.ID, fmt.Sprintf("kill-%03d", len(k.keys)), "support_conference_end", harness.Object{})
		publish(t, k.a, e)
		k.keys = append(k.keys, e.Key())
	}
}

// strike kills the sender at a step, and starts it again.
func (k *mailKill) strike(t *testing.T, step smtptest.Step) {
	t.Helper()
	before := len(k.relay.Mails())
	if step != smtptest.AtEHLO {
		k.publish(t)
		k.relay.Await(t, before+1)
	}
	silence := make(chan struct{})
	k.relay.Play(smtptest.Script{Stall: &smtptest.Stall{At: step, Until: silence}})
	if step == smtptest.AtEHLO {
		k.relay.Cut() // nothing is under way yet, but a connection may be
	}
	k.publish(t)
	stalled := k.relay.AwaitStalled(t, len(k.ids))
	have := k.relay.Mails()
	if step == smtptest.AtEnd {
		// The last mail on each connection has no answer.
		last := map[int]string{}
		for _, m := range have[before:] {
			last[m.Connection] = m.Header.Get("Message-Id")
		}
		for _, id := range last {
			k.unanswered[id]++
		}
		if len(last) < stalled {
			t.Fatalf("of %d connections that wait after the end of the data, %d have sent mails", stalled, len(last))
		}
	}
	// What was answered is recorded before the blow: whatever comes again now was not answered.
	answered := len(have) - len(k.unanswered)
	waittest.NoError(t, "the answered mails to be recorded", func() error {
		n := 0
		for _, id := range k.ids {
			n += k.h.REST.States(t, id)["DELIVERED"]
		}
		if n != answered {
			return fmt.Errorf("%d of %d are", n, answered)
		}
		return nil
	})
	k.h.Kill(t, "email-sender")
	k.relay.Play(smtptest.Script{})
	close(silence)
	k.relay.AwaitOpen(t, 0)
	k.h.StartPart(t, "email-sender")
	t.Logf("killed with %d connections at %s, when %d mails had arrived", stalled, step, len(have))
}

// count waits for the end of all deliveries and counts the mails.
func (k *mailKill) count(t *testing.T) {
	t.Helper()
	for _, id := range k.ids {
		waittest.NoError(t, "the deliveries of "+id+" to end", func() error {
			states, err := k.h.REST.FinalStates(t, id)
			if diff := cmp.Diff(map[string]int{"DELIVERED": len(k.keys)}, states); err == nil && diff != "" {
				return errDiff(diff)
			}
			return err
		})
	}
	type pair struct{ to, key string }
	ids, copies := map[pair]string{}, map[string]int{}
	for _, m := range k.relay.Mails() {
		p, id := pair{m.To[0], m.Header.Get("X-Outbound-Event-Id")}, m.Header.Get("Message-Id")
		if was, again := ids[p]; again && was != id {
			t.Errorf("%v has the ids %s and %s", p, was, id)
		}
		ids[p] = id
		copies[id]++
	}
	lost := 0
	for i := range k.ids {
		for _, key := range k.keys {
			if ids[pair{mailTo(i), key}] == "" {
				lost++
			}
		}
	}
	duplicates := map[string]int{}
	for id, n := range copies {
		if n > 1 {
			duplicates[id] = n - 1
		}
	}
	t.Logf("owed %d, lost %d, duplicates %d, of %d mails without an answer after the end of their data", len(k.ids)*len(k.keys), lost,
		len(duplicates), len(k.unanswered))
	if lost > 0 || len(ids) != len(k.ids)*len(k.keys) || len(copies) != len(ids) {
		t.Errorf("lost %d; %d different mails under %d ids arrived, want %d", lost, len(ids), len(copies), len(k.ids)*len(k.keys))
	}
	if diff := cmp.Diff(k.unanswered, duplicates); diff != "" || len(k.unanswered) == 0 {
		t.Errorf("mails that came again (-without an answer +came again):\n%s", diff)
	}
}
