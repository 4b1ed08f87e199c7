package bus_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
)

func TestTheHeaderOfADeliveryTellsItsLatency(t *testing.T) {
	h := deliverylog.New(bustest.Start(t).Conn())
	defer h.Close()
	accepted := time.Now().Add(-time.Hour)
	began := accepted.Add(90 * time.Second)
	early := accepted.Add(-time.Minute) // by a clock that was set
	for i, x := range []struct {
		state delivery.State
		began *time.Time
	}{{delivery.StateDelivered, &began}, {delivery.StateRetrying, &began}, {delivery.StateDelivered, &early}, {delivery.StateExpired, nil}} {
		rec := delivery.Record{
			Recipient: "r1", Channel: "http", EventID: string(rune('a' + i)), Appliance: "a1", Type: "t_one", State: x.state, Reason: reasons.OK,
			Attempt: 1, LastAttempt: x.began, TookMicros: 1_234_567, Accepted: accepted, Expire: accepted,
		}
		if err := append1(t, h, rec); err != nil {
			t.Fatal(err)
		}
	}
	f := newFollower(t)
	f.follow(h, accepted, 0)
	f.told(4)
	for sequence, want := range map[uint64]struct {
		took  time.Duration
		known bool
	}{1: {91234 * time.Millisecond, true}, 2: {}, 3: {0, true}, 4: {}} {
		if g := f.seen[sequence]; g.Latency != want.took || g.LatencyKnown != want.known {
			t.Errorf("record %d tells a latency of %s, %v; want %s, %v", sequence, g.Latency, g.LatencyKnown, want.took, want.known)
		}
	}
}

// TestTheHealthOfRecipientsIsReadWithoutWhatElseTheBucketHas has samples of queues in the bucket: they are told to who watches them, once
// written, and to nobody else.
func TestTheHealthOfRecipientsIsReadWithoutWhatElseTheBucketHas(t *testing.T) {
	s := control.NewHealthStore(bustest.Start(t).Conn())
	at := control.QueueSlot{Interval: time.Minute, Place: 7}
	sample := control.QueueSample{Slot: 4711, Total: 12, Waiting: map[string]int64{"crm": 12}}
	if err := s.PutQueueSample(t.Context(), at, sample); err != nil {
		t.Fatal(err)
	}
	if err := s.PutQueueSample(t.Context(), at, sample); err == nil {
		t.Error("a second process may write the same sample as the first one")
	}
	if _, err := s.Put(t.Context(), recipient.HTTP, "crm", health.Status{Health: health.Failing}, 0); err != nil {
		t.Fatal(err)
	}
	all, err := s.All(t.Context())
	if err != nil || len(all) != 1 {
		t.Errorf("the health of recipients is %v, %v", all, err)
	}
	told := make(chan control.QueueSample, 2)
	go func() {
		_ = s.WatchQueueSamples(t.Context(), nil, nil, func(where control.QueueSlot, x control.QueueSample) {
			if where == at {
				told <- x
			}
		})
	}()
	x := <-told
	if x.Slot != 4711 || x.Total != 12 || x.Waiting["crm"] != 12 || x.Revision == 0 {
		t.Errorf("the sample is %+v", x)
	}
	x.Total = 13
	if err := s.PutQueueSample(t.Context(), at, x); err != nil {
		t.Errorf("the sample can't be written over: %v", err)
	}
	if x = <-told; x.Total != 13 {
		t.Errorf("the sample after the change is %+v", x)
	}
}
