package recipients_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func TestMaintenanceIsShownAndPlanned(t *testing.T) {
	h := newFixture(httpRecipient("crm", "CRM", true), httpRecipient("next", "Next", true))
	until := time.Now().Add(48 * time.Hour)
	h.status = &outboundv1.Status{Recipients: []*outboundv1.RecipientStatus{
		{RecipientId: "crm", Health: outboundv1.RecipientHealth_MAINTENANCE, QueuedEvents: 17, MaintenanceTimeZone: "Europe/Berlin",
			MaintenanceUntilTime: timestamppb.New(until), OldestQueuedTime: timestamppb.New(time.Now().Add(-time.Hour))},
		{RecipientId: "next", NextMaintenanceTime: timestamppb.New(until), MaintenanceTimeZone: "UTC"},
	}}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	b := h.open(t).As("operator")
	says := "in maintenance until " + until.In(berlin).Format("2006-01-02 15:04") + " Europe/Berlin, 17 waiting"
	for path, wants := range map[string][]string{
		"/":                             {says, "show=maintenance"},
		"/?show=maintenance":            {says},
		"/recipients/crm":               {says, `name="duringMaintenance"`},
		"/recipients/next":              {"next from " + until.UTC().Format("2006-01-02 15:04") + " UTC"},
		"/recipients/new?channel=email": {`name="maintenanceWindows"`},
	} {
		page := b.Get(path)
		inert(t, path, page)
		for _, want := range wants {
			if !strings.Contains(page.Body, want) {
				t.Errorf("%s does not show %q", path, want)
			}
		}
	}
	b.Post("/recipients/crm/test", url.Values{"eventType": {"begin"}, "duringMaintenance": {"true"}})
	if !last[*outboundv1.TestRecipientRequest](t, h).GetDuringMaintenance() {
		t.Error("the test is not asked for within the window")
	}
	f := b.Get("/recipients/next").FormOf(t, form)
	f.Set("maintenanceWindows", "Mon-Fri 22:00 6h Europe/Berlin drain=20\r\n\r\n2026-10-25T02:30 2026-10-25T02:30 Europe/Berlin\r\n")
	b.Post("/recipients/next", f)
	got := last[*outboundv1.UpdateRecipientRequest](t, h).GetRecipient().GetMaintenanceWindows()
	if len(got) != 2 || len(got[0].GetWeekly().GetDays()) != 5 || got[0].GetDrainRate() != 20 ||
		got[1].GetOnce().GetEndTime().AsTime().Sub(got[1].GetOnce().GetStartTime().AsTime()) != time.Hour {
		t.Errorf("saved were %v", got)
	}
	f.Set("maintenanceWindows", "Sat 22:00 6h Mars/Olympus")
	if page := b.Post("/recipients/next", f); !strings.Contains(page.Body, "is not a time zone of the IANA database") ||
		!strings.Contains(page.Body, "Sat 22:00 6h Mars/Olympus</textarea>") {
		t.Error("a window that can't be read is not said, or not kept")
	}
}
