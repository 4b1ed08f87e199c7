package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

const ended = "support_conference_end"

// pair adds a recipient of an appliance's events that is disabled, and a neighbour that is not.
func pair(t *testing.T, h *harness.System, a *harness.Appliance, site *harness.Receiver, name, whileDisabled string) (id,
	neighbour string) {
	t.Helper()
	r := webhook(name, site.URL(name), []string{ended}, harness.Object{"retryInterval": "1s"})
	r["appliances"], r["enabled"], r["whileDisabled"] = []string{a.ID}, false, whileDisabled
	beside := webhook(name+" beside", site.URL(name+"-beside"), []string{ended}, nil)
	beside["appliances"] = []string{a.ID}
	return h.AddRecipient(t, r), h.AddRecipient(t, beside)
}

func publishMany(t *testing.T, a *harness.Appliance, prefix string, n int) (keys []string) {
	t.Helper()
	for i := range n {
		e := harness.NewEvent(a.ID, fmt.Sprint(prefix, "-", i), ended, harness.Object{})
		publish(t, a, e)
		keys = append(keys, e.Key())
	}
	return keys
}

// deliveries lists the deliveries to a recipient, newest first.
func deliveries(t *testing.T, h *harness.System, recipient string) (out []harness.Object) {
	t.Helper()
	q := url.Values{"recipient_id": {recipient}, "page_size": {"1000"}}
	list, _ := h.REST.Do(t, http.MethodGet, "/v1/deliveries?"+q.Encode(), nil)["deliveries"].([]any)
	for _, x := range list {
		out = append(out, x.(harness.Object))
	}
	return out
}

// waiting waits until n deliveries are listed as waiting, which are not in the log.
func waiting(t *testing.T, h *harness.System, recipient string, n int) {
	t.Helper()
	waittest.NoError(t, "the deliveries of "+recipient+" to wait", func() error {
		list, _ := h.REST.Do(t, http.MethodGet, "/v1/deliveries?state=WAITING&recipient_id="+recipient, nil)["deliveries"].([]any)
		if states := h.REST.States(t, recipient); len(list) != n || len(states) > 0 {
			return fmt.Errorf("%d wait, others are %v", len(list), states)
		}
		return nil
	})
}

// holdsWhileDisabled has a recipient disabled with HOLD: what comes waits, and is delivered once it is enabled.
func holdsWhileDisabled(t *testing.T, h *harness.System) {
	const n = 5
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "holds-1")
	id, beside := pair(t, h, a, site, "held", "HOLD")
	keys := publishMany(t, a, "held", n)
	settled(t, h, []string{beside}, map[string]int{"DELIVERED": n})
	waiting(t, h, id, n)
	if got := len(site.Of("held")); got != 0 {
		t.Errorf("while disabled it got %d requests", got)
	}
	if code, p := h.REST.Refused(t, http.MethodPost, "/v1/recipients/"+id+":test", harness.Object{}); code != http.StatusBadRequest {
		t.Errorf("a test of it is answered %d %+v", code, p)
	}
	h.REST.Do(t, http.MethodPatch, "/v1/recipients/"+id, harness.Object{"enabled": true})
	settled(t, h, []string{id}, map[string]int{"DELIVERED": n})
	if a := site.Account(keys, []string{"held", "held-beside"}); a.Arrived != 2*n || a.Duplicates+len(a.Lost)+len(a.Phantom) > 0 {
		t.Errorf("%v", a)
	}
}

// skipsWhileDisabled has a recipient disabled with SKIP: what comes is recorded as skipped, and never sent.
func skipsWhileDisabled(t *testing.T, h *harness.System) {
	const n = 5
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "skips-1")
	id, beside := pair(t, h, a, site, "skipped", "SKIP")
	skipped := publishMany(t, a, "skipped", n)
	settled(t, h, []string{beside}, map[string]int{"DELIVERED": n})
	settled(t, h, []string{id}, map[string]int{"SKIPPED": n})
	for _, d := range deliveries(t, h, id) {
		if d["reason"] != "disabled" || d["attempts"] != nil && d["attempts"] != float64(0) || d["nextAttemptTime"] != nil {
			t.Errorf("a skipped delivery reads %v", d)
		}
	}
	h.REST.Do(t, http.MethodPatch, "/v1/recipients/"+id, harness.Object{"enabled": true})
	// The change acts within seconds; what is accepted until a sender has heard of it may be skipped too.
	probes := 0
	waittest.NoError(t, "events to arrive again", func() error {
		probes++
		publishMany(t, a, fmt.Sprint("probe-", probes), 1)
		settledAny(t, h, id, n+probes)
		if h.REST.States(t, id)["DELIVERED"] == 0 {
			return fmt.Errorf("%d probes were skipped", probes)
		}
		return nil
	})
	for _, key := range skipped {
		if d := delivery(t, h, id, key); d["state"] != "SKIPPED" {
			t.Errorf("after enabling, a delivery of before reads %v", d)
		}
	}
	if got := len(site.Of("skipped")); got != h.REST.States(t, id)["DELIVERED"] {
		t.Errorf("it got %d requests for %v", got, h.REST.States(t, id))
	}
}

// settledAny waits until a recipient has n deliveries, all of them final.
func settledAny(t *testing.T, h *harness.System, id string, n int) {
	t.Helper()
	waittest.NoError(t, "the deliveries of "+id+" to end", func() error {
		states := h.REST.States(t, id)
		sum := 0
		for _, k := range states {
			sum += k
		}
		if sum != n || states["WAITING"]+states["RETRYING"] > 0 {
			return fmt.Errorf("want %d final ones, have %v", n, states)
		}
		return nil
	})
}

// cancelsWhatWaited deletes a recipient whose deliveries wait: each is recorded as cancelled, and none is sent.
func cancelsWhatWaited(t *testing.T, h *harness.System) {
	const n = 5
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "cancels-1")
	id, _ := pair(t, h, a, site, "cancelled", "HOLD")
	publishMany(t, a, "cancelled", n)
	waiting(t, h, id, n)
	h.REST.Do(t, http.MethodDelete, "/v1/recipients/"+id, nil)
	settled(t, h, []string{id}, map[string]int{"CANCELLED": n})
	for _, d := range deliveries(t, h, id) {
		if d["reason"] != "recipient_deleted" || d["nextAttemptTime"] != nil {
			t.Errorf("a cancelled delivery reads %v", d)
		}
	}
	waittest.NoError(t, "the recipient to be gone", func() error {
		answer, err := h.REST.Call(http.MethodGet, "/v1/recipients/"+id, nil)
		if err == nil && answer.Status != http.StatusNotFound {
			err = fmt.Errorf("answered %d", answer.Status)
		}
		return err
	})
	if got := len(site.Of("cancelled")); got != 0 {
		t.Errorf("it got %d requests", got)
	}
}

// testsARecipient asks for a test event: it takes the same way as any other, and is marked.
func testsARecipient(t *testing.T, h *harness.System) {
	site := harness.NewReceiver(t)
	r := webhook("Tested", site.URL("tested"), []string{ended}, nil)
	r["appliances"] = []string{h.AddAppliance(t, "tested-1").ID}
	id := h.AddRecipient(t, r)
	made := h.REST.Do(t, http.MethodPost, "/v1/recipients/"+id+":test", harness.Object{"data": harness.Object{"note": "of a test"}})
	key, _ := made["eventId"].(string)
	got := arrived(t, site, "tested", 1)[0]
	form, err := url.ParseQuery(string(got.Body))
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != key || got.Header.Get("Outbound-Test") != "1" || form.Get("event") != ended || form.Get("note") != "of a test" {
		t.Errorf("%s came as %s with %v and %v", key, got.ID, got.Header, form)
	}
	settled(t, h, []string{id}, map[string]int{"DELIVERED": 1})
	if d := deliveries(t, h, id)[0]; d["test"] != true || d["eventId"] != key || d["attempts"] != float64(1) {
		t.Errorf("the delivery reads %v", d)
	}
}

// retriesWhatExpired has a delivery expire and asks for it again: it takes the same way under a replay's id, with the same
// webhook-id and body, and what had been recorded stays.
func retriesWhatExpired(t *testing.T, h *harness.System) {
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "retries-1")
	site.Answer("retried", 500)
	r := webhook("Retried", site.URL("retried"), []string{ended}, harness.Object{"retryInterval": "0.2s", "retryDuration": "1s"})
	r["appliances"] = []string{a.ID}
	id := h.AddRecipient(t, r)
	key := publishMany(t, a, "retried", 1)[0]
	settled(t, h, []string{id}, map[string]int{"EXPIRED": 1})
	if d := delivery(t, h, id, key); d["reason"] != "retry_duration_ended" ||
		d["detail"] != "not delivered within 1s; last error: HTTP 500 Internal Server Error" {
		t.Errorf("the delivery reads %v", d)
	}
	before := site.Of("retried")
	site.Answer("retried", 200)
	made := h.REST.Do(t, http.MethodPost, "/v1/deliveries:retry",
		harness.Object{"deliveries": []harness.Object{{"recipientId": id, "eventId": key}}})
	settled(t, h, []string{id}, map[string]int{"EXPIRED": 1, "DELIVERED": 1})
	after := site.Of("retried")[len(before):]
	if len(after) != 1 || after[0].ID != key || after[0].Hash != before[0].Hash || made["queued"] != float64(1) {
		t.Errorf("retried as %v, it came as %+v", made, after)
	}
	states := map[any]any{}
	for _, d := range deliveries(t, h, id) {
		states[d["replayId"]] = d["state"]
	}
	if diff := cmp.Diff(map[any]any{made["replayId"]: "DELIVERED", "": "EXPIRED"}, states); diff != "" {
		t.Errorf("states by replay (-want +got):\n%s", diff)
	}
	if code, _ := h.REST.Refused(t, http.MethodPost, "/v1/deliveries:retry",
		harness.Object{"deliveries": []harness.Object{{"recipientId": id, "eventId": a.ID + "~nothing"}}}); code != http.StatusNotFound {
		t.Errorf("an unknown event is answered %d", code)
	}
}
