package mime_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/mime"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/settings"
)

func TestMailsSayTheirNumber(t *testing.T) {
	of := func(d delivery.Delivery) map[string]string {
		d.Recipient = &recipient.Recipient{ID: "r", Email: &recipient.EmailTarget{}}
		d.Event = &event.Event{ID: "e-1", Appliance: "a1", Type: "support_conference_end"}
		out := map[string]string{}
		s := &settings.Settings{Email: settings.Email{Location: time.UTC}}
		for _, h := range mime.OfDelivery(&d, s, "to@example.com", time.Now()).Headers {
			out[h.Name] = h.Value
		}
		return out
	}
	got := of(delivery.Delivery{Number: 42, ReplayID: "again"})
	if got["X-Outbound-Sequence"] != "42" || got["X-Outbound-Previous"] != "41" || got["X-Outbound-Replay"] != "again" {
		t.Errorf("the headers are %v", got)
	}
	for _, d := range []delivery.Delivery{{}, {Test: true, ReplayID: "test"}} {
		got := of(d)
		for _, name := range []string{"X-Outbound-Sequence", "X-Outbound-Previous", "X-Outbound-Replay"} {
			if _, there := got[name]; there {
				t.Errorf("the headers are %v", got)
			}
		}
	}
}
