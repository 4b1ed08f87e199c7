package config_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config"
)

const (
	typeBegin = "support_conference_begin"
	typeEnd   = "support_conference_end"
	typeAdded = "support_conference_member_added"
)

// behindProxy is a system whose service reaches the broker through a proxy.
func behindProxy(t *testing.T, adapt ...func(*config.Options)) (*fixture, *bustest.Proxy) {
	t.Helper()
	h := start(t, adapt...)
	h.stop()
	p := bustest.StartProxy(t, h.broker)
	h.own = p.Conn()
	return h, p
}

// jet is the broker's API, used behind the service's back.
func (h *fixture) jet() jetstream.JetStream {
	h.t.Helper()
	js, err := jetstream.New(h.bus.IntakeConn())
	if err != nil {
		h.t.Fatal(err)
	}
	return js
}

// consumer is what the broker says of a recipient's consumer; nil if there is none.
func (h *fixture) consumer(id string) *jetstream.ConsumerInfo {
	h.t.Helper()
	c, err := h.jet().Consumer(h.ctx(), bus.StreamEvents, "http-"+id)
	if err != nil {
		return nil
	}
	return c.CachedInfo()
}

// asSaid says in which way a consumer is not what its recipient says; empty if it is.
func (h *fixture) asSaid(id string) string {
	h.t.Helper()
	info := h.consumer(id)
	if info == nil {
		return "it is not there"
	}
	r := h.stored(id).GetRecipient()
	var want []string
	for _, t := range r.GetEventTypes() {
		want = append(want, "outbound.events.*."+t)
	}
	want = append(want, "outbound.replay."+id)
	slices.Sort(want)
	have := slices.Clone(info.Config.FilterSubjects)
	slices.Sort(have)
	holds := !r.GetEnabled() && r.GetWhileDisabled() == outboundv1.Recipient_WhileDisabled_HOLD
	pending := 3_000
	if r.GetHttp().GetOrder() == outboundv1.HttpRecipient_Order_STRICT {
		pending = 1
	}
	switch {
	case !slices.Equal(have, want):
		return fmt.Sprintf("it gets %q, not %q", have, want)
	case info.Paused != holds:
		return fmt.Sprintf("paused is %v, not %v", info.Paused, holds)
	case info.Config.MaxAckPending != pending || info.Config.AckWait != bus.AckWait || info.Config.HeadersOnly:
		return fmt.Sprintf("it is %+v", info.Config)
	default:
		return ""
	}
}

func newEvent(t *testing.T, eventType, id string) *event.Event {
	t.Helper()
	now := time.Now().UTC().Format(time.RFC3339Nano)
	e, faults := event.Decode(fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"a1","type":%q,"time":%q}`, id, eventType, now))
	if len(faults) > 0 {
		t.Errorf("event %s: %v", id, faults)
	}
	return e
}

// event stores an event of a type and returns its sequence.
func (h *fixture) event(p *bus.Publisher, eventType, id string) uint64 {
	h.t.Helper()
	r, err := p.Accept(h.ctx(), newEvent(h.t, eventType, id))
	if err != nil {
		h.t.Fatal(err)
	}
	return r.Sequence
}

func (h *fixture) tryUpdate(ctx context.Context, r *outboundv1.Recipient, fields ...string) error {
	_, err := h.admin.UpdateRecipient(ctx, &outboundv1.UpdateRecipientRequest{Recipient: r, UpdateMask: mask(fields...)})
	return err
}

func (h *fixture) setTypes(ctx context.Context, id string, types ...string) error {
	return h.tryUpdate(ctx, &outboundv1.Recipient{Id: id, EventTypes: types}, "event_types")
}

func (h *fixture) enable(ctx context.Context, id string, enabled bool) error {
	return h.tryUpdate(ctx, &outboundv1.Recipient{Id: id, Enabled: proto.Bool(enabled)}, "enabled")
}

// passed waits until a reconcile pass that began after this call has ended: a recipient that is deleted goes in the second.
func (h *fixture) passed() {
	h.t.Helper()
	id := h.create(httpRecipient(fmt.Sprintf("Marker %d", time.Now().UnixNano()))).GetId()
	if _, err := h.admin.DeleteRecipient(h.ctx(), &outboundv1.DeleteRecipientRequest{Id: id}); err != nil {
		h.t.Fatal(err)
	}
	h.eventually("a pass has ended", func() bool {
		_, err := h.bucket(bus.BucketRecipients).Get(h.ctx(), "r."+id)
		return err != nil
	})
}

// TestAConsumerChangedByAnOperatorIsRepaired changes a consumer behind the service's back.
func TestAConsumerChangedByAnOperatorIsRepaired(t *testing.T) {
	h := start(t, eager)
	h.create(httpRecipient("R"))
	h.passed()
	want := h.consumer("r").Config
	for name, change := range map[string]func(c *jetstream.ConsumerConfig){
		"filters":            func(c *jetstream.ConsumerConfig) { c.FilterSubjects = []string{"outbound.replay.r"} },
		"max ack pending":    func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 7 },
		"ack wait":           func(c *jetstream.ConsumerConfig) { c.AckWait = time.Second },
		"backoff":            func(c *jetstream.ConsumerConfig) { c.BackOff = []time.Duration{bus.AckWait, time.Hour} },
		"headers only":       func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true },
		"inactive threshold": func(c *jetstream.ConsumerConfig) { c.InactiveThreshold = time.Hour },
		"max request batch":  func(c *jetstream.ConsumerConfig) { c.MaxRequestBatch = 1 },
		"max deliver":        func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 3 },
		"priority groups": func(c *jetstream.ConsumerConfig) {
			c.PriorityPolicy, c.PriorityGroups = jetstream.PriorityPolicyOverflow, []string{"g"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			changed := want
			change(&changed)
			after, err := h.jet().UpdateConsumer(h.ctx(), bus.StreamEvents, changed)
			if err != nil {
				t.Fatal(err)
			}
			if same(after.CachedInfo().Config, want) {
				t.Fatal("nothing was changed")
			}
			h.eventually("it is what it was", func() bool { return same(h.consumer("r").Config, want) })
		})
	}
}

func same(a, b jetstream.ConsumerConfig) bool {
	a.Metadata, b.Metadata = nil, nil
	return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b)
}

func TestAPauseByAnOperatorIsLiftedAndAHoldRestored(t *testing.T) {
	h := start(t, eager)
	h.create(httpRecipient("Runs"))
	held := httpRecipient("Holds")
	held.Enabled, held.WhileDisabled = proto.Bool(false), outboundv1.Recipient_WhileDisabled_HOLD
	h.create(held)
	h.passed()
	if _, err := h.jet().PauseConsumer(h.ctx(), bus.StreamEvents, "http-runs", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.jet().ResumeConsumer(h.ctx(), bus.StreamEvents, "http-holds"); err != nil {
		t.Fatal(err)
	}
	h.eventually("both are as their recipients say", func() bool { return h.asSaid("runs") == "" && h.asSaid("holds") == "" })
	// A hold that would end by itself is none.
	if _, err := h.jet().PauseConsumer(h.ctx(), bus.StreamEvents, "http-holds", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	h.eventually("the hold is one without an end", func() bool { return h.consumer("holds").PauseRemaining > 24*time.Hour })
}

// leaveBehind makes a consumer without a recipient.
func (h *fixture) leaveBehind(id string) {
	h.t.Helper()
	r := &recipient.Recipient{ID: id, Enabled: true, HTTP: &recipient.HTTPTarget{}, EventTypes: []string{typeEnd}}
	if err := control.New(h.bus).EnsureConsumer(h.ctx(), r); err != nil {
		h.t.Fatal(err)
	}
}

// TestACreatedRecipientKeepsItsConsumer creates a recipient while a pass, which has seen a left-over consumer of its id, goes on.
func TestACreatedRecipientKeepsItsConsumer(t *testing.T) {
	h, proxy := behindProxy(t)
	h.run()
	h.create(httpRecipient("First"))
	h.stop()
	if err := control.New(h.bus).DeleteConsumer(h.ctx(), recipient.HTTP, "first"); err != nil {
		t.Fatal(err)
	}
	h.leaveBehind("again")
	// The pass makes the first one's consumer before it deletes what is left over.
	held := proxy.Hold(0, func(subject, body string) bool { return strings.Contains(subject+body, ".r.first") })
	h.run()
	<-held.Arrived
	in := httpRecipient("Again")
	in.Id = "again"
	h.create(in)
	made := h.consumer("again")
	held.Release()
	h.passed()
	if now := h.consumer("again"); made == nil || now == nil || !now.Created.Equal(made.Created) {
		t.Errorf("the consumer of the recipient that was just created was %v, and is %v", made, now)
	}
}

// TestACreatedRecipientInheritsNoQueue creates a recipient where an earlier one with its id has left an empty consumer. One with a queue is
// that of a recipient that was lost, which takes it over.
func TestACreatedRecipientInheritsNoQueue(t *testing.T) {
	h := start(t)
	h.passed()
	p := bus.NewPublisher(h.bus)
	t.Cleanup(p.Close)
	h.leaveBehind("again")
	h.event(p, "support_conference_begin", "before")
	in := httpRecipient("Again")
	in.Id = "again"
	last := h.lastSequence()
	h.create(in)
	h.event(p, typeEnd, "after")
	h.waits("again", 1)
	if c := h.consumer("again"); c.Config.OptStartSeq != last+1 {
		t.Errorf("its queue begins at %d, want %d", c.Config.OptStartSeq, last+1)
	}
}
