package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
)

// deadAmongTen has one recipient of ten down for longer than its retry duration: the nine get everything, and each event of the
// dead one comes to a recorded end, with an attempt of its own or, while the breaker spared it, with the fault that opened it.
func deadAmongTen(t *testing.T, h *harness.System) {
	const n, healthy = 200, 9
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "ten-1")
	var ids, names []string
	add := func(name, to string, over harness.Object) string {
		r := webhook("Ten "+name, to, []string{ended}, over)
		r["appliances"] = []string{a.ID}
		return h.AddRecipient(t, r)
	}
	for i := range healthy {
		names = append(names, fmt.Sprint("ten-", i))
		ids = append(ids, add(fmt.Sprint(i), site.URL(names[i]), nil))
	}
	dead := add("dead", "http://127.0.0.1:9/", harness.Object{"retryInterval": "1s", "retryDuration": "3s"})
	keys := a.Flood(t.Context(), n, 16, ended).Wait(t)
	settled(t, h, ids, map[string]int{"DELIVERED": n})
	if account := site.Account(keys, names); account.Arrived != n*healthy ||
		account.Duplicates+len(account.Lost)+len(account.Phantom)+len(account.Changed) > 0 {
		t.Errorf("%v", account)
	}
	settled(t, h, []string{dead}, map[string]int{"EXPIRED": n})
	attempted, spared := 0, 0
	for _, d := range deliveries(t, h, dead) {
		detail, _ := d["detail"].(string)
		attempts, _ := d["attempts"].(float64)
		if d["reason"] != "retry_duration_ended" || !strings.Contains(detail, "connection refused") || d["nextAttemptTime"] != nil ||
			d["expireTime"] == nil {
			t.Errorf("an expired delivery reads %v", d)
		}
		switch {
		case attempts >= 1:
			attempted++
		case strings.Contains(detail, "because the recipient kept failing"):
			spared++
		default:
			t.Errorf("a delivery was never tried, and no breaker says why: %v", d)
		}
	}
	t.Logf("of %d events of the dead recipient %d ended after attempts of their own, %d were spared by the breaker", n, attempted, spared)
	if attempted == 0 || spared == 0 {
		t.Errorf("%d attempted and %d spared: want both kinds", attempted, spared)
	}
}
