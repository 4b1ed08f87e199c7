package bus_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasonclass"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
)

func (f *follower) follow(h *deliverylog.Log, since time.Time, newest uint64) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { h.Follow(ctx, f.follower(since, newest)) })
	f.t.Cleanup(wg.Wait)
	f.t.Cleanup(cancel)
}

func newFollower(t *testing.T) *follower {
	return &follower{t: t, seen: map[uint64]deliverylog.RecordHeader{}, caught: make(chan struct{}, 1)}
}

func appendIntake(t *testing.T, h *deliverylog.Log, rec event.IntakeRecord) {
	t.Helper()
	done := make(chan error, 1)
	h.AppendIntake(rec, func(err error) { done <- err })
	if err := unlessStored(<-done); err != nil {
		t.Fatal(err)
	}
}

func TestARecordHeaderHoldsWhatARecordIsSearchedBy(t *testing.T) {
	h := deliverylog.New(bustest.Start(t).Conn())
	defer h.Close()
	now := time.Now()
	appendIntake(t, h, event.IntakeRecord{Accepted: true, Appliance: "a1", EventID: "e-1", Type: "t_one", Session: "s-1",
		ExternalKey: "INC 1/2", Time: now})
	// What is refused may hold anything; nobody can ask for such a type. A hash stands for a long session.
	appendIntake(t, h, event.IntakeRecord{Appliance: "a2", EventID: "e-2", Type: "no\r\nNats-Msg-Id: type/at all",
		Session: strings.Repeat("s", 1000), Time: now})
	attempt := delivery.Record{
		Recipient: "r1", Channel: "http", EventID: "e-1", Appliance: "a1", Type: "t_one", ReplayID: "01R", State: delivery.StateRetrying,
		Reason: reasons.HTTPStatus, Status: 503, Attempt: 1, LastAttempt: &now, Accepted: now, Expire: now,
	}
	if err := append1(t, h, attempt); err != nil {
		t.Fatal(err)
	}
	attempt.State, attempt.Reason, attempt.Status = delivery.StateCancelled, reasons.Cancelled, 0
	if err := h.AppendChange(t.Context(), attempt, 3); err != nil {
		t.Fatal(err)
	}
	f := newFollower(t)
	f.follow(h, now.Add(-time.Minute), 0)
	f.told(4)
	want := map[uint64]deliverylog.RecordHeader{
		1: {Intake: true, Accepted: true, Appliance: "a1", EventID: "e-1", Type: "t_one", Session: "s-1", Key: deliverylog.KeyToken("INC 1/2")},
		2: {Intake: true, Appliance: "a2", EventID: "e-2", Type: "?", Session: event.Token(strings.Repeat("s", 1000)), Key: "-"},
		3: {Recipient: "r1", State: delivery.StateRetrying, Type: "t_one", Session: "-", Key: "-", Appliance: "a1", EventID: "e-1",
			ReplayID: "01R",
			Channel:  "http", Reason: reasons.HTTPStatus, Class: reasonclass.HTTP5xx, Tried: true},
		4: {Recipient: "r1", State: delivery.StateCancelled, Type: "t_one", Session: "-", Key: "-", Appliance: "a1", EventID: "e-1",
			ReplayID: "01R",
			Channel:  "http", Reason: reasons.Cancelled, Class: reasonclass.Cancelled, Tried: true},
	}
	rest := cmpopts.IgnoreFields(deliverylog.RecordHeader{}, "Sequence", "Stored", "Subject", "Digest")
	if diff := cmp.Diff(want, f.seen, rest); diff != "" {
		t.Error(diff)
	}
}

func TestFollowersAreToldTheNewestInAnyCase(t *testing.T) {
	h := deliverylog.New(bustest.Start(t).Conn())
	defer h.Close()
	recordFrom(t, h, 0, 50)
	f := newFollower(t)
	f.follow(h, time.Now().Add(time.Hour), 20)
	f.told(20)
	recordFrom(t, h, 50, 3)
	f.told(23)
	if _, ok := f.seen[31]; !ok || len(f.seen) != 23 {
		t.Errorf("the newest of 50 are not those told: %d", len(f.seen))
	}
}

// TestALogThatLostItsEndIsToldAnew has the log begin again, as after the loss of a broker's disk: the sequences are used again.
func TestALogThatLostItsEndIsToldAnew(t *testing.T) {
	b := bustest.Start(t)
	c := b.Conn()
	h := deliverylog.New(c)
	defer h.Close()
	recordFrom(t, h, 0, 30)
	f := newFollower(t)
	f.follow(h, time.Time{}, 0)
	f.told(30)
	nc, err := nats.Connect(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), bus.StreamHistory); err != nil {
		t.Fatal(err)
	}
	if err := c.CreateStreams(t.Context(), bustest.StreamOptions()); err != nil {
		t.Fatal(err)
	}
	recordFrom(t, h, 100, 40)
	f.told(40)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.again != 1 || f.seen[1].EventID != "e-100" || f.seen[40].EventID != "e-139" {
		t.Errorf("told anew %d times, first %+v, last %+v", f.again, f.seen[1], f.seen[40])
	}
}
