package ingest

import (
	"context"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

const (
	// markEvery is the least pause between two writes of a mark that has moved; markAlive is the pause after which it is written
	// though it has not.
	markEvery = 2 * time.Second
	markAlive = 15 * time.Second
	// markFresh is how long after the last write of its mark a process accepts events. markGone, which is longer, is how much older
	// than a fresh mark one is whose process has ended.
	markFresh = time.Minute
	markGone  = 2 * time.Minute
	// marksLook is the pause between two looks for marks of processes that have ended.
	marksLook = 15 * time.Second
	// markLast bounds the last write.
	markLast = time.Second
)

// prepare writes the process's first mark, and reports whether it has before ctx ended. Nothing may be accepted before, for nothing
// would lead a recovery to it.
func (r *recovery) prepare(ctx context.Context) bool {
	for {
		err := r.first(ctx)
		if err == nil {
			return true
		}
		r.say(ctx, "intake is waiting for the broker", err)
		if !pause.For(ctx, recoveryTick) {
			return false
		}
	}
}

func (r *recovery) first(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recoveryCall)
	defer cancel()
	marks, err := control.New(r.deps.Bus).IntakeMarks(ctx)
	if err != nil {
		return err
	}
	if len(marks) == 0 {
		r.from.Store(0)
	}
	return r.mark(ctx, false)
}

// mark writes how far this process's events are recorded.
func (r *recovery) mark(ctx context.Context, ended bool) error {
	began := time.Since(r.began)
	last, err := eventlog.New(r.deps.Bus).LastSequence(ctx)
	if err != nil {
		return err
	}
	r.progress.reached(last)
	m := control.IntakeMark{Process: r.process, Sequence: min(r.progress.recorded(), r.from.Load()), Ended: ended}
	if err := control.New(r.deps.Bus).PutIntakeMark(ctx, m); err != nil {
		return err
	}
	r.written.Store(int64(began))
	return nil
}

// age is how long ago the mark was written.
func (r *recovery) age() time.Duration { return time.Since(r.began) - time.Duration(r.written.Load()) }

// fresh reports whether events may be accepted: as long as the mark is fresh no other process takes this one for dead.
func (r *recovery) fresh() bool { return r.age() < markFresh }

// keepMark writes the mark when it has moved, and now and then.
func (r *recovery) keepMark(ctx context.Context) {
	for last := uint64(0); pause.For(ctx, recoveryTick); {
		moved := r.progress.recorded()
		if age := r.age(); age < markEvery || age < markAlive && moved == last {
			continue
		}
		one, cancel := context.WithTimeout(ctx, recoveryCall)
		if r.mark(one, false) == nil {
			last = moved
		}
		cancel()
	}
}

// end writes the mark a last time. Records are not on their way any more.
func (r *recovery) end() {
	ctx, cancel := context.WithTimeout(context.Background(), markLast)
	defer cancel()
	if err := r.mark(ctx, true); err != nil {
		r.deps.Logger.Warn("intake checkpoint not written: the next start scans more events", telemetry.KeyError, err.Error())
	}
}

// marks are all marks, and those of processes that have ended.
func (r *recovery) marks(ctx context.Context) (all, ended []control.IntakeMark, err error) {
	ctx, cancel := context.WithTimeout(ctx, recoveryCall)
	defer cancel()
	if all, err = control.New(r.deps.Bus).IntakeMarks(ctx); err != nil {
		return nil, nil, err
	}
	var own time.Time
	for _, m := range all {
		if m.Process == r.process {
			own = m.Time
		}
	}
	for _, m := range all {
		if m.Process != r.process && !own.IsZero() && (m.Ended || own.Sub(m.Time) > markGone) {
			ended = append(ended, m)
		}
	}
	return all, ended, nil
}
