package ingest_test

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// A process that ends between storing an event and recording that leaves no record. The repeat makes up for it.
func TestARepeatRecordsWhatHasNoRecord(t *testing.T) {
	h := open(t, defaults(), "a-1")
	e, violations := event.Decode(eventJSON("a-1", "e-1"))
	if violations != nil {
		t.Fatal(violations)
	}
	p := bus.NewPublisher(h.bus)
	receipt, err := p.Accept(t.Context(), e)
	p.Close()
	must(t, err)
	if r := h.post(tokenOf("a-1"), "application/json", e.Raw); !r.Duplicate {
		t.Errorf("%+v", r)
	}
	h.until(func() error {
		rec, found, err := h.history.Intake(t.Context(), "a-1", "e-1")
		if err == nil && (!found || rec.Sequence != receipt.Sequence) {
			return fmt.Errorf("recorded %v: %+v", found, rec)
		}
		return err
	})
}

func TestOneApplianceGoneMadDoesNotFillTheHistory(t *testing.T) {
	h := open(t, defaults(), "a-1", "a-2")
	nc := h.appliance("a-1")
	sent := 0
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	must(t, err)
	for h.counts.of("unrecorded") == 0 { // a slow machine takes more than the burst, since turns come back meanwhile
		for range 1500 {
			must(t, nc.PublishRequest(bus.IngestSubjectOf("a-1", kind), inbox, []byte("{")))
			sent++
		}
		for range 1500 {
			_, err := sub.NextMsg(waittest.Limit)
			must(t, err)
		}
	}
	if n := h.counts.of("rejected MALFORMED_JSON nats"); n != sent {
		t.Errorf("counted %d", n)
	}
	if n := h.counts.of("unrecorded"); n >= sent {
		t.Errorf("%d without a record", n)
	}
	if r := h.post(tokenOf("a-2"), "application/json", []byte("{")); r.Status != 400 {
		t.Errorf("%+v", r)
	}
	h.until(func() error { _, err := h.newest("a-2", false); return err })
}

func TestAnEventAsAMessageIsTaken(t *testing.T) {
	h := open(t, defaults(), "a-1")
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+adminToken)
	data, err := structpb.NewStruct(map[string]any{"duration": 12, "customer": map[string]any{"name": "Maria"}})
	must(t, err)
	sent := &outboundv1.CloudEvent{Specversion: "1.0", Id: "e-1", Source: "a-1", Type: kind, Data: data}
	a, err := h.client.PublishEvent(ctx, &outboundv1.PublishEventRequest{Source: &outboundv1.PublishEventRequest_Event{Event: sent}})
	must(t, err)
	e, err := eventlog.New(h.bus).StoredEvent(t.Context(), a.GetSequence())
	must(t, err)
	if a.GetEventId() != "a-1~e-1" || len(e.Variables) != 2 || e.Variables[1].Value != "12" {
		t.Errorf("%v %s", a, e.Raw)
	}
	if _, err := h.client.PublishEvent(ctx, &outboundv1.PublishEventRequest{}); err == nil {
		t.Error("nothing was taken for an event")
	}
}
