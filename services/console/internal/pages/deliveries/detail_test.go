package deliveries_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

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
		"The service says why. 3 events are queued for the recipient.": {Health: outboundv1.RecipientHealth_OK, QueuedEvents: 3},
		"The service says why.</dd>":                                   {Health: outboundv1.RecipientHealth_OK},
		"The service says why. 1 event is qu":                          {Health: outboundv1.RecipientHealth_OK, QueuedEvents: 1},
	} {
		h := &history{detail: &outboundv1.DeliveryDetail{
			Delivery: &outboundv1.Delivery{EventId: "a1~e1", RecipientId: "crm", State: outboundv1.DeliveryState_WAITING,
				WaitReason: "queue", WaitDetail: "The service says why."},
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

func TestADeliveryShowsTheBreakerThatPausesIt(t *testing.T) {
	next := timestamppb.New(time.Now().Add(25 * time.Minute))
	d := &outboundv1.Delivery{EventId: "a1~e1", RecipientId: "crm", State: outboundv1.DeliveryState_RETRYING, Reason: "connect",
		NextAttemptTime: next, WaitReason: "breaker_open", WaitDetail: "The breaker is open."}
	h := &history{detail: &outboundv1.DeliveryDetail{Delivery: d, Attempts: []*outboundv1.Attempt{{Number: 1}}},
		list: &outboundv1.ListDeliveriesResponse{Deliveries: []*outboundv1.Delivery{d}}}
	since := timestamppb.New(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC))
	system := consoletest.Start(t, consoletest.Options{Register: func(r grpc.ServiceRegistrar) {
		outboundv1.RegisterDeliveryServiceServer(r, h)
		outboundv1.RegisterStatusServiceServer(r, recipientStatus{status: &outboundv1.RecipientStatus{
			RecipientId: "crm", BreakerOpen: true, BreakerSinceTime: since, ProbeInterval: durationpb.New(30 * time.Minute), QueuedEvents: 27,
		}})
	}})
	page := system.As("viewer").Get("/deliveries/crm/a1~e1").Body
	for _, want := range []string{
		"paused by the breaker since <time", "2026-11-21 10:00:00 UTC</time>, probing every 30 min, 27 waiting", "in 24 min",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	list := system.As("viewer").Get("/deliveries").Body
	if !strings.Contains(list, "in 24 min") || !strings.Contains(list, "paused by the breaker") {
		t.Error("the list does not say that the breaker pauses the delivery")
	}
	d.WaitReason, d.NextAttemptTime = "due", timestamppb.New(time.Now().Add(-4*time.Minute))
	if list := system.As("viewer").Get("/deliveries").Body; !strings.Contains(list, "due now") || strings.Contains(list, "4 min ago") {
		t.Error("a next attempt is shown in the past")
	}
}
