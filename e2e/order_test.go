package e2e_test

import (
	"fmt"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// TestStrictOrderOutlivesKilledSenders has two recipients that want the order kept, each event failing once, and kills both senders
// in the middle of an attempt for each: no recipient may see an event after a later one, and nothing may be lost.
func TestStrictOrderOutlivesKilledSenders(t *testing.T) {
	t.Parallel()
	const n = 60
	h := harness.Start(t, harness.Services)
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "order-1")
	names := []string{"order-a", "order-b"}
	var ids []string
	for _, name := range names {
		site.Answer(name, 500, 200)
		ids = append(ids, h.AddRecipient(t, webhook(name, site.URL(name), []string{ended},
			harness.Object{"retryInterval": "0.1s", "order": "STRICT"})))
	}
	keys := publishMany(t, a, "order", n)
	var release []func()
	for _, name := range names {
		arrived(t, site, name, n/4)
		release = append(release, site.Hold(name))
		waittest.NoError(t, name+" to hold an attempt", func() error {
			if got := site.Of(name); got[len(got)-1].Status != harness.Held {
				return fmt.Errorf("%d receipts, none held", len(got))
			}
			return nil
		})
	}
	h.Kill(t, "http-sender-1")
	h.Kill(t, "http-sender-2")
	for _, f := range release {
		f()
	}
	h.StartAll(t)
	settled(t, h, ids, map[string]int{"DELIVERED": n})
	for _, name := range names {
		inOrder(t, site.Of(name), keys)
	}
	account := site.Account(keys, names)
	t.Logf("%v", account)
	if account.Arrived != len(names)*n || len(account.Lost)+len(account.Phantom)+len(account.Changed) > 0 || account.Duplicates > len(names) {
		t.Errorf("%v; one repeat for each recipient is promised at most", account)
	}
	h.Stop(t)
}

// inOrder checks that no request came after one of a later event.
func inOrder(t *testing.T, got []harness.Receipt, keys []string) {
	t.Helper()
	place := map[string]int{}
	for i, k := range keys {
		place[k] = i
	}
	at, held := 0, 0
	for i, r := range got {
		if r.Status == harness.Held {
			held++
		}
		if place[r.ID] < at {
			t.Fatalf("%s: request %d is of %s, after one of %s", r.Recipient, i+1, r.ID, keys[at])
		}
		at = place[r.ID]
	}
	if held == 0 || at != len(keys)-1 {
		t.Errorf("%d attempts were held and %s came last: the test did not happen", held, keys[at])
	}
}
