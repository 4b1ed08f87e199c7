package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// tellsWhoAnswers finds every service in the status that has a connection to the broker, and who changed what over REST.
func tellsWhoAnswers(t *testing.T, h *harness.System) {
	waittest.NoError(t, "all services to answer", func() error {
		found := map[string]bool{}
		list, _ := h.REST.Do(t, http.MethodGet, "/v1/status", nil)["services"].([]any)
		for _, x := range list {
			name, _ := x.(harness.Object)["name"].(string)
			found[name] = true
		}
		for _, name := range []string{"config", "ingest", "http-sender", "email-sender", "history"} {
			if !found[name] {
				return fmt.Errorf("%s is missing among %v", name, list)
			}
		}
		return nil
	})
	r := webhook("told of", "https://told.example/hook", []string{ended}, nil)
	r["appliances"] = []string{h.AddAppliance(t, "told-1").ID}
	id := h.AddRecipient(t, r)
	h.REST.Do(t, http.MethodPatch, "/v1/recipients/"+id, harness.Object{"http": harness.Object{"timeout": "5s"}})
	list, _ := h.REST.Do(t, http.MethodGet, "/v1/revisions?resource=recipients/"+id, nil)["revisions"].([]any)
	if len(list) != 2 {
		t.Fatalf("%d revisions are listed, want 2", len(list))
	}
	first, _ := list[1].(harness.Object)
	back, _ := h.REST.Do(t, http.MethodPost, "/v1/revisions:rollBack",
		harness.Object{"resource": "recipients/" + id, "revision": first["revision"]})["revision"].(harness.Object)
	if back["action"] != "rolled back" || back["actor"] != "admin" || back["rolledBackTo"] != first["revision"] {
		t.Errorf("it is told as %v", back)
	}
	h.REST.Do(t, http.MethodDelete, "/v1/recipients/"+id, nil)
}
