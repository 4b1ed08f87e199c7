package deliveries_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/consoletest"
)

// recipientStatus is a fake status service with one recipient.
type recipientStatus struct {
	outboundv1.UnimplementedStatusServiceServer
	status *outboundv1.RecipientStatus
}

func (s recipientStatus) GetStatus(context.Context, *outboundv1.GetStatusRequest) (*outboundv1.Status, error) {
	return &outboundv1.Status{Recipients: []*outboundv1.RecipientStatus{s.status}}, nil
}

func TestDeliveryPageShowsTheErrorOfTheDelivery(t *testing.T) {
	h := &history{detail: &outboundv1.DeliveryDetail{
		Delivery: &outboundv1.Delivery{EventId: "a1~e1", State: outboundv1.DeliveryState_RETRYING, Reason: "connect",
			Detail: "connection refused"},
	}}
	page := start(t, h).As("viewer").Get("/deliveries/crm/a1~e1")
	if page.Status != http.StatusOK || !strings.Contains(page.Body,
		`<strong>connection failed</strong> <span class="quiet">connection refused</span>`) {
		t.Errorf("%d %s", page.Status, page.Body)
	}
}

func TestWaitingDeliveryShowsWhyItWaits(t *testing.T) {
	for want, s := range map[string]*outboundv1.RecipientStatus{
		"The recipient is failing.":                {Health: outboundv1.RecipientHealth_FAILING, QueuedEvents: 3},
		"The recipient is paused.":                 {Health: outboundv1.RecipientHealth_PAUSED},
		"3 events are queued for the recipient.":   {Health: outboundv1.RecipientHealth_OK, QueuedEvents: 3},
		"Waiting for first attempt.</p>":           {Health: outboundv1.RecipientHealth_OK},
		"Waiting for first attempt. 1 event is qu": {Health: outboundv1.RecipientHealth_OK, QueuedEvents: 1},
	} {
		h := &history{detail: &outboundv1.DeliveryDetail{
			Delivery: &outboundv1.Delivery{EventId: "a1~e1", RecipientId: "crm", State: outboundv1.DeliveryState_WAITING},
		}}
		system := consoletest.Start(t, consoletest.Options{Register: func(r grpc.ServiceRegistrar) {
			outboundv1.RegisterDeliveryServiceServer(r, h)
			outboundv1.RegisterStatusServiceServer(r, recipientStatus{status: s})
		}})
		if page := system.As("viewer").Get("/deliveries/crm/a1~e1"); !strings.Contains(page.Body, want) {
			t.Errorf("the page does not show %q: %s", want, page.Body)
		}
	}
}
