package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// replays has deliveries expire, sends them again as a replay and to another recipient, and gives a new recipient what it missed.
func replays(t *testing.T, h *harness.System) {
	const n = 60
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "replays-1")
	add := func(name string, over harness.Object) string {
		r := webhook("Replays "+name, site.URL(name), []string{ended}, over)
		r["appliances"] = []string{a.ID}
		return h.AddRecipient(t, r)
	}
	site.Answer("sick", 500)
	sick := add("sick", harness.Object{"retryInterval": "1s", "retryDuration": "2s"})
	began := time.Now().UTC()
	keys := publishMany(t, a, "again", n)
	settled(t, h, []string{sick}, map[string]int{"EXPIRED": n})
	site.Answer("sick", 200)
	before := len(site.Of("sick"))

	filter := harness.Object{"deliveries": harness.Object{"recipientId": sick}, "rate": 200}
	p := h.REST.Do(t, http.MethodPost, "/v1/replays:preview", filter)
	if p["count"] != fmt.Sprint(n) || p["alreadyDelivered"] != "0" || p["unavailable"] != "0" || p["estimatedDuration"] != "0.300s" ||
		p["oldestTime"] == nil {
		t.Errorf("the preview says %v", p)
	}
	got := replayDone(t, h, filter)
	if got["total"] != fmt.Sprint(n) || got["queued"] != fmt.Sprint(n) || got["unavailable"] != "0" || got["actor"] == "" {
		t.Errorf("the replay says %v", got)
	}
	settled(t, h, []string{sick}, map[string]int{"EXPIRED": n, "DELIVERED": n})
	if sent := len(site.Of("sick")) - before; sent != n {
		t.Errorf("the replay sent %d requests, want %d", sent, n)
	}
	if p := h.REST.Do(t, http.MethodPost, "/v1/replays:preview", filter); p["alreadyDelivered"] != fmt.Sprint(n) {
		t.Errorf("after it, the preview says %v", p)
	}

	late := add("late", nil)
	replayDone(t, h, harness.Object{"deliveries": harness.Object{"recipientId": sick}, "toRecipientId": late, "rate": 1000})
	settled(t, h, []string{late}, map[string]int{"DELIVERED": n})
	latest := add("latest", nil)
	backfill := harness.Object{"backfill": harness.Object{"startTime": began.Format(time.RFC3339Nano)}, "toRecipientId": latest, "rate": 1000}
	replayDone(t, h, backfill)
	settled(t, h, []string{latest}, map[string]int{"DELIVERED": n})
	if again := replayDone(t, h, backfill); again["queued"] != "0" {
		t.Errorf("a second backfill sends what was delivered: %v", again)
	}
	if acc := site.Account(keys, []string{"sick", "late", "latest"}); acc.Arrived != 3*n ||
		acc.Duplicates+len(acc.Lost)+len(acc.Phantom)+len(acc.Changed) > 0 {
		t.Errorf("%v", acc)
	}
}

// replayDone starts a replay and waits until all is queued.
func replayDone(t *testing.T, h *harness.System, replay harness.Object) (got harness.Object) {
	t.Helper()
	id := fmt.Sprint(h.REST.Do(t, http.MethodPost, "/v1/replays", replay)["id"])
	waittest.NoError(t, "replay "+id+" to be done", func() error {
		if got = h.REST.Do(t, http.MethodGet, "/v1/replays/"+id, nil); got["state"] != "DONE" {
			return fmt.Errorf("it is %v", got)
		}
		return nil
	})
	return got
}

// hourly adds a recipient that fails, and would be tried again in an hour, with n deliveries that wait for it.
func hourly(t *testing.T, h *harness.System, site *harness.Receiver, a *harness.Appliance, name string, n int,
	over harness.Object) (id string, keys []string) {
	t.Helper()
	site.Answer(name, 500)
	fields := harness.Object{"retryInterval": "3600s", "retryDuration": "86400s"}
	for k, v := range over {
		fields[k] = v
	}
	r := webhook(name, site.URL(name), []string{ended}, fields)
	r["appliances"] = []string{a.ID}
	id = h.AddRecipient(t, r)
	keys = publishMany(t, a, name, n)
	tried := n
	if over["order"] == "STRICT" {
		tried = 1
	}
	waittest.NoError(t, "each to have been tried", func() error {
		if s := h.REST.States(t, id); s["RETRYING"] != tried {
			return fmt.Errorf("states are %v", s)
		}
		return nil
	})
	return id, keys
}

func targets(id string, keys ...string) harness.Object {
	var list []harness.Object
	for _, k := range keys {
		list = append(list, harness.Object{"recipientId": id, "eventId": k})
	}
	return harness.Object{"deliveries": list}
}

// operatorChanges sends, extends and cancels deliveries that wait for an hour.
func operatorChanges(t *testing.T, h *harness.System) {
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "operator-1")
	id, keys := hourly(t, h, site, a, "operator", 6, nil)

	if r := h.REST.Do(t, http.MethodPost, "/v1/deliveries:cancel", targets(id, keys[0], keys[1])); r["changed"] != 2.0 {
		t.Errorf("cancel says %v", r)
	}
	settled(t, h, []string{id}, map[string]int{"CANCELLED": 2, "RETRYING": 4})
	before := delivery(t, h, id, keys[2])
	extend := targets(id, keys[2])
	extend["by"] = "172800s"
	if r := h.REST.Do(t, http.MethodPost, "/v1/deliveries:extend", extend); r["changed"] != 1.0 {
		t.Errorf("extend says %v", r)
	}
	after := delivery(t, h, id, keys[2])
	if after["reason"] != "extended" || fmt.Sprint(after["expireTime"]) <= fmt.Sprint(before["expireTime"]) ||
		after["attempts"] != before["attempts"] || after["actor"] == "" {
		t.Errorf("before it was %v, extended it is %v", before, after)
	}
	site.Answer("operator", 200)
	all := targets(id, append(keys, "operator-1~nothing")...)
	r := h.REST.Do(t, http.MethodPost, "/v1/deliveries:sendNow", all)
	if list, _ := r["unchanged"].([]any); r["changed"] != 4.0 || len(list) != 3 {
		t.Errorf("send-now says %v", r)
	}
	settled(t, h, []string{id}, map[string]int{"CANCELLED": 2, "DELIVERED": 4})
	if d := delivery(t, h, id, keys[2]); d["expireTime"] != after["expireTime"] {
		t.Errorf("the end that was set did not last: %v", d)
	}
	if n := len(site.Of("operator")); n != 10 {
		t.Errorf("there were %d requests, want 6 that failed and 4", n)
	}
	r = h.REST.Do(t, http.MethodPost, "/v1/deliveries:cancel", targets(id, keys...))
	if list, _ := r["unchanged"].([]any); r["changed"] != 0.0 || len(list) != 6 {
		t.Errorf("cancelling what has ended says %v", r)
	}
	if code, p := h.REST.Refused(t, http.MethodPost, "/v1/deliveries:cancel", targets("*", keys[0])); code != http.StatusBadRequest ||
		len(p.Violations) != 1 {
		t.Errorf("a target that no id can be is answered %d %v", code, p)
	}
}

// sendsNowThroughABreaker has a recipient fail until it is only probed, mends it, and asks for one delivery.
func sendsNowThroughABreaker(t *testing.T, h *harness.System) {
	const n = 40
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "breaker-1")
	site.Answer("broken", 503)
	r := webhook("broken", site.URL("broken"), []string{ended},
		harness.Object{"retryInterval": "3600s", "retryDuration": "86400s", "maxInFlight": 1})
	r["appliances"] = []string{a.ID}
	id := h.AddRecipient(t, r)
	keys := publishMany(t, a, "broken", n)
	waittest.NoError(t, "the breaker to open", func() error {
		if s := h.REST.States(t, id); s["RETRYING"] < 5 {
			return fmt.Errorf("states are %v", s)
		}
		return nil
	})
	site.Answer("broken", 200)
	if r := h.REST.Do(t, http.MethodPost, "/v1/deliveries:sendNow", targets(id, keys[0])); r["changed"] != 1.0 {
		t.Errorf("send-now says %v", r)
	}
	waittest.NoError(t, "all that was not tried to arrive", func() error {
		// Each sender has a breaker of its own, so that some more may have been tried when the receiver was mended.
		if s := h.REST.States(t, id); s["DELIVERED"]+s["RETRYING"] != n || s["DELIVERED"] < n/2 {
			return fmt.Errorf("states are %v", s)
		}
		return nil
	})
	if d := delivery(t, h, id, keys[0]); d["state"] != "DELIVERED" {
		t.Errorf("the one that was asked for is %v", d)
	}
}

// purges empties queues of each kind, and deletes a recipient whose deliveries wait for an hour.
func purges(t *testing.T, h *harness.System) {
	const n = 8
	site := harness.NewReceiver(t)
	for _, kind := range []string{"delayed", "strict", "held"} {
		t.Run(kind, func(t *testing.T) {
			a := h.AddAppliance(t, "purged-"+kind)
			var id string
			switch kind {
			case "held":
				r := webhook("purged while "+kind, site.URL(kind), []string{ended}, nil)
				r["appliances"], r["enabled"], r["whileDisabled"] = []string{a.ID}, false, "HOLD"
				id = h.AddRecipient(t, r)
				publishMany(t, a, kind, n)
				waiting(t, h, id, n)
			case "strict":
				id, _ = hourly(t, h, site, a, kind, n, harness.Object{"order": "STRICT"})
			default:
				id, _ = hourly(t, h, site, a, kind, n, nil)
			}
			before := len(site.Of(kind))
			purge := "/v1/recipients/" + id + ":purge"
			if r := h.REST.Do(t, http.MethodPost, purge, harness.Object{"validateOnly": true}); r["cancelled"] != fmt.Sprint(n) {
				t.Errorf("counted are %v", r)
			}
			if code, p := h.REST.Refused(t, http.MethodPost, purge, harness.Object{"expectedCount": n - 1}); code != http.StatusBadRequest ||
				p.Code != 9 {
				t.Errorf("a count that is too low is answered %d %+v", code, p)
			}
			if r := h.REST.Do(t, http.MethodPost, purge, harness.Object{"expectedCount": n}); r["cancelled"] != fmt.Sprint(n) {
				t.Errorf("cancelled are %v", r)
			}
			site.Answer(kind, 200)
			settled(t, h, []string{id}, map[string]int{"CANCELLED": n})
			for _, d := range deliveries(t, h, id) {
				if d["reason"] != "queue_purged" {
					t.Errorf("a reason is %v", d["reason"])
				}
			}
			if got := len(site.Of(kind)); got != before {
				t.Errorf("%d requests were made while it was purged", got-before)
			}
			publishMany(t, a, "after", 1)
			if kind == "held" {
				waiting1(t, h, id)
				h.REST.Do(t, http.MethodPatch, "/v1/recipients/"+id, harness.Object{"enabled": true})
			}
			settled(t, h, []string{id}, map[string]int{"CANCELLED": n, "DELIVERED": 1})
		})
	}
	a := h.AddAppliance(t, "purged-deleted")
	id, _ := hourly(t, h, site, a, "deleted", n, nil)
	h.REST.Do(t, http.MethodDelete, "/v1/recipients/"+id, nil)
	settled(t, h, []string{id}, map[string]int{"CANCELLED": n})
}

// waiting1 waits until one delivery of a recipient that was purged is listed as waiting.
func waiting1(t *testing.T, h *harness.System, id string) {
	t.Helper()
	waittest.NoError(t, "what came after to wait", func() error {
		list, _ := h.REST.Do(t, http.MethodGet, "/v1/deliveries?state=WAITING&recipient_id="+id, nil)["deliveries"].([]any)
		if diff := cmp.Diff(1, len(list)); diff != "" {
			return fmt.Errorf("waiting: %s", diff)
		}
		return nil
	})
}
