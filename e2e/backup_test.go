package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// backedUp is how many events are published while the backup is taken.
const backedUp = 1500

// canary is a secret that no backup may show.
const canary = "canary-of-the-backup"

// taken is what `outbound backup -o json` answers.
type taken struct {
	EventsSequence string   `json:"eventsSequence"`
	Sealed         []string `json:"sealed"`
}

// TestABackupBringsEverythingBack takes a backup while events are published, loses the store and restores it: what was accepted up to the
// backup is delivered to each recipient, what came later is taken when it is sent again.
func TestABackupBringsEverythingBack(t *testing.T) {
	t.Parallel()
	shapes(t, func(t *testing.T, h *harness.System) {
		site, a := harness.NewReceiver(t), h.AddAppliance(t, "backed-1")
		names, ids := backupRecipients(t, h, site)
		before := recipients(t, h)
		flood := a.Flood(t.Context(), backedUp, 8, ended)
		waittest.NoError(t, "the middle of the events", func() error {
			if n := flood.Accepted.Load(); n < backedUp/4 {
				return fmt.Errorf("%d events are accepted", n)
			}
			return nil
		})
		file := filepath.Join(t.TempDir(), "outbound.backup")
		// EVENTS also has what each recipient selects.
		n := takeBackup(t, h, file) - len(ids)
		t.Logf("the backup has %d events; %d of %d were accepted when it was there", n, flood.Accepted.Load(), backedUp)
		flood.Wait(t)
		h.WipeStore(t)
		damagedIsRefused(t, h, file)
		if out, err := h.Restore(t.Context(), t, "-f", file); err != nil || !strings.Contains(out, "Start Outbound now.") {
			t.Fatalf("%v\n%s", err, out)
		}
		h.Resume(t)
		if diff := cmp.Diff(before, recipients(t, h)); diff != "" {
			t.Errorf("recipients (-before +after):\n%s", diff)
		}
		// Ingest adds the records of events that had none yet when the log was read.
		waittest.NoError(t, "all restored events to be found", func() error {
			if got := restoredEvents(t, h); got != n {
				return fmt.Errorf("%d events are found, the backup has %d", got, n)
			}
			return nil
		})
		settled(t, h, ids[:1], map[string]int{"DELIVERED": n})
		site.Answer(names[1], http.StatusOK)
		h.REST.Do(t, http.MethodPatch, "/v1/recipients/"+ids[2], harness.Object{"enabled": true})
		settled(t, h, ids, map[string]int{"DELIVERED": n})
		// The appliance sends everything again: what is restored is known, the rest is new.
		again := a.Flood(t.Context(), backedUp, 8, ended)
		keys := again.Wait(t)
		// One whose first answer was lost is known the second time, restored or not.
		if known, unclear := again.Known.Load(), again.Unclear.Load(); known > int64(n) || known+unclear < int64(n) {
			t.Errorf("%d events were known at once and %d the second time, the backup has %d", known, unclear, n)
		}
		settled(t, h, ids, map[string]int{"DELIVERED": backedUp})
		if a := site.Account(keys, names); len(a.Lost)+len(a.Phantom) > 0 || a.Arrived != len(names)*backedUp {
			t.Errorf("%v", a)
		}
		h.Stop(t)
	})
}

// backupRecipients makes one recipient with secrets that gets its events, one that fails, and one that is held.
func backupRecipients(t *testing.T, h *harness.System, site *harness.Receiver) (names, ids []string) {
	t.Helper()
	names = []string{"good", "failing", "held-back"}
	site.Answer("failing", http.StatusServiceUnavailable)
	for i, name := range names {
		r := webhook(name, site.URL(name), []string{ended}, harness.Object{"retryInterval": "5s"})
		switch i {
		case 0:
			over := r["http"].(harness.Object)
			over["auth"] = harness.Object{"basic": harness.Object{"username": "u", "password": canary}}
			over["signingSecrets"] = []any{harness.Object{}}
		case 2:
			r["enabled"], r["whileDisabled"] = false, "HOLD"
		}
		ids = append(ids, h.AddRecipient(t, r))
	}
	return names, ids
}

// recipients are all recipients without their etags.
func recipients(t *testing.T, h *harness.System) []any {
	t.Helper()
	list, _ := h.REST.Do(t, http.MethodGet, "/v1/recipients", nil)["recipients"].([]any)
	for _, r := range list {
		delete(r.(harness.Object), "etag")
	}
	if len(list) != 3 {
		t.Fatalf("there are %d recipients", len(list))
	}
	return list
}

// takeBackup takes a backup and returns how many events are in it.
func takeBackup(t *testing.T, h *harness.System, file string) int {
	t.Helper()
	out, err := h.Outbound(t.Context(), "backup", "-f", file, "--with", "queue,history", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var x taken
	if err := json.Unmarshal([]byte(out), &x); err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(x.EventsSequence)
	if err != nil || n < backedUp/4 || len(x.Sealed) != 1 {
		t.Fatalf("the backup says %s", out)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if _, err := h.Outbound(t.Context(), "backup", "-f", file); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("a file that exists: %v", err)
	}
	return n
}

// damagedIsRefused restores a file that was cut off, which changes nothing.
func damagedIsRefused(t *testing.T, h *harness.System, file string) {
	t.Helper()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(whole), canary) {
		t.Error("the backup shows a secret")
	}
	cut := filepath.Join(t.TempDir(), "cut.backup")
	if err := os.WriteFile(cut, whole[:len(whole)*2/3], 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = h.Restore(t.Context(), t, "-f", cut)
	if err == nil || !strings.Contains(err.Error(), cut+" is damaged or incomplete") || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("a file that was cut off: %v", err)
	}
	out, err := h.Restore(t.Context(), t, "-f", file, "--dry-run", "-o", "json")
	if err != nil || !strings.Contains(out, `"empty": true`) || !strings.Contains(out, `"sealKeyFits": true`) {
		t.Errorf("a look at the file and the store: %v\n%s", err, out)
	}
}

// restoredEvents counts the accepted events that a search finds.
func restoredEvents(t *testing.T, h *harness.System) (n int) {
	t.Helper()
	for token := ""; ; {
		page := h.REST.Do(t, http.MethodGet, "/v1/events?page_size=1000&page_token="+token, nil)
		list, _ := page["events"].([]any)
		n += len(list)
		if token, _ = page["nextPageToken"].(string); token == "" {
			return n
		}
	}
}
