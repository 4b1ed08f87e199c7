package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/chain"
	"github.com/outbound-events/outbound/pkg/event"
)

// chained reads HISTORY from its beginning and returns the faults of its chains, and how many records there are and are linked.
func chained(t *testing.T, c *bus.Conn) (faults []chain.Fault, records, linked uint64) {
	t.Helper()
	s, err := c.JS.Stream(t.Context(), bus.StreamHistory)
	if err != nil {
		t.Fatal(err)
	}
	v := chain.NewVerifier()
	for i := s.CachedInfo().State.FirstSeq; i <= s.CachedInfo().State.LastSeq; i++ {
		m, err := s.GetMsg(t.Context(), i)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		records++
		v.Next(chain.Read{Sequence: i, Record: chain.Record{Subject: m.Subject, Header: m.Header, Data: m.Data}},
			chain.DigestOf(m.Subject, m.Header, m.Data))
	}
	return v.End(), records, v.Linked()
}

func chainedAttempt(event string, n int) delivery.Record {
	now := time.Now()
	return delivery.Record{Recipient: "crm", Channel: "http", EventID: event, Appliance: "tux", Type: "audio", Sequence: 1, Attempt: n,
		State: delivery.StateRetrying, Reason: "http_status", LastAttempt: &now, NextAttempt: &now, Accepted: now}
}

func TestRecordsAreChained(t *testing.T) {
	b := bustest.Start(t)
	conn := b.Conn()
	first, second := deliverylog.New(conn), deliverylog.New(b.Conn())
	t.Cleanup(first.Close)
	t.Cleanup(second.Close)
	var all sync.WaitGroup
	refused := 0
	var mu sync.Mutex
	done := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			refused++
		}
		all.Done()
	}
	for i := range 300 {
		log := first
		if i%3 == 0 {
			log = second
		}
		id := fmt.Sprint("e", i)
		all.Add(3)
		log.AppendIntake(event.IntakeRecord{EventID: id, Appliance: "tux", Type: "audio", Accepted: i%7 > 0, Time: time.Now()}, done)
		log.AppendAttempt(chainedAttempt(id, 1), done)
		// Those of every tenth event are refused: as a duplicate, or because another record stands before it.
		if i%10 == 0 {
			all.Add(2)
			log.AppendAttempt(chainedAttempt(id, 1), done)
			log.AppendAfter(chainedAttempt(id, 2), 1_000_000, done)
		}
		log.AppendAttempt(chainedAttempt(id, 3), done)
	}
	all.Wait()
	// Those that follow tell which records of the last groups are not stored.
	for i, log := range []*deliverylog.Log{first, second} {
		all.Add(1)
		log.AppendAttempt(chainedAttempt(fmt.Sprint("later", i), 1), done)
	}
	all.Wait()
	for i := range 5 {
		found, err := first.Attempts(t.Context(), deliverylog.AttemptFilter{EventID: fmt.Sprint("e", i)}, 0, 1)
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		if err := first.AppendChange(context.Background(), chainedAttempt(fmt.Sprint("e", i), 4), found[0].Sequence); err != nil {
			t.Fatal(err)
		}
		if err := first.AppendChange(context.Background(), chainedAttempt(fmt.Sprint("e", i), 5), 1); !errors.Is(err, bus.ErrConflict) {
			t.Fatalf("a change behind another record: %v", err)
		}
	}
	faults, records, linked := chained(t, conn)
	if len(faults) > 0 || records != 907 || linked != records || refused < 60 {
		t.Errorf("%d records, %d of them in chains, %d refused, faults %v", records, linked, refused, faults)
	}
	removeOne(t, conn)
}

// removeOne removes a record, and has it found.
func removeOne(t *testing.T, conn *bus.Conn) {
	t.Helper()
	s, err := conn.JS.Stream(t.Context(), bus.StreamHistory)
	if err == nil {
		err = s.DeleteMsg(t.Context(), 40)
	}
	if err != nil {
		t.Fatal(err)
	}
	if faults, _, _ := chained(t, conn); len(faults) != 1 || faults[0].After >= 40 || faults[0].Before <= 40 {
		t.Errorf("record 40 was removed: %v", faults)
	}
}
