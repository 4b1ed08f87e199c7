package emailsender_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/smtptest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func TestWhatTheFilterStopsIsNotMailed(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	seen := make(watcher, 16)
	conn := start(t, srv, seen, func(r *outboundv1.Recipient) { r.Filter = `event.id == "e-2" && "duration" in vars` })
	publisher := bus.NewPublisher(conn)
	defer publisher.Close()
	for _, id := range []string{"e-1", "e-2"} {
		e := event.Sample(event.Catalogue()[1], "appliance-1", id, time.Now(), nil)
		if _, err := publisher.Accept(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if r := seen.next(t); r.Delivery.Event.ID == "e-1" {
			want(t, r.Verdict, delivery.Drop, reasons.FilterFalse)
		} else {
			want(t, r.Verdict, delivery.Delivered, reasons.OK)
		}
	}
	counts(t, srv, map[string]int{alice: 1, bob: 1})
}
