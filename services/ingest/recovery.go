package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

const (
	// recoveryTick is the pause between two looks at what is to be done.
	recoveryTick = 250 * time.Millisecond
	// doubtFor is how long an event in doubt may still be on its way to the broker.
	doubtFor = 5 * time.Second
	// recordWait is how long the process that accepted an event has to record it before another one does.
	recordWait = time.Second
	// recordedAtOnce is how many records are written together.
	recordedAtOnce = 1_000
	// recoveryCall bounds one question to the broker.
	recoveryCall = 5 * time.Second
	// progressEvery is how often a long recovery says how far it is.
	progressEvery = 10 * time.Second
	// endMayBeLost is how much of its end a broker may lose that syncs now and then.
	endMayBeLost = 5 * time.Minute
)

// recovery writes the records of acceptances that are missing: a process that ends between its reply and the record leaves none. Each
// ingest process keeps a mark in the bucket of statuses, up to which the records of its own events are written. From the lowest mark
// on, all processes' events are looked through when a process starts, after each reconnect, and when a process has died. Several may do
// that at once: a record has one message id.
type recovery struct {
	deps     Deps
	history  *deliverylog.Log
	process  string
	progress progress
	// from is where the recovery of a store that has no mark stands, so that it is gone on with there; noRecovery: there is none.
	from atomic.Uint64
	// written is when the mark was last written, in nanoseconds since began.
	began   time.Time
	written atomic.Int64

	mu sync.Mutex
	// covered is the connection after whose beginning all events before it were found to be recorded.
	covered uint64
	changed chan struct{}
	// said is the last trouble that was logged.
	said string
}

const noRecovery = ^uint64(0)

func newRecovery(deps Deps, history *deliverylog.Log) *recovery {
	r := &recovery{deps: deps, history: history, process: ulid.Make().String(), began: time.Now(), changed: make(chan struct{})}
	r.from.Store(noRecovery)
	return r
}

// run keeps the mark and recovers what is missing, until ctx ends.
func (r *recovery) run(ctx context.Context) {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { r.keepMark(ctx) })
	looked := time.Now()
	for more := true; more; more = pause.For(ctx, recoveryTick) {
		due := !r.covers() || r.progress.doubtful(time.Now().Add(-doubtFor))
		if !due && time.Since(looked) < marksLook || !r.deps.Bus.Connected() {
			continue
		}
		looked = time.Now()
		r.say(ctx, "recovery of missing intake records failed, retrying", r.recover(ctx, due))
	}
}

// recover looks through the events from the lowest mark on if that is due, or if there is a mark of a process that has ended.
func (r *recovery) recover(ctx context.Context, due bool) error {
	connects, now := r.deps.Bus.Connects(), time.Now()
	marks, ended, err := r.marks(ctx)
	if err != nil {
		return err
	}
	if !due && len(ended) == 0 {
		return nil
	}
	last, err := eventlog.New(r.deps.Bus).LastSequence(ctx)
	if err != nil {
		return err
	}
	r.progress.lost(last)
	from, err := r.start(ctx, marks, last)
	if err != nil {
		return err
	}
	if err := r.through(ctx, from, last); err != nil {
		return err
	}
	r.from.Store(noRecovery)
	r.progress.clear(now.Add(-doubtFor))
	r.cover(connects)
	for _, m := range ended {
		if err := control.New(r.deps.Bus).RemoveIntakeMark(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// start is the sequence behind which events are looked through: the lowest mark, but no event whose record the log has dropped
// since.
func (r *recovery) start(ctx context.Context, marks []control.IntakeMark, last uint64) (uint64, error) {
	from := last
	for _, m := range marks {
		at := m.Sequence
		if r.deps.Bus.Relaxed() || at > last { // the records before it may have been lost
			behind, ok, err := eventlog.New(r.deps.Bus).EventSequenceAt(ctx, m.Time.Add(-endMayBeLost))
			if err != nil {
				return 0, err
			}
			if at = min(at, last); ok {
				at = min(at, behind-1)
			}
		}
		from = min(from, at)
	}
	kept, dropped, err := r.history.KeptSince(ctx)
	if err != nil || !dropped {
		return from, err
	}
	first, ok, err := eventlog.New(r.deps.Bus).EventSequenceAt(ctx, kept)
	if err != nil || !ok {
		return last, err
	}
	return max(from, first-1), nil
}

// through writes the records that are missing of the events behind a sequence, up to another.
func (r *recovery) through(ctx context.Context, from, last uint64) error {
	said, written := time.Now(), 0
	var missing []event.IntakeRecord
	for next := from + 1; next > 0 && next <= last; {
		some, then, err := r.missing(ctx, next, last)
		if err != nil {
			return err
		}
		missing, next = append(missing, some...), then
		if more := next > 0 && next <= last; more && len(missing) < recordedAtOnce {
			continue
		}
		if err := r.record(ctx, missing); err != nil {
			return err
		}
		written, missing = written+len(missing), nil
		if next > 0 && r.from.Load() != noRecovery {
			r.from.Store(next - 1)
		}
		if time.Since(said) > progressEvery {
			said = time.Now()
			r.deps.Logger.InfoContext(ctx, "scanning for accepted events without an intake record", telemetry.KeySequence, next, logkey.Until, last,
				logkey.Recorded, written)
		}
	}
	if written > 0 {
		r.deps.Logger.WarnContext(ctx, "missing intake records written", logkey.Events, written, logkey.From, from+1, logkey.Until, last)
	}
	return nil
}

// missing are the records that the next events lack, up to a sequence, and where to go on. What was accepted a moment ago is recorded
// by who accepted it.
func (r *recovery) missing(ctx context.Context, next, last uint64) (out []event.IntakeRecord, then uint64, err error) {
	found, then, err := r.history.Unrecorded(ctx, next)
	if err == nil && len(found) > 0 && r.deps.Bus.Now().Sub(found[len(found)-1].Time) < recordWait {
		if !pause.For(ctx, recordWait) {
			return nil, next, ctx.Err()
		}
		found, then, err = r.history.Unrecorded(ctx, next)
	}
	for _, e := range found {
		if e.Sequence <= last {
			out = append(out, recovered(e))
		}
	}
	return out, then, err
}

// record writes records, and returns once they are stored.
func (r *recovery) record(ctx context.Context, missing []event.IntakeRecord) error {
	answers := make(chan error, len(missing))
	for _, rec := range missing {
		r.history.AppendIntake(rec, func(err error) { answers <- err })
	}
	for range missing {
		select {
		case err := <-answers:
			if err != nil && !errors.Is(err, delivery.ErrAlreadyRecorded) {
				return fmt.Errorf("write the missing record of an accepted event: %w", err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// recovered is the record of an acceptance as far as the stored event tells.
func recovered(e eventlog.StoredEvent) event.IntakeRecord {
	return event.IntakeRecord{
		Accepted: true, Appliance: e.Appliance, EventID: e.ID, Type: e.Type, Session: e.Session, ExternalKey: e.ExternalKey,
		EventTime: &e.Event.Time, Time: e.Time.UTC(), Sequence: e.Sequence, Recovered: true,
	}
}

// covers reports whether all events before the present connection are recorded.
func (r *recovery) covers() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.covered == r.deps.Bus.Connects()
}

func (r *recovery) cover(connects uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.covered = connects
	close(r.changed)
	r.changed = make(chan struct{})
}

// wait waits until all events before the present connection are recorded, so that the log tells a repeat.
func (r *recovery) wait(ctx context.Context) error {
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if r.covers() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the records of events accepted before: %w", ctx.Err())
		}
	}
}

// say logs a trouble once, until there is another or none. One goroutine calls it.
func (r *recovery) say(ctx context.Context, text string, err error) {
	if err == nil || ctx.Err() != nil {
		r.said = ""
		return
	}
	if err.Error() != r.said {
		r.said = err.Error()
		r.deps.Logger.WarnContext(ctx, text, telemetry.KeyError, r.said)
	}
}
