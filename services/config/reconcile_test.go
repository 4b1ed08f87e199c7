package config_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config"
)

// eager reconciles all the time.
func eager(o *config.Options) { o.ReconcileEvery = 20 * time.Millisecond }

func (h *fixture) consumers() []string {
	h.t.Helper()
	listed, err := control.New(h.bus).Consumers(h.ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	return listed.Names()
}

// filters are what a consumer gets.
func (h *fixture) filters(consumer string) []string {
	h.t.Helper()
	info, err := h.bus.IntakeConn().JetStream()
	if err != nil {
		h.t.Fatal(err)
	}
	ci, err := info.ConsumerInfo(bus.StreamEvents, consumer)
	if err != nil {
		h.t.Fatal(err)
	}
	got := ci.Config.FilterSubjects
	slices.Sort(got)
	return got
}

func TestConsumerFollowsItsRecipient(t *testing.T) {
	h := start(t)
	in := httpRecipient("R")
	in.Appliances = []string{"a1", "a2"}
	h.create(in)
	h.create(emailRecipient("M"))
	if got, want := h.consumers(), []string{"email-m", "http-r"}; !slices.Equal(got, want) {
		t.Fatalf("the consumers are %q, want %q", got, want)
	}
	want := []string{
		"outbound.events.a1.support_conference_begin", "outbound.events.a1.support_conference_end",
		"outbound.events.a2.support_conference_begin", "outbound.events.a2.support_conference_end", "outbound.replay.r",
	}
	if got := h.filters("http-r"); !slices.Equal(got, want) {
		t.Errorf("it gets %q, want %q", got, want)
	}
	change := &outboundv1.Recipient{Id: "r", EventTypes: []string{"support_conference_member_added"}}
	if _, err := h.admin.UpdateRecipient(h.ctx(),
		&outboundv1.UpdateRecipientRequest{Recipient: change, UpdateMask: mask("event_types", "appliances")}); err != nil {
		t.Fatal(err)
	}
	if got, want := h.filters("http-r"), []string{"outbound.events.*.support_conference_member_added",
		"outbound.replay.r"}; !slices.Equal(got, want) {
		t.Errorf("it gets %q, want %q", got, want)
	}
}

func TestDisablingOpensAndClosesWindows(t *testing.T) {
	h := start(t)
	h.create(httpRecipient("R"))
	set := func(enabled bool, policy outboundv1.Recipient_WhileDisabled_Policy) *outboundv1.StoredRecipient {
		t.Helper()
		_, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{
			Recipient:  &outboundv1.Recipient{Id: "r", Enabled: proto.Bool(enabled), WhileDisabled: policy},
			UpdateMask: mask("enabled", "while_disabled"),
		})
		if err != nil {
			t.Fatal(err)
		}
		return h.stored("r")
	}
	skip, hold := outboundv1.Recipient_WhileDisabled_SKIP, outboundv1.Recipient_WhileDisabled_HOLD
	if w := set(false, skip).GetDisabledWindows(); len(w) != 1 || w[0].GetEndTime() != nil {
		t.Errorf("disabled, the windows are %v", w)
	}
	if w := set(false, hold).GetDisabledWindows(); len(w) != 1 || w[0].GetEndTime() == nil {
		t.Errorf("held, the windows are %v", w)
	}
	if w := set(false, skip).GetDisabledWindows(); len(w) != 2 || w[1].GetEndTime() != nil {
		t.Errorf("skipping again, the windows are %v", w)
	}
	if w := set(true, skip).GetDisabledWindows(); len(w) != 2 || w[1].GetEndTime() == nil {
		t.Errorf("enabled, the windows are %v", w)
	}
	// Left out of a whole replacement, a recipient stays disabled.
	set(false, skip)
	whole := httpRecipient("R")
	whole.Id = "r"
	if r, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: whole}); err != nil || r.GetEnabled() {
		t.Errorf("replaced by %v (%v)", r, err)
	}
}

// drainOne settles one message, as a sender would.
func (h *fixture) drainOne(consumer string) {
	h.t.Helper()
	js, err := h.bus.IntakeConn().JetStream()
	if err != nil {
		h.t.Fatal(err)
	}
	sub, err := js.PullSubscribe("", consumer, nats.Bind(bus.StreamEvents, consumer))
	if err != nil {
		h.t.Fatal(err)
	}
	ms, err := sub.Fetch(1)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := ms[0].AckSync(); err != nil {
		h.t.Fatal(err)
	}
}

func TestDeletedRecipientGoesOnceItsQueueIsDrained(t *testing.T) {
	h := start(t, eager)
	h.create(httpRecipient("Idle"))
	busy := h.create(httpRecipient("Busy"))
	p := bus.NewPublisher(h.bus)
	defer p.Close()
	if _, err := p.Replay(h.ctx(), "busy", event.Sample(event.Catalogue()[0], "a1", "e1", time.Now(), nil), bus.Replay{ID: "r1"}); err != nil {
		t.Fatal(err)
	}
	stream, err := h.services.WatchRecipients(h.ctx(), &outboundv1.WatchRecipientsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"idle", "busy"} {
		if _, err := h.admin.DeleteRecipient(h.ctx(), &outboundv1.DeleteRecipientRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = h.admin.GetRecipient(h.ctx(), &outboundv1.GetRecipientRequest{Id: "busy"})
	wantCode(t, err, codes.NotFound)
	_, err = h.admin.DeleteRecipient(h.ctx(), &outboundv1.DeleteRecipientRequest{Id: "busy"})
	wantCode(t, err, codes.NotFound)
	if list, err := h.admin.ListRecipients(h.ctx(), &outboundv1.ListRecipientsRequest{}); err != nil || list.GetTotalSize() != 0 {
		t.Errorf("listed %v (%v)", list, err)
	}
	h.eventually("the idle one's consumer goes", func() bool { return slices.Equal(h.consumers(), []string{"http-busy"}) })
	// The senders are told, so that they drain.
	for told := false; !told; {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		r := m.GetRecipient().GetRecipient()
		told = r.GetId() == "busy" && r.GetDeleteTime() != nil
	}
	// The name is free at once, the id is not.
	again := httpRecipient(busy.GetDisplayName())
	again.Id = "busy"
	_, err = h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: again})
	wantCode(t, err, codes.AlreadyExists)
	again.Id = "busy-again"
	h.create(again)
	h.drainOne("http-busy")
	h.eventually("the drained one goes", func() bool {
		_, err := h.bucket(bus.BucketRecipients).Get(h.ctx(), "r.busy")
		return errors.Is(err, bus.ErrNotFound) && slices.Equal(h.consumers(), []string{"http-busy-again"})
	})
	if _, err := h.bucket(bus.BucketRecipients).Get(h.ctx(), "r.busy-again"); err != nil {
		t.Error(err)
	}
}

func TestWhatAKillLeftHalfDoneIsHealed(t *testing.T) {
	h := start(t)
	h.create(httpRecipient("Kept"))
	h.create(httpRecipient("Lost Consumer"))
	first := h.stored("lost-consumer").GetStartSequence()
	h.stop()
	b := h.bucket(bus.BucketRecipients)
	all, err := b.All(h.ctx(), "name.")
	if err != nil || len(all) != 2 {
		t.Fatalf("%d names (%v)", len(all), err)
	}
	// Killed between the name and the recipient; between the recipient and its consumer; between renaming and the old name;
	// between deleting the recipient and its consumer; and a name that went although its recipient stayed.
	if _, err := b.Create(h.ctx(), "name.orphan", []byte("never-made")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(h.ctx(), "name.former", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	if err := control.New(h.bus).DeleteConsumer(h.ctx(), recipient.HTTP, "lost-consumer"); err != nil {
		t.Fatal(err)
	}
	stray := &recipient.Recipient{ID: "stray", HTTP: &recipient.HTTPTarget{}, EventTypes: []string{"support_conference_end"}}
	if err := control.New(h.bus).EnsureConsumer(h.ctx(), stray); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if string(e.Value) == "kept" {
			if err := b.Delete(h.ctx(), e.Key, e.Revision); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.run(eager)
	h.eventually("consumers and names are as the recipients say", func() bool {
		names, err := b.All(h.ctx(), "name.")
		if err != nil {
			t.Fatal(err)
		}
		return slices.Equal(h.consumers(), []string{"http-kept", "http-lost-consumer"}) && len(names) == 2 &&
			!slices.ContainsFunc(names, func(e bus.Entry) bool { return e.Key == "name.orphan" || e.Key == "name.former" })
	})
	if got := h.stored("lost-consumer").GetStartSequence(); got != first {
		t.Errorf("its queue now starts at %d, want %d", got, first)
	}
	_, err = h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: httpRecipient("KEPT")})
	wantCode(t, err, codes.AlreadyExists)
}

func TestANameLeftBehindIsTakenOver(t *testing.T) {
	// Reconciling comes too late here: whoever wants the name gets it.
	h := start(t, func(o *config.Options) { o.OrphanAge = time.Nanosecond })
	h.create(httpRecipient("Name"))
	b := h.bucket(bus.BucketRecipients)
	names, err := b.All(h.ctx(), "name.")
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	if _, err := b.Update(h.ctx(), names[0].Key, []byte("gone"), names[0].Revision); err != nil {
		t.Fatal(err)
	}
	e, err := b.Get(h.ctx(), "r.name")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(h.ctx(), "r.name", e.Revision); err != nil {
		t.Fatal(err)
	}
	h.create(httpRecipient("Name"))
}

func TestConsumersComeBackWithTheBroker(t *testing.T) {
	h := start(t)
	h.create(httpRecipient("R"))
	h.broker.Restart()
	h.eventually("the service answers again", func() bool {
		_, err := h.admin.GetRecipient(h.ctx(), &outboundv1.GetRecipientRequest{Id: "r"})
		return err == nil
	})
	h.create(httpRecipient("S"))
	if got := h.consumers(); !slices.Equal(got, []string{"http-r", "http-s"}) {
		t.Errorf("the consumers are %q", got)
	}
}
