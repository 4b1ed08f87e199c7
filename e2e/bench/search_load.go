package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
)

// loader writes a log as a busy installation would have: each event goes to five of the recipients, a tenth of the deliveries fail at
// first, a session has four events, two sessions share an external key.
type loader struct {
	log        *deliverylog.Log
	recipients []string
	random     *rand.Rand
	records    int
	events     int
	// middle is when half of it was written.
	middle  time.Time
	failed  atomic.Pointer[error]
	writing sync.WaitGroup
}

const (
	perEvent    = 5
	perSession  = 4
	perKey      = 8
	appliances  = 20
	emailEvery  = 5
	rejectEvery = 500
	// replayEvents is how many events one replay is spread over; it has about fifty deliveries.
	replayEvents = 5_000
)

// load fills the log of a system that does not run.
func (b *bench) load(h *harness.System, recipients []string, records int) *loader {
	broker, err := embed.Start(embed.Options{StoreDir: filepath.Join(h.Dir, "data", "broker"), Host: "127.0.0.1"})
	if err != nil {
		b.Fatalf("start the broker to load the log: %v", err)
	}
	defer broker.Shutdown()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := bus.Connect(ctx, bus.Options{Name: "loader", User: embed.CoreUser, Password: broker.CorePassword(), InProcess: broker,
		Relaxed: true})
	if err != nil {
		b.Fatalf("connect to the broker to load the log: %v", err)
	}
	defer c.Close()
	//nolint:gosec // the same log in each run
	l := &loader{log: deliverylog.New(c), recipients: recipients, random: rand.New(rand.NewPCG(1, 2))}
	began := time.Now()
	for l.records < records {
		l.event()
		if l.middle.IsZero() && l.records > records/2 {
			l.middle = time.Now()
		}
	}
	l.writing.Wait()
	l.log.Close()
	if err := l.failed.Load(); err != nil {
		b.Fatalf("load the log: %v", *err)
	}
	b.Logf("%d records of %d events written in %s", l.records, l.events, time.Since(began).Round(time.Second))
	return l
}

func (l *loader) done(err error) {
	if err != nil {
		l.failed.Store(&err)
	}
	l.writing.Done()
}

func loadedID(n int) string      { return fmt.Sprintf("load-%07d", n) }
func loadedSession(n int) string { return fmt.Sprintf("%032x", n/perSession) }

// loadedReplay is the replay that stands for the events around the n-th.
func loadedReplay(n int) string { return fmt.Sprintf("01LOADED%018d", n/replayEvents) }
func loadedKey(n int) string    { return fmt.Sprint("INC-", n/perKey) }
func loadedAppliance(n int) string {
	return fmt.Sprint("site-", n%appliances)
}

// loadedTypes are the types of the events. Each is wanted by as many recipients as an event goes to.
func loadedTypes() []string {
	return []string{
		"support_conference_begin", "support_conference_end", "support_conference_owner_changed", "support_conference_member_added",
		"support_conference_member_departed", "access_session_begin", "access_session_end", "access_session_owner_changed",
		"access_session_member_added", "access_session_member_departed",
	}
}

// event writes the records of one more event.
func (l *loader) event() {
	n := l.events
	l.events++
	now := time.Now()
	in := event.IntakeRecord{
		Accepted: n%rejectEvery != rejectEvery-1, Appliance: loadedAppliance(n), EventID: loadedID(n), Type: loadedTypes()[n%len(loadedTypes())],
		Session: loadedSession(n), ExternalKey: loadedKey(n), EventTime: &now, Time: now, Sequence: uint64(n + 1), Via: "nats",
	}
	if !in.Accepted {
		in.Raw = []byte(`{"specversion":"1.0"}`)
		in.Violations = event.Violations{{Field: "type", Reason: "UNKNOWN_TYPE", Description: "is not in the catalogue"}}
	}
	l.records++
	l.writing.Add(1)
	l.log.AppendIntake(in, l.done)
	for k := 0; in.Accepted && k < perEvent; k++ {
		l.delivery(in, (n+k*len(loadedTypes()))%len(l.recipients))
	}
}

// delivery writes the attempts of one delivery.
func (l *loader) delivery(in event.IntakeRecord, to int) {
	rec := delivery.Record{
		Recipient: l.recipients[to], Channel: "http", EventID: in.EventID, Appliance: in.Appliance, Type: in.Type, Session: in.Session,
		ExternalKey: in.ExternalKey, Sequence: in.Sequence, State: delivery.StateDelivered, Reason: reasons.OK, Attempt: 1, Status: 200,
		TookMicros: 1500, Excerpt: []byte("ok"), Revision: 1, Accepted: in.Time, FirstAttempt: &in.Time, LastAttempt: &in.Time,
		Expire: in.Time.Add(24 * time.Hour),
	}
	if to%emailEvery == 0 {
		rec.Channel, rec.Status = "email", 250
	}
	if x := l.random.IntN(1000); x < 100 {
		next := in.Time.Add(30 * time.Second)
		failed := rec
		failed.State, failed.NextAttempt, failed.Excerpt = delivery.StateRetrying, &next, []byte("the application is being restarted")
		failed.Reason, failed.Status, failed.Detail = failure(x)
		l.write(failed)
		rec.Attempt = 2
		switch {
		case x%10 == 0: // it is tried still
			return
		case x%10 == 1:
			rec.State, rec.Reason, rec.Status, rec.Detail = delivery.StateExpired, reasons.Expired, 0, "not delivered within 24h"
		case x%50 == 2:
			rec.State, rec.Reason, rec.Status = delivery.StateCancelled, reasons.Cancelled, 0
		case x%10 == 3:
			rec.State, rec.Reason, rec.Status = delivery.StateRejected, reasons.Gone, 410
		}
	} else if x < 110 {
		rec.State, rec.Reason, rec.Status, rec.Attempt, rec.FirstAttempt, rec.LastAttempt = delivery.StateSkipped, reasons.FilterFalse,
			0, 0, nil, nil
	} else if x < 112 {
		rec.ReplayID, rec.Actor = loadedReplay(l.events), "bench"
	}
	l.write(rec)
}

// failure is what a delivery failed with first.
func failure(x int) (reasons.Reason, int, string) {
	switch x % 7 {
	case 0:
		return reasons.Timeout, 0, "no answer within 15s"
	case 1:
		return reasons.Connect, 0, "connection refused"
	case 2:
		return reasons.TLS, 0, "the certificate has expired"
	default:
		return reasons.HTTPStatus, 503, "answered 503"
	}
}

func (l *loader) write(rec delivery.Record) {
	l.records++
	l.writing.Add(1)
	l.log.AppendAttempt(rec, l.done)
}
