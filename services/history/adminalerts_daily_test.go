package history_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// silentNotices are the notices of the status that tell of silence.
func (w *alertFixture) silentNotices() (out []string) {
	w.t.Helper()
	s, err := w.status.GetStatus(w.t.Context(), &outboundv1.GetStatusRequest{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, n := range s.GetNotices() {
		if strings.HasPrefix(n, "Silent: ") {
			out = append(out, n)
		}
	}
	return out
}

// noon has the admin contacts live where it is about noon now, so that no test lies around midnight, and returns the time there.
func (w *alertFixture) noon() time.Time {
	w.t.Helper()
	now := time.Now().UTC()
	name := fmt.Sprintf("Etc/GMT%+d", now.Hour()-12) // its sign is the other way round
	zone, err := time.LoadLocation(name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.settings.Email.TimeZone = name
	return now.In(zone)
}

func TestTheDailyNoticeComesOnceADay(t *testing.T) {
	w := newAlertFixture(t, httpRecipient("good", "support_conference_end"), httpRecipient("bad", "support_conference_end"))
	w.settings.Appliances = w.settings.Appliances[1:]
	e1, e2 := w.accept("a2", "e-1"), w.accept("a2", "e-2")
	w.attempted(e1, "good", "", 1, delivery.StateDelivered)
	w.attempted(e2, "good", "", 1, delivery.StateDelivered)
	w.attempted(e1, "bad", "", 1, delivery.StateRetrying)
	w.attempted(e1, "bad", "", 2, delivery.StateRetrying)
	w.stands("bad", health.Status{Health: health.Failing, Since: time.Now(), Reason: reasons.HTTPStatus, Code: 500}, 0)
	due := w.noon().Add(-time.Hour)
	w.settings.Smtp.DailyNotice = &outboundv1.DailyNotice{Enabled: true, Time: due.Format("15:04")}

	// Switched on after the time of day, it begins tomorrow.
	stop := w.adminAlerts()
	store := control.NewHealthStore(w.bus)
	var m health.AlertState
	var revision uint64
	waittest.Until(t, "a day to be marked", func() bool {
		var err error
		if m, revision, err = store.Mark(t.Context(), control.MarkDaily); err != nil {
			t.Fatal(err)
		}
		return m.Of != ""
	})
	if m.Of != due.Format(time.DateOnly) {
		t.Fatalf("it begins after %s, want %s", m.Of, due.Format(time.DateOnly))
	}
	stop()
	w.await()

	// All were down at the time of day, and come back late.
	if _, err := store.PutMark(t.Context(), control.MarkDaily,
		health.AlertState{Of: due.AddDate(0, 0, -1).Format(time.DateOnly), Notified: true}, revision); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.adminAlerts()
	}
	w.await("daily")
	n := w.last()
	d := n.Daily
	if d == nil || !n.Admin || len(d.Recipients) != 2 || d.Until.Sub(d.From) != 24*time.Hour || d.Appliances != 1 || len(d.Streams) < 2 {
		t.Fatalf("told %+v", d)
	}
	bad, good := d.Recipients[0], d.Recipients[1]
	if bad.Recipient != "bad" || bad.Health != "FAILING" || bad.Since.IsZero() || bad.Failed != 2 || bad.Delivered != 0 || bad.Waiting != 2 {
		t.Errorf("of the failing recipient: %+v", bad)
	}
	if good.Recipient != "good" || good.Delivered != 2 || good.Failed != 0 || good.Error != "" {
		t.Errorf("of the good recipient: %+v", good)
	}
	if !strings.Contains(strings.Join(d.Attention, " "), "Failing: The bad (bad).") {
		t.Errorf("what needs attention: %v", d.Attention)
	}
}

func TestADailyNoticeThatIsMuchTooLateGivesWayToTheNext(t *testing.T) {
	w := newAlertFixture(t)
	w.settings.Appliances = nil
	soon := w.noon().Add(2 * time.Hour)
	w.settings.Smtp.DailyNotice = &outboundv1.DailyNotice{Enabled: true, Time: soon.Format("15:04")}
	yesterday := soon.AddDate(0, 0, -1).Format(time.DateOnly)
	store := control.NewHealthStore(w.bus)
	if _, err := store.PutMark(t.Context(), control.MarkDaily,
		health.AlertState{Of: soon.AddDate(0, 0, -5).Format(time.DateOnly), Notified: true}, 0); err != nil {
		t.Fatal(err)
	}
	w.adminAlerts()
	waittest.Until(t, "yesterday to be marked", func() bool {
		m, _, err := store.Mark(t.Context(), control.MarkDaily)
		if err != nil {
			t.Fatal(err)
		}
		return m.Of == yesterday
	})
	w.await()
}
