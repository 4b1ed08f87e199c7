package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// refusedWithin is how long the answer to an event takes that can't be stored; saidWithin is how long it takes until /readyz and the
// notices say so.
const (
	refusedWithin = 4 * time.Second
	saidWithin    = 5 * time.Second
)

// postUntilRefused posts events of 20 KB until one is not accepted, and returns the keys of those that were.
func postUntilRefused(t *testing.T, a *harness.Appliance, prefix string) (keys []string) {
	t.Helper()
	for n := range 20_000 {
		e := harness.NewEvent(a.ID, fmt.Sprint(prefix, "-", n), ended, harness.Object{"pad": strings.Repeat("x", 20_000)})
		began := time.Now()
		if _, err := a.Post(e); err != nil {
			if took := time.Since(began); took > refusedWithin+time.Second {
				t.Errorf("the first refusal took %v: %v", took, err)
			}
			return keys
		}
		keys = append(keys, e.Key())
	}
	t.Fatal("nothing was refused")
	return nil
}

// said waits until a process is not ready and a notice gives the reason, which must not take long.
func said(t *testing.T, h *harness.System, process, reason string) {
	t.Helper()
	began, notices := time.Now(), ""
	waittest.NoError(t, process+" and the notices to say so", func() error {
		notices = fmt.Sprint(h.REST.Do(t, http.MethodGet, "/v1/status", nil)["notices"])
		if h.Ready(t, process) == nil || !strings.Contains(notices, reason) {
			return errors.New(notices)
		}
		return nil
	})
	if took := time.Since(began); took > saidWithin {
		t.Errorf("it took %v", took)
	}
	if !strings.Contains(notices, "restart nats-server") {
		t.Errorf("the notices do not say what to do: %s", notices)
	}
}

// refusedAtOnce posts an event that has to be refused with a reason.
func refusedAtOnce(t *testing.T, a *harness.Appliance, reason string) {
	t.Helper()
	began := time.Now()
	_, err := a.Post(harness.NewEvent(a.ID, "refused", ended, nil))
	var refusal *harness.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(refusal.Error(), reason) || time.Since(began) > refusedWithin {
		t.Errorf("POST: %v after %v", err, time.Since(began))
	}
}

// A stock nats-server whose disk is full keeps its write error until it is restarted. That is told at once, the services go on by
// themselves after the restart, and nothing is lost.
func TestAFullDiskOfTheBrokerIsToldAndOutlived(t *testing.T) {
	disk := bustest.NewDisk(t, "size=128m")
	h := harness.StartWith(t, &harness.System{Shape: harness.Services, Dir: t.TempDir(), Sync: "always", Senders: 2,
		Store: filepath.Join(disk.Dir, "store")})
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "disk-1")
	h.AddRecipient(t, webhook("Disk", site.URL("disk"), []string{ended}, harness.Object{"retryInterval": "1s"}))
	first := harness.NewEvent(a.ID, "first", ended, nil)
	publish(t, a, first)
	keys := []string{first.Key()}
	arrived(t, site, "disk", 1)

	disk.Fill(2 << 20)
	more := postUntilRefused(t, a, "full")
	if keys = append(keys, more...); len(more) == 0 {
		t.Error("no event was accepted while the disk filled")
	}
	said(t, h, "ingest", "STORE_FULL")
	refusedAtOnce(t, a, "STORE_FULL")
	began := time.Now()
	answer, err := a.Publish(t.Context(), harness.NewEvent(a.ID, "refused-n", ended, nil))
	if err == nil || !strings.Contains(err.Error(), "STORE_FULL") || time.Since(began) > refusedWithin {
		t.Errorf("NATS: %v, %v after %v", answer, err, time.Since(began))
	}

	disk.Clear()
	refusedAtOnce(t, a, "STORE_FULL")
	h.Kill(t, "nats")
	h.StartPart(t, "nats")
	waittest.NoError(t, "events to be accepted again", func() error {
		e := harness.NewEvent(a.ID, "again", ended, nil)
		_, err := a.Post(e)
		return err
	})
	keys = append(keys, a.ID+"~again")
	waittest.NoError(t, "ingest to be ready", func() error { return h.Ready(t, "ingest") })
	waittest.Until(t, "all deliveries", func() bool { return site.Distinct("disk") >= len(keys) })
	account := site.Account(keys, []string{"disk"})
	t.Logf("%d events, duplicates: %d", len(keys), account.Duplicates)
	if len(account.Lost)+len(account.Changed) > 0 {
		t.Errorf("after a full disk: %v", account)
	}

	disk.Fill(0)
	postUntilRefused(t, a, "last")
	endInTime(t, h)
}

// A broker that stands still answers nothing: events are refused at once, with a reason.
func TestEventsAreRefusedAtOnceWhileTheBrokerStandsStill(t *testing.T) {
	h := harness.StartWith(t, &harness.System{Shape: harness.Services, Dir: t.TempDir(), Sync: "always", Senders: 1})
	a := h.AddAppliance(t, "still-1")
	publish(t, a, harness.NewEvent(a.ID, "first", ended, nil))
	h.Freeze(t, "nats")
	postUntilRefused(t, a, "still")
	refusedAtOnce(t, a, "STORE_SLOW")
	if h.Ready(t, "ingest") == nil {
		t.Error("ingest is ready")
	}
}
