package ingest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/ingest/internal/fair"
)

// askHistoryAfter is the age of an event from which HISTORY is asked whether it was accepted before. The stream itself knows
// the ids of its last 10 minutes; the difference covers a clock that is ahead by up to 5.
const askHistoryAfter = 5 * time.Minute

// How an event came, in records and metrics.
const (
	viaNATS = "nats"
	viaHTTP = "http"
)

// anyType is the last token of a subject that events of any type are published on, by clients that know one subject alone. No type can
// be called so.
const anyType = "_"

// submission is an event as it came, and what is known of its sender besides.
type submission struct {
	raw []byte
	via string
	// subject is what it was published on; empty: it was posted.
	subject string
	// appliance is whose event it is: by the subject on NATS, by the token or the caller's word elsewhere. Empty: the event's source.
	appliance string
	// typeID is what the subject names on NATS: the event's type, as it was sent or in the catalogue.
	typeID string
	// named is the appliance that the holder of an appliance's token names. Empty: none.
	named string
	// bound says that the appliance comes from a token: another's source is then no mistake but forbidden.
	bound bool
	// caller is who publishes for appliances, by a token that belongs to none.
	caller string
}

// sender is who waits for its turn: the appliance that signed in, or who publishes for appliances.
func (s submission) sender() string {
	if s.caller != "" {
		return "caller " + s.caller
	}
	return s.appliance
}

// intake decides on events. It lives as long as Run.
type intake struct {
	o        Options
	deps     Deps
	events   *bus.Publisher
	history  *deliverylog.Log
	recorder *recorder
	recovery *recovery
	// gate is passed to be read and checked, which takes a processor; stores to be stored, which takes the disk.
	gate, stores *fair.Gate
	limits       *limits
	tracer       trace.Tracer
	// replies are the requests on NATS whose answer is still due, unknown those answered before the broker had answered.
	replies, unknown sync.WaitGroup
}

func newIntake(o Options, deps Deps) *intake {
	history := deliverylog.New(deps.Bus)
	return &intake{
		o: o, deps: deps, events: bus.NewPublisher(deps.Bus), history: history,
		recorder: newRecorder(history, deps), recovery: newRecovery(deps, history),
		gate: fair.New(fair.Options{Events: o.MaxInFlight, EventsOfOne: o.perAppliance(), Bytes: o.MaxInFlightBytes,
			AtOnce: runtime.GOMAXPROCS(0)}),
		// What has a place there finds one here: the gate lets in up to twice as much, so that nobody is shut out.
		stores: fair.New(fair.Options{Events: 2 * o.MaxInFlight, EventsOfOne: 2 * o.MaxInFlight, Bytes: 2 * o.MaxInFlightBytes}),
		limits: newLimits(o, deps),
		tracer: otel.Tracer("github.com/outbound-events/outbound"),
	}
}

// close waits until all that was taken has its answer and its record.
func (k *intake) close() {
	k.gate.Close()
	k.replies.Wait()
	k.events.Close()
	k.unknown.Wait()
	k.history.Close()
	k.recovery.end()
}

// take is decide for callers that wait for the answer themselves.
func (k *intake) take(ctx context.Context, s submission) (bus.Receipt, *event.Event, error) {
	place, err := k.enter(s)
	if err != nil {
		return bus.Receipt{}, nil, err
	}
	defer place.Leave()
	return k.traced(ctx, s, place)
}

// enter takes a place for an event, or says why there is none.
func (k *intake) enter(s submission) (*fair.Pass, error) {
	if over := k.limits.take(s, time.Now()); over != nil {
		return nil, k.refuse(s, reasonRateLimited, over)
	}
	place := k.gate.Enter(s.sender(), len(s.raw))
	if place == nil {
		return nil, k.refuse(s, "BUSY", rpc.Unavailable("too many events are in flight: retry shortly"))
	}
	return place, nil
}

// errNoTurn reports that an event did not get its turn in time. It was not stored.
var errNoTurn = errors.New("the event did not get its turn in time")

// await waits until a place has its turn.
func (k *intake) await(ctx context.Context, place *fair.Pass) error {
	timer := time.NewTimer(k.o.Timeout)
	defer timer.Stop()
	select {
	case <-place.Turn():
		return nil
	case <-ctx.Done():
	case <-timer.C:
	}
	return errNoTurn
}

// inTurn decides on one event when its turn has come.
func (k *intake) inTurn(ctx context.Context, s submission, place *fair.Pass) (bus.Receipt, *event.Event, error) {
	if k.await(ctx, place) != nil {
		return bus.Receipt{}, nil, k.late(s)
	}
	return k.decide(ctx, s, place)
}

// late refuses an event that waited too long.
func (k *intake) late(s submission) error {
	if f := k.deps.Bus.StoreFault(); f != nil {
		return k.unstored(s, f)
	}
	return k.refuse(s, "BUSY", rpc.Unavailable(errNoTurn.Error()+" and was not stored: retry shortly"))
}

// decide decides on one event and returns once the decision holds. Its errors are statuses. When the event is found to be valid the turn
// of place ends.
func (k *intake) decide(ctx context.Context, s submission, place *fair.Pass) (bus.Receipt, *event.Event, error) {
	if f := k.deps.Bus.StoreFault(); f != nil {
		return bus.Receipt{}, nil, k.unstored(s, f)
	}
	if err := k.ready(); err != nil {
		return bus.Receipt{}, nil, k.refuse(s, "NOT_READY", rpc.Unavailable(err.Error()))
	}
	now := k.deps.Bus.Now()
	e, violations := k.validate(s, now)
	if len(violations) > 0 {
		k.recorder.rejected(s, e, violations, now)
		return bus.Receipt{}, nil, rejection(violations)
	}
	place.Yield()
	dated := e.WithTime(now)
	receipt, err := k.store(ctx, submitted{submission: s, event: dated, undated: e.Time.IsZero(), now: now})
	switch {
	case errors.Is(err, errNoTurn):
		return bus.Receipt{}, nil, k.late(s)
	case err != nil:
		return bus.Receipt{}, nil, k.trouble(s, dated, err)
	}
	return receipt, dated, nil
}

func (k *intake) ready() error {
	select {
	case <-k.deps.Config.Ready():
	default:
		return errors.New("the configuration has not been received yet: check that the config service runs, and retry shortly")
	}
	if err := k.deps.Store(); err != nil {
		return fmt.Errorf("%w: no event is accepted until it is repaired: retry later", err)
	}
	if !k.recovery.fresh() {
		return errors.New("the broker is not responding: retry shortly")
	}
	return nil
}

// validate decodes an event and finds every fault in it. It is pure but for the clock's time, which is an argument.
func (k *intake) validate(s submission, now time.Time) (*event.Event, event.Violations) {
	if len(s.raw) > event.MaxSize {
		return &event.Event{}, event.Violations{{Reason: event.ReasonTooLarge,
			Description: fmt.Sprintf("is larger than %d bytes: send less data", event.MaxSize)}}
	}
	e, violations := event.Decode(s.raw)
	catalogue := k.deps.Config.Settings()
	violations = append(violations, appoint(s, e, catalogue)...)
	id, known := catalogue.TypeOf(e.SentType)
	if known {
		e.Type = id
	}
	if e.SentType != "" && !slices.Contains([]string{"", anyType, e.SentType, e.Type, event.Token(e.SentType)}, s.typeID) {
		violations = append(violations, event.Violation{Field: "type", Reason: event.ReasonSubjectMismatch,
			Description: fmt.Sprintf("differs from the type in the subject, %q: publish on outbound.ingest.<appliance>.<type> with the type of "+
				"the event", s.typeID)})
	}
	violations = append(violations, e.CheckTime(now)...)
	if !known && e.SentType != "" {
		ids := make([]string, 0, len(catalogue.Types))
		for id := range catalogue.Types {
			ids = append(ids, id)
		}
		violations = append(violations, event.UnknownType(e.SentType, ids))
	}
	return e, violations
}

// rejection is the status of a rejected event.
func rejection(violations event.Violations) error {
	for _, v := range violations {
		switch v.Reason {
		case event.ReasonTooLarge:
			return rpc.TooLarge(v.Field, v.Description)
		case event.ReasonNotYours:
			return forbidden(violations)
		}
	}
	return rpc.InvalidArgument(rpc.FromEvent(violations)...)
}

// forbidden is PERMISSION_DENIED with the violations that INVALID_ARGUMENT would have.
func forbidden(violations event.Violations) error {
	p := status.Convert(rpc.InvalidArgument(rpc.FromEvent(violations)...)).Proto()
	p.Code = int32(codes.PermissionDenied)
	return status.ErrorProto(p)
}

// submitted is a valid event as it is stored.
type submitted struct {
	submission
	event *event.Event
	// undated says that it came without a time, and so may be a repeat of any age.
	undated bool
	now     time.Time
}

// store keeps an event for good, unless it was kept before. What was kept before is looked up before the turn to store comes: the look may
// wait.
func (k *intake) store(ctx context.Context, s submitted) (bus.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, k.o.Timeout)
	defer cancel()
	// A store that stops to take anything answers nothing either: nobody waits for it.
	defer context.AfterFunc(k.deps.Bus.StoreFailing(), cancel)()
	if s.undated || s.now.Sub(s.event.Time) > askHistoryAfter {
		rec, found, err := k.earlier(ctx, s.event)
		if err != nil {
			return bus.Receipt{}, fmt.Errorf("check whether event %s is a duplicate: %w", s.event.Key(), err)
		}
		if found {
			k.deps.Observer.Decided(decidedDuplicate, "", s.via)
			return bus.Receipt{Sequence: rec.Sequence, Duplicate: true}, nil
		}
	}
	turn := k.stores.Enter(s.sender(), len(s.raw))
	if turn == nil {
		return bus.Receipt{}, errNoTurn
	}
	defer turn.Leave()
	if err := k.await(ctx, turn); err != nil {
		return bus.Receipt{}, err
	}
	return k.accept(ctx, s)
}

// earlier finds the record of an event's acceptance. That it has none is known only once what died processes left out is made up for.
func (k *intake) earlier(ctx context.Context, e *event.Event) (rec event.IntakeRecord, found bool, err error) {
	known := k.recovery.covers()
	rec, found, err = k.history.Intake(ctx, e.Appliance, e.ID)
	if found || err != nil || known {
		return rec, found, err
	}
	if err := k.recovery.wait(ctx); err != nil {
		return rec, false, err
	}
	return k.history.Intake(ctx, e.Appliance, e.ID)
}

// accept stores an event and records that. What is not known in time is recorded when it is.
func (k *intake) accept(ctx context.Context, s submitted) (bus.Receipt, error) {
	type result struct {
		bus.Receipt
		err error
	}
	answer := make(chan result, 1)
	u := k.recovery.progress.begin()
	k.events.AcceptAsync(ctx, s.event, func(r bus.Receipt, err error) { answer <- result{r, err} })
	select {
	case a := <-answer:
		k.decided(ctx, s, u, a.Receipt, a.err)
		return a.Receipt, a.err
	case <-ctx.Done():
		k.unknown.Go(func() {
			a := <-answer
			k.decided(context.WithoutCancel(ctx), s, u, a.Receipt, a.err)
		})
		return bus.Receipt{}, fmt.Errorf("store %s: the result is unknown: %w", s.event.Key(), ctx.Err())
	}
}

// decided records the decision about an event that was published to the broker.
func (k *intake) decided(ctx context.Context, s submitted, u *underway, receipt bus.Receipt, err error) {
	p := &k.recovery.progress
	switch {
	case errors.Is(err, bus.ErrFull):
		p.end(u)
	case err != nil:
		p.doubt(u, time.Now())
	default:
		p.reached(receipt.Sequence)
		k.recorder.accepted(ctx, s, receipt, func(recorded bool) {
			if recorded {
				p.end(u)
			} else {
				p.doubt(u, time.Now())
			}
		})
	}
}

// trouble is the status of an event that could not be stored through no fault of its own.
func (k *intake) trouble(s submission, e *event.Event, err error) error {
	if errors.Is(err, bus.ErrFull) {
		return k.refuse(s, "FULL", rpc.Full("FULL", "the event store is full: keep this event and retry later"))
	}
	k.deps.Logger.Warn("event not stored", telemetry.KeyError, err.Error(), telemetry.KeyAppliance, e.Appliance,
		telemetry.KeyEventID, e.Key(), telemetry.KeyVia, s.via)
	reason, text := "UNAVAILABLE", "the event may not have been stored: retry with the same id, duplicates are ignored"
	if f := k.deps.Bus.StoreFault(); f != nil {
		reason, text = string(f.Reason), f.Error()+": "+text
	}
	return k.refuse(s, reason, rpc.UnavailableFor(reason, text))
}

// unstored refuses an event at once, because the broker's store takes nothing.
func (k *intake) unstored(s submission, f *bus.StoreFault) error {
	text := fmt.Sprintf("the event was not stored: %v: keep it and retry later", f)
	return k.refuse(s, string(f.Reason), rpc.UnavailableFor(string(f.Reason), text))
}

// refuse counts an event that its publisher keeps and sends again. It is no decision on the event, so it has no record.
func (k *intake) refuse(s submission, reason string, err error) error {
	k.deps.Observer.Decided(decidedRefused, reason, s.via)
	return err
}
