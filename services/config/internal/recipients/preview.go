package recipients

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/filter"
	"github.com/outbound-events/outbound/pkg/preview"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	pkgsettings "github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/settings"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// Previewer shows what a recipient would be sent. Its method implements part of outboundv1.RecipientServiceServer.
type Previewer struct {
	recipients *Recipients
	checker    *Checker
	settings   *settings.Settings
	filters    *filter.Compiler
	bus        *bus.Conn
}

// NewPreviewer returns a previewer of recipients.
func NewPreviewer(r *Recipients, s *settings.Settings, filters *filter.Compiler, conn *bus.Conn) *Previewer {
	return &Previewer{recipients: r, checker: r.checker, settings: s, filters: filters, bus: conn}
}

// PreviewRecipient implements outboundv1.RecipientServiceServer. It renders with the code of the senders. It opens no secret.
func (s *Previewer) PreviewRecipient(
	ctx context.Context, q *outboundv1.PreviewRecipientRequest,
) (*outboundv1.PreviewRecipientResponse, error) {
	now := s.recipients.now()
	stored, err := s.recipientToPreview(ctx, q, now)
	if err != nil {
		return nil, err
	}
	shared, err := s.settings.Decoded(ctx)
	if err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	r, err := configclient.DecodeRecipient(stored, nil)
	if err != nil {
		return nil, fmt.Errorf("preview recipient %s: %w", stored.GetRecipient().GetId(), err)
	}
	d := &delivery.Delivery{Recipient: r, Accepted: now, Attempt: 1}
	if q.GetEventId() != "" {
		d.Event, d.Accepted, err = s.storedEvent(ctx, q.GetEventId())
	} else {
		d.Event, err = s.sample(ctx, stored.GetRecipient(), q.GetEventType(), sampleOptions{settings: shared, now: now})
	}
	if err != nil {
		return nil, err
	}
	out := &outboundv1.PreviewRecipientResponse{EventId: d.Event.Key(), EventType: d.Event.Type, Sample: q.GetEventId() == "", Matches: true}
	if v := s.unmatched(r, d.Event, now); v != nil {
		out.Matches, out.Reason = false, string(v.Reason)
	}
	if err := preview.Into(out, d, shared, preview.Options{Version: process.Version(), At: now}); err != nil {
		return nil, rpc.FailedPrecondition("NOT_RENDERED", "the "+preview.WordsOf(r).Noun+" can't be rendered: "+err.Error())
	}
	return out, nil
}

// recipientToPreview returns the stored recipient, or the one in the request if it could be saved.
func (s *Previewer) recipientToPreview(
	ctx context.Context, q *outboundv1.PreviewRecipientRequest, now time.Time,
) (*outboundv1.StoredRecipient, error) {
	in := q.GetRecipient()
	if in == nil && q.GetId() == "" {
		return nil, rpc.InvalidArgument(rpc.Violation{Field: "id", Reason: validation.Missing,
			Description: "is empty: set the id of a recipient, or send an unsaved recipient"})
	}
	if in == nil {
		r, err := s.recipients.active(ctx, q.GetId())
		return r.StoredRecipient, err
	}
	if q.GetId() != "" && in.GetId() != "" && q.GetId() != in.GetId() {
		return nil, rpc.InvalidArgument(rpc.Violation{Field: "id", Reason: validation.Invalid,
			Description: "differs from the id in the path: use only one of them"})
	}
	next, _ := proto.Clone(in).(*outboundv1.Recipient)
	next.Id = cmp.Or(in.GetId(), q.GetId())
	var old *outboundv1.StoredRecipient
	if next.GetId() != "" {
		r, err := s.recipients.stored.Get(ctx, next.GetId())
		switch {
		case err == nil && !r.Deleting():
			old = r.StoredRecipient
		case err != nil && !errors.Is(err, bus.ErrNotFound):
			return nil, store.AsStatus(ctx, err)
		case q.GetId() != "":
			return nil, rpc.NotFound(kindRecipient, q.GetId())
		}
	}
	if next.Enabled == nil && old != nil {
		next.Enabled = old.GetRecipient().Enabled
	}
	if err := s.checker.check(ctx, next, old, now); err != nil {
		return nil, err
	}
	return &outboundv1.StoredRecipient{Recipient: next, DisabledWindows: windowsAfter(old.GetDisabledWindows(), next, now)}, nil
}

// storedEvent returns a stored event and when it was accepted.
func (s *Previewer) storedEvent(ctx context.Context, key string) (*event.Event, time.Time, error) {
	appliance, id, ok := event.SplitKey(key)
	if !ok || !event.ValidAppliance(appliance) || !event.ValidToken(id) {
		return nil, time.Time{}, rpc.InvalidArgument(rpc.Violation{
			Field: "eventId", Reason: validation.Invalid, Description: "is not an event key: use <appliance>~<event id>",
		})
	}
	e, at, err := deliverylog.EventByKey(ctx, s.bus, appliance, id)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, at, rpc.NotFound("stored event", key)
	}
	return e, at, store.AsStatus(ctx, err)
}

// sampleOptions are what a sample is made of, apart from its type.
type sampleOptions struct {
	settings *pkgsettings.Settings
	now      time.Time
}

// sample returns an example event of a type that the recipient can be sent.
func (s *Previewer) sample(ctx context.Context, r *outboundv1.Recipient, wanted string, o sampleOptions) (*event.Event, error) {
	t, err := testType(ctx, s.settings, r, cmp.Or(wanted, r.GetEventTypes()[0]))
	if err != nil {
		return nil, err
	}
	if e := settings.SampleEvent(t, o.settings, o.now, r.GetAppliances()...); e != nil {
		return e, nil
	}
	return nil, settings.ErrNoSample(t)
}

// unmatched returns why the recipient would not get the event if it were accepted now. It is nil if the recipient would.
func (s *Previewer) unmatched(r *recipient.Recipient, e *event.Event, now time.Time) *delivery.Verdict {
	// The event would follow everything that was ever purged from the queue.
	m := delivery.Message{Event: e, Stored: now, Sequence: math.MaxUint64}
	return delivery.Unmatched(r, m, func(r *recipient.Recipient, e *event.Event) (bool, error) {
		compiled, err := s.filters.Compile(r.Filter)
		if err != nil {
			return false, err
		}
		return compiled.Matches(e)
	})
}
