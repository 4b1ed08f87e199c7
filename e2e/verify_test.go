package e2e_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// TestTheLogVerifiesAfterProcessesWereKilled kills those who write the delivery log and who sign its checkpoints in the middle of many
// events. Nothing was removed or changed, so nothing is found, and a delivery can be proven.
func TestTheLogVerifiesAfterProcessesWereKilled(t *testing.T) {
	t.Parallel()
	shapes(t, func(t *testing.T, h *harness.System) {
		const many = 900
		site := harness.NewReceiver(t)
		a := h.AddAppliance(t, "verify-1")
		id := h.AddRecipient(t, webhook("Verify", site.URL("verify"), []string{ended}, harness.Object{"retryInterval": "1s"}))
		flood := a.Flood(t.Context(), many, 16, ended)
		waittest.NoError(t, "the middle of the events", func() error {
			if n := site.Len(); n < many/3 {
				return fmt.Errorf("%d requests arrived", n)
			}
			return nil
		})
		for _, part := range h.Parts() {
			if part == harness.One || strings.HasPrefix(part, "http-sender") || strings.HasPrefix(part, "history") {
				h.Kill(t, part)
				h.StartPart(t, part)
			}
		}
		keys := flood.Wait(t)
		settled(t, h, []string{id}, map[string]int{"DELIVERED": many})
		// Until the lease of the process that was killed has ended, the newest records have their chains alone.
		waittest.NoError(t, "a checkpoint to cover all records", func() error {
			return coversAll(t, h)
		})
		file := filepath.Join(t.TempDir(), "receipt.json")
		if out, err := h.Outbound(t.Context(), "prove", id+"/"+keys[0], "-f", file); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		key, err := h.Outbound(t.Context(), "verify", "--show-key")
		if err != nil {
			t.Fatal(err)
		}
		if out, err := h.Outbound(t.Context(), "verify", "--receipt", file, "--key", strings.TrimSpace(key)); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		h.Stop(t)
	})
}

// coversAll is an error unless checkpoints cover all records. A finding fails the test at once.
func coversAll(t *testing.T, h *harness.System) error {
	t.Helper()
	out, err := h.Outbound(t.Context(), "verify", "-o", "json")
	var r struct {
		Faults                  []any
		Records, CoveredRecords string
	}
	if text := out[max(0, strings.Index(out, "{")):]; json.Unmarshal([]byte(text), &r) != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if len(r.Faults) > 0 {
		t.Fatalf("nothing was removed or changed, and it finds %v", r.Faults)
	}
	if err == nil && (r.Records == "0" || r.Records != r.CoveredRecords) {
		err = fmt.Errorf("%s of %s records are covered", r.CoveredRecords, r.Records)
	}
	return err
}
