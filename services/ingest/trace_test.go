package ingest_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// withTrace adds the attribute of the CloudEvents distributed tracing extension to an event.
func withTrace(e []byte, trace string) []byte {
	return fmt.Appendf(nil, `{"traceparent":%q,%s`, trace, e[1:])
}

func TestTraceContextIsReadInAnyCaseOnNATS(t *testing.T) {
	h := open(t, defaults(), "a-1")
	nc := h.appliance("a-1")
	r := &recipient.Recipient{ID: "r1", Enabled: true, EventTypes: []string{kind}, HTTP: &recipient.HTTPTarget{}, StartSequence: 1}
	must(t, control.New(h.bus).EnsureConsumer(t.Context(), r))
	names := []string{"ce-traceparent", "traceparent", "Traceparent", "TraceParent", "TRACEPARENT"}
	want := map[string]string{}
	for i, name := range names {
		m := nats.NewMsg(bus.IngestSubjectOf("a-1", kind))
		m.Data = eventJSON("a-1", "e-"+name)
		// Without an exporter a span of ours has an id of its own and the flags that came.
		trace := fmt.Sprintf("00-%032x-b7ad6b7169203331-01", i+1)
		if name == "ce-traceparent" {
			m.Data = withTrace(m.Data, trace)
		} else {
			m.Header[name] = []string{trace}
			m.Data = withTrace(m.Data, "00-0000000000000000000000000000000f-b7ad6b7169203331-01") // the request's comes first
		}
		want["e-"+name] = trace
		answer, err := nc.RequestMsg(m, waittest.Limit)
		must(t, err)
		if len(answer.Header) > 0 {
			t.Fatalf("%s: %s", name, answer.Data)
		}
	}
	p, err := queue.New(h.bus).Open(t.Context(), recipient.HTTP, "r1")
	must(t, err)
	defer p.Close()
	must(t, p.Pull(t.Context(), len(names), waittest.Limit, func(m delivery.Message) {
		trace := want[m.Event.ID]
		if got := m.TraceParent; len(got) != len(trace) || got[:36] != trace[:36] || got[53:] != trace[53:] {
			t.Errorf("%s is stored with %q, want the trace and flags of %q", m.Event.ID, got, trace)
		}
		delete(want, m.Event.ID)
	}))
	if len(want) > 0 {
		t.Errorf("not stored: %v", want)
	}
}
