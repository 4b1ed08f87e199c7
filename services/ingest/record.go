package ingest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

const (
	// rejectionBurst and rejectionRate (a second) bound the rejected records of one appliance, and of all senders that are no
	// known appliance together: history drops its oldest records, and one appliance gone mad must not push out the rest.
	rejectionBurst = 1000
	rejectionRate  = 20
	// rejectionsPending is how many rejected records may wait to be written; more are counted and let go. It has room for the
	// bursts of several appliances, so that one gone mad leaves some to the others.
	rejectionsPending = 4 * rejectionBurst
	// lineBurst and lineRate (a second) bound the log lines of the same; a line says how many were left out before it.
	lineBurst = 20
	lineRate  = 1
)

// recorder writes decisions into history, one log line for each rejection, and the counters.
type recorder struct {
	history *deliverylog.Log
	deps    Deps
	pending atomic.Int64

	mu     sync.Mutex
	limits map[string]*rejections
}

// rejections bounds what one sender's rejected events leave behind.
type rejections struct {
	records, lines *rate.Limiter
	// unsaid is how many had no log line since the last that had.
	unsaid atomic.Int64
}

func newRecorder(h *deliverylog.Log, deps Deps) *recorder {
	return &recorder{history: h, deps: deps, limits: map[string]*rejections{}}
}

// What is decided on an event, in metrics.
const (
	decidedAccepted  = "accepted"
	decidedDuplicate = "duplicate"
	decidedRejected  = "rejected"
	decidedRefused   = "refused"
)

// accepted records an acceptance and calls done with whether it has a record. A duplicate is recorded only if the first record is
// missing, because the process stopped between storing the event and writing its record.
func (r *recorder) accepted(ctx context.Context, s submitted, receipt bus.Receipt, done func(recorded bool)) {
	if receipt.Duplicate {
		r.deps.Observer.Decided(decidedDuplicate, "", s.via)
		if _, found, err := r.history.Intake(ctx, s.event.Appliance, s.event.ID); found || err != nil {
			done(true) // or the first one's process has it in doubt
			return
		}
	} else {
		r.deps.Observer.Decided(decidedAccepted, "", s.via)
	}
	rec := record(s.submission, s.event, s.now)
	rec.Accepted, rec.Sequence = true, receipt.Sequence
	r.history.AppendIntake(rec, func(err error) { done(r.written(rec, err)) })
}

// rejected records a rejection as far as there is room for it.
func (r *recorder) rejected(s submission, e *event.Event, violations event.Violations, now time.Time) {
	first := violations[0]
	r.deps.Observer.Decided(decidedRejected, first.Reason, s.via)
	rec := record(s, e, now)
	l := r.limit(rec.Appliance)
	if l.lines.Allow() {
		line := []any{telemetry.KeyAppliance, rec.Appliance, telemetry.KeyEventID, keyOf(rec), telemetry.KeyVia, s.via,
			telemetry.KeyReason, first.Reason, telemetry.KeyField, first.Field, telemetry.KeyViolations, len(violations)}
		if n := l.unsaid.Swap(0); n > 0 {
			line = append(line, logkey.LeftOut, n)
		}
		r.deps.Logger.Info("event rejected", line...)
	} else {
		l.unsaid.Add(1)
	}
	if !l.records.Allow() || !r.reserve() {
		r.deps.Observer.Unrecorded()
		return
	}
	rec.Violations = violations
	rec.Raw = s.raw[:min(len(s.raw), event.MaxRawKept)]
	r.history.AppendIntake(rec, func(err error) {
		r.pending.Add(-1)
		r.written(rec, err)
	})
}

// reserve takes one of the places of rejected records that wait to be written. Who has one gives it back.
func (r *recorder) reserve() bool {
	if r.pending.Add(1) > rejectionsPending {
		r.pending.Add(-1)
		return false
	}
	return true
}

// written reports whether a decision has a record, and logs and counts a missing one.
func (r *recorder) written(rec event.IntakeRecord, err error) bool {
	if err == nil || errors.Is(err, delivery.ErrAlreadyRecorded) {
		return true
	}
	r.deps.Observer.Unrecorded()
	r.deps.Logger.Warn("intake decision not recorded", telemetry.KeyError, err.Error(), telemetry.KeyAppliance, rec.Appliance,
		telemetry.KeyEventID, keyOf(rec))
	return false
}

// keyOf is the event's key, or nothing if its id could not be read.
func keyOf(rec event.IntakeRecord) string {
	if rec.EventID == "" {
		return ""
	}
	return event.Key(rec.Appliance, rec.EventID)
}

// limit is the limiter of a known appliance, or the one that all others share, so that their number is bounded.
func (r *recorder) limit(appliance string) *rejections {
	if _, known := r.deps.Config.Settings().Appliances[appliance]; !known {
		appliance = ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.limits[appliance]
	if !ok {
		l = &rejections{records: rate.NewLimiter(rejectionRate, rejectionBurst), lines: rate.NewLimiter(lineRate, lineBurst)}
		r.limits[appliance] = l
	}
	return l
}

// record is what both decisions have in common. Ids are safe: a field at fault is empty in a decoded event.
func record(s submission, e *event.Event, now time.Time) event.IntakeRecord {
	rec := event.IntakeRecord{
		Appliance: e.Appliance, EventID: e.ID, Type: e.Type, Session: e.Session, ExternalKey: e.ExternalKey, Time: now.UTC(), Via: s.via,
	}
	if event.ValidAppliance(s.appliance) {
		rec.Appliance = s.appliance
	}
	if rec.Type == "" && event.ValidType(s.typeID) {
		rec.Type = s.typeID
	}
	if !e.Time.IsZero() {
		rec.EventTime = &e.Time
	}
	return rec
}
