package config_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func TestTestEventGoesToItsRecipientAlone(t *testing.T) {
	h := start(t)
	in := httpRecipient("R")
	in.Appliances = []string{"a1"}
	h.create(in)
	h.create(httpRecipient("Other"))
	data, err := structpb.NewStruct(map[string]any{"external_key": "INC-99", "extra": "yes"})
	if err != nil {
		t.Fatal(err)
	}
	woken := make(chan []uint64, 1)
	stop, err := queue.New(h.bus).Expedited(recipient.HTTP, func(id string, sequences []uint64) {
		if id == "r" {
			woken <- sequences
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	sent, err := h.admin.TestRecipient(h.ctx(), &outboundv1.TestRecipientRequest{Id: "r", Data: data})
	if err != nil {
		t.Fatal(err)
	}
	appliance, _, ok := event.SplitKey(sent.GetEventId())
	if !ok || appliance != "outbound-test" {
		t.Errorf("the event's key is %s", sent.GetEventId())
	}
	h.waits("r", 1)
	h.waits("other", 0)
	last, err := eventlog.New(h.bus).LastSequence(h.ctx())
	if err != nil {
		t.Fatal(err)
	}
	// Its recipient is sent it though it may fail all the time.
	if got := <-woken; !slices.Equal(got, []uint64{last}) {
		t.Errorf("the senders are woken for %v, want %d", got, last)
	}
	e, err := eventlog.New(h.bus).StoredEvent(h.ctx(), last)
	if err != nil || e.Key() != sent.GetEventId() || e.Type != "support_conference_begin" || e.ExternalKey != "INC-99" ||
		!slices.Contains(e.Variables, event.Variable{Name: "extra", Value: "yes"}) {
		t.Errorf("stored %+v (%v)", e, err)
	}
}

func TestTestEventThatCannotBeIsRefused(t *testing.T) {
	h := start(t)
	h.create(emailRecipient("M"))
	_, err := h.admin.TestRecipient(h.ctx(), &outboundv1.TestRecipientRequest{Id: "nobody"})
	wantCode(t, err, codes.NotFound)
	_, err = h.admin.TestRecipient(h.ctx(), &outboundv1.TestRecipientRequest{Id: "m", EventType: "no_such_type"})
	wantFields(t, err, "eventType")
	_, err = h.admin.TestRecipient(h.ctx(), &outboundv1.TestRecipientRequest{Id: "m", EventType: "support_conference_begin"})
	wantFields(t, err, "eventType")
	data, _ := structpb.NewStruct(map[string]any{"external_key": strings.Repeat("x", 2000)})
	_, err = h.admin.TestRecipient(h.ctx(), &outboundv1.TestRecipientRequest{Id: "m", Data: data})
	wantCode(t, err, codes.InvalidArgument)
	if _, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{
		Recipient:  &outboundv1.Recipient{Id: "m", Enabled: proto.Bool(false), WhileDisabled: outboundv1.Recipient_WhileDisabled_HOLD},
		UpdateMask: mask("enabled", "while_disabled"),
	}); err != nil {
		t.Fatal(err)
	}
	_, err = h.admin.TestRecipient(h.ctx(), &outboundv1.TestRecipientRequest{Id: "m"})
	wantCode(t, err, codes.FailedPrecondition)
}
