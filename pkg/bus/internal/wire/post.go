package wire

import (
	"context"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/propagation"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/delivery/chain"
	"github.com/outbound-events/outbound/pkg/event"
)

// Post is a message on its way to a stream.
type Post struct {
	Msg   *nats.Msg
	Since time.Time
	// background says that nobody waits for it.
	Background bool
	// stored, if set, tells whether a message that is repeated late was stored before.
	Stored func(context.Context) (bool, error)
	// newest, if set, is a filter that nothing in the stream may match yet, unless the message says what may. It is compared when the
	// message is repeated: the first publish may be stored, and the broker knows message ids for a while only.
	Newest string
	Done   func(Receipt, error)
	// ours says that the message is stored, and was not before.
	ours bool
}

// repeat readies a message whose first publish has no definite result.
func (p *Post) repeat() {
	if p.Newest != "" && p.Msg.Header.Get(headerExpectedFor) == "" {
		Compare(p.Msg, p.Newest, 0)
	}
}

// Compare has the broker refuse a message unless the newest one that a filter matches stands at a sequence; 0: there is none.
func Compare(m *nats.Msg, filter string, sequence uint64) {
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(sequence, 10))
	m.Header.Set(headerExpectedFor, filter)
}

// headerExpectedFor is the filter that an expected sequence is of.
const headerExpectedFor = "Nats-Expected-Last-Subject-Sequence-Subject"

// PutEvent writes an event into a message. Headers tell the appliance and the type where the event itself names others.
func PutEvent(m *nats.Msg, e *event.Event) {
	m.Data = e.Raw
	if e.Source != "" && e.Source != e.Appliance {
		m.Header.Set(names.HeaderAppliance, e.Appliance)
	}
	if e.SentType != "" && e.SentType != e.Type {
		m.Header.Set(names.HeaderType, e.Type)
	}
}

// Event reads the event of a message in EVENTS.
func Event(m *nats.Msg) (*event.Event, event.Violations) {
	return event.Stored(m.Data, m.Header.Get(names.HeaderAppliance), m.Header.Get(names.HeaderType))
}

// The headers that carry the W3C trace context of an event's acceptance, as they stand in messages.
const (
	HeaderTraceParent = "Traceparent"
	headerTraceState  = "Tracestate"
)

// carrier writes a trace context into a message's headers. Those of NATS tell upper from lower case, and the headers' names are
// known, so that none has to be brought into its canonical spelling for each message.
type carrier nats.Header

var _ propagation.TextMapCarrier = carrier{}

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string { return nats.Header(c).Get(headerOf(key)) }

// Set implements propagation.TextMapCarrier.
func (c carrier) Set(key, value string) { nats.Header(c).Set(headerOf(key), value) }

// Keys implements propagation.TextMapCarrier.
func (c carrier) Keys() []string { return []string{"traceparent", "tracestate"} }

func headerOf(key string) string {
	if key == "tracestate" {
		return headerTraceState
	}
	return HeaderTraceParent
}

// Inject has a message carry the trace context of ctx.
func Inject(ctx context.Context, m *nats.Msg) {
	propagation.TraceContext{}.Inject(ctx, carrier(m.Header))
}

// BatchWait is how long a committer waits for more messages: the longest, or background if nobody waits for the first one, looking at
// each step.
type BatchWait struct {
	longest, background, step time.Duration
	// growing has it wait only as long as more come.
	growing bool
	// linked has the messages be records of a chain.
	linked bool
}

// Events is how the committer of EVENTS waits.
func Events() BatchWait { return BatchWait{longest: eventWait, step: eventStep, growing: true} }

// Records is how the committer of HISTORY waits.
func Records() BatchWait {
	return BatchWait{longest: recordWait, background: intakeWait, step: recordStep, linked: true}
}

// link makes the messages of a group the next ones of their chain.
func (k *Committer) link(group []*Post) {
	if k.chain == nil {
		return
	}
	k.chain.Begin()
	for _, p := range group {
		k.chain.Link(chain.Record{Subject: p.Msg.Subject, Header: p.Msg.Header, Data: p.Msg.Data})
	}
}

// linked tells the chain which messages of a group are stored, once each has its result.
func (k *Committer) linked(group []*Post) {
	if k.chain == nil {
		return
	}
	stored := make([]bool, len(group))
	for i, p := range group {
		stored[i] = p.ours
	}
	k.chain.End(stored)
}
