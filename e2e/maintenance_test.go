package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// holdsInMaintenance has a recipient in a maintenance window: what comes waits, over a restart and for longer than its retry duration, a
// test passes if it is asked for, and afterwards everything arrives once, no faster than at the rate that is set.
func holdsInMaintenance(t *testing.T, h *harness.System) {
	const n, rate = 30, 10
	h.StartAll(t) // a clean stop came before
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "planned-1")
	window := func(end time.Time) []harness.Object {
		return []harness.Object{{"timeZone": "Europe/Berlin", "drainRate": rate, "once": harness.Object{
			"startTime": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), "endTime": end.UTC().Format(time.RFC3339Nano)}}}
	}
	r := webhook("Planned", site.URL("planned"), []string{ended}, harness.Object{"retryInterval": "1s", "retryDuration": "1s"})
	r["appliances"], r["maintenanceWindows"] = []string{a.ID}, window(time.Now().Add(3*time.Hour))
	neighbour := webhook("Planned beside", site.URL("planned-beside"), []string{ended}, nil)
	neighbour["appliances"] = []string{a.ID}
	id, beside := h.AddRecipient(t, r), h.AddRecipient(t, neighbour)
	keys := publishMany(t, a, "planned", n/2)
	settled(t, h, []string{beside}, map[string]int{"DELIVERED": n / 2})
	waiting(t, h, id, n/2)
	for _, d := range deliveries(t, h, id) {
		if d["waitReason"] != "maintenance" {
			t.Errorf("a delivery that is held reads %v", d)
		}
	}
	if code, p := h.REST.Refused(t, http.MethodPost, "/v1/recipients/"+id+":test", harness.Object{}); code != http.StatusBadRequest {
		t.Errorf("a test of it is answered %d %+v", code, p)
	}
	h.REST.Do(t, http.MethodPost, "/v1/recipients/"+id+":test", harness.Object{"duringMaintenance": true})
	settled(t, h, []string{id}, map[string]int{"DELIVERED": 1})
	h.Stop(t)
	h.StartAll(t)
	keys = append(keys, publishMany(t, a, "planned-again", n-n/2)...)
	settled(t, h, []string{beside}, map[string]int{"DELIVERED": n})
	inMaintenance(t, h, id, n)
	if got := len(site.Of("planned")); got != 1 {
		t.Errorf("within the window it got %d requests, of which one is a test", got)
	}
	end := time.Now().Add(2 * time.Second)
	h.REST.Do(t, http.MethodPatch, "/v1/recipients/"+id, harness.Object{"maintenanceWindows": window(end)})
	settled(t, h, []string{id}, map[string]int{"DELIVERED": n + 1})
	receipts := site.Of("planned")[1:]
	if first := receipts[0].Time; first.Before(end.Add(-time.Second)) { // the broker's clock may differ a bit
		t.Errorf("the first came %s before the end of the window", end.Sub(first))
	}
	took := receipts[len(receipts)-1].Time.Sub(receipts[0].Time).Seconds()
	// Without a Redis that they share, each sender keeps the rate by itself.
	senders := 0
	for _, name := range h.Parts() {
		if name == harness.One || strings.HasPrefix(name, "http-sender") {
			senders++
		}
	}
	if most := float64(senders) * (rate*took + rate/10 + 1); senders == 0 || float64(n) > most {
		t.Errorf("%d came within %.2f s, at most %.1f may", n, took, most)
	}
	account := site.Account(keys, []string{"planned-beside"})
	if account.Arrived != n || len(receipts) != n || account.Duplicates+len(account.Lost) > 0 {
		t.Errorf("%v, and %d after the window", account, len(receipts))
	}
}

// inMaintenance waits until the status says that a recipient is in maintenance with n events in its queue.
func inMaintenance(t *testing.T, h *harness.System, id string, n int) {
	t.Helper()
	waittest.NoError(t, "the status to say that "+id+" is in maintenance", func() error {
		all, _ := h.REST.Do(t, http.MethodGet, "/v1/status?recipient_id="+id, nil)["recipients"].([]any)
		if len(all) != 1 {
			return fmt.Errorf("it has %d recipients", len(all))
		}
		r, _ := all[0].(harness.Object)
		if r["health"] != "MAINTENANCE" || r["queuedEvents"] != fmt.Sprint(n) || r["maintenanceUntilTime"] == nil ||
			r["maintenanceTimeZone"] != "Europe/Berlin" {
			return fmt.Errorf("it reads %v", r)
		}
		return nil
	})
}
