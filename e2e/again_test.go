package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// triesAgain has a receiver hang, then answer 500 twice and then 200: the event must arrive on the fourth try, each a retry interval
// after the one before, and neighbours must not wait for it: the receiver hangs until they have all of theirs.
func triesAgain(t *testing.T, h *harness.System) {
	const sick, healthy, others = "support_conference_begin", "support_conference_end", 40
	const interval = 2 * time.Second
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "again-1")
	site.Answer("sick", 500, 500, 500, 200)
	release := site.Hold("sick")
	add := func(name string, types ...string) string {
		r := webhook("Again "+name, site.URL(name), types, harness.Object{"retryInterval": "2s", "timeout": "30s"})
		r["appliances"] = []string{a.ID}
		return h.AddRecipient(t, r)
	}
	ids := []string{add("sick", sick), add("neighbour", sick, healthy)}
	e := harness.NewEvent(a.ID, "stuck", sick, harness.Object{})
	publish(t, a, e)
	for i := range others {
		publish(t, a, harness.NewEvent(a.ID, fmt.Sprint("other-", i), healthy, harness.Object{}))
	}
	settled(t, h, ids[1:], map[string]int{"DELIVERED": others + 1})
	if got := site.Of("sick"); len(got) > 1 {
		t.Errorf("the one that hangs was tried %d times, its neighbours waited for it", len(got))
	}
	waittest.Until(t, "the one that hangs to be tried", func() bool { return len(site.Of("sick")) == 1 })
	release()
	settled(t, h, ids[:1], map[string]int{"DELIVERED": 1})

	tries := site.Of("sick")
	var answers []int
	for i, r := range tries {
		answers = append(answers, r.Status)
		if r.ID != e.Key() || r.Hash != tries[0].Hash {
			t.Errorf("try %d is %s with body %s, want %s with %s", i+1, r.ID, r.Hash, e.Key(), tries[0].Hash)
		}
		if i == 0 {
			continue
		}
		// The wait varies by 10 %; a loaded machine may add to it, but nothing may shorten it.
		if gap := r.Time.Sub(tries[i-1].Time); gap < interval*85/100 {
			t.Errorf("try %d came %v after the one before, want %v or more", i+1, gap, interval)
		}
	}
	if diff := cmp.Diff([]int{harness.Held, 500, 500, 200}, answers); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if n := len(site.Of("neighbour")); n != others+1 {
		t.Errorf("the neighbour got %d requests, want %d", n, others+1)
	}
	d := delivery(t, h, ids[0], e.Key())
	if d["attempts"] != float64(4) || d["state"] != "DELIVERED" || d["firstAttemptTime"] == d["lastAttemptTime"] {
		t.Errorf("the delivery reads %v", d)
	}
}

// delivery reads one delivery.
func delivery(t *testing.T, h *harness.System, recipient, key string) harness.Object {
	t.Helper()
	q := url.Values{"recipient_id": {recipient}, "event_id": {key}}
	list, _ := h.REST.Do(t, http.MethodGet, "/v1/deliveries?"+q.Encode(), nil)["deliveries"].([]any)
	if len(list) != 1 {
		t.Fatalf("%d deliveries of %s to %s", len(list), key, recipient)
	}
	return list[0].(harness.Object)
}

// changesAct changes a recipient while events come: each change must act on events that come 5 s later at the latest.
func changesAct(t *testing.T, h *harness.System) {
	const kind = "support_conference_end"
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "changes-1")
	r := webhook("Changes", site.URL("before"), []string{kind}, harness.Object{"retryInterval": "1s"})
	r["appliances"] = []string{a.ID}
	id := h.AddRecipient(t, r)
	sent := 0
	probe := func(what string, acted func(key string) bool) {
		t.Helper()
		waittest.NoError(t, what, func() error {
			sent++
			e := harness.NewEvent(a.ID, fmt.Sprint("probe-", sent), kind, harness.Object{})
			publish(t, a, e)
			if !acted(e.Key()) {
				return fmt.Errorf("event %s did not show it", e.Key())
			}
			return nil
		})
	}
	state := func(key, want string) bool {
		var got any
		waittest.NoError(t, "an attempt of "+key, func() error {
			list, _ := h.REST.Do(t, http.MethodGet, "/v1/deliveries?recipient_id="+id+"&event_id="+url.QueryEscape(key), nil)["deliveries"].([]any)
			if len(list) != 1 {
				return fmt.Errorf("%d deliveries", len(list))
			}
			if got = list[0].(harness.Object)["state"]; got == "WAITING" {
				return fmt.Errorf("it is %v", got)
			}
			return nil
		})
		return got == want
	}
	path := "/v1/recipients/" + id
	probe("events to arrive", func(key string) bool { return state(key, "DELIVERED") && site.Distinct("before") > 0 })
	h.REST.Do(t, http.MethodPatch, path, harness.Object{"enabled": false})
	probe("events to be skipped", func(key string) bool { return state(key, "SKIPPED") })
	h.REST.Do(t, http.MethodPatch, path, harness.Object{"enabled": true, "http": harness.Object{"url": site.URL("after")}})
	probe("events to go elsewhere", func(key string) bool { return state(key, "DELIVERED") && site.Distinct("after") > 0 })

	site.Answer("after", 500)
	probe("events to fail", func(key string) bool { return state(key, "RETRYING") })
	h.REST.Do(t, http.MethodDelete, path, nil)
	waittest.NoError(t, "what waited to be cancelled", func() error {
		states := h.REST.States(t, id)
		sum := 0
		for _, n := range states {
			sum += n
		}
		if states["CANCELLED"] == 0 || states["RETRYING"]+states["WAITING"] > 0 || sum != sent {
			return fmt.Errorf("%d events, states %v", sent, states)
		}
		return nil
	})
}
