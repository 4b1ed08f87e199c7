package bus_test

import (
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestADeliveryCarriesTheTraceThatTheEventWasAcceptedIn(t *testing.T) {
	c := bustest.Start(t).Conn()
	r := &recipient.Recipient{ID: "r1", Enabled: true, EventTypes: []string{"support_conference_begin"}, HTTP: &recipient.HTTPTarget{},
		StartSequence: 1}
	if err := control.New(c).EnsureConsumer(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	pub := bus.NewPublisher(c)
	defer pub.Close()
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 2}, SpanID: trace.SpanID{3}, TraceFlags: trace.FlagsSampled,
	}))
	if _, err := pub.Accept(ctx, newEvent(t, "e-1")); err != nil {
		t.Fatal(err)
	}
	p, err := queue.New(c).Open(t.Context(), recipient.HTTP, "r1")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	got := ""
	if err := p.Pull(t.Context(), 1, waittest.Limit, func(m delivery.Message) { got = m.TraceParent }); err != nil {
		t.Fatal(err)
	}
	if want := "00-01020000000000000000000000000000-0300000000000000-01"; got != want {
		t.Errorf("the trace is %q, want %q", got, want)
	}
}
