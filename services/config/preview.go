package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// PreviewRecipient implements outboundv1.RecipientServiceServer. What is shown is written by what the senders write with. No secret is
// opened for it.
func (s recipientServer) PreviewRecipient(ctx context.Context, q *outboundv1.PreviewRecipientRequest) (*outboundv1.PreviewRecipientResponse, error) {
	now := time.Now()
	stored, err := s.previewed(ctx, q, now)
	if err != nil {
		return nil, err
	}
	settings, err := s.shared(ctx)
	if err != nil {
		return nil, failed(ctx, err)
	}
	r, err := configclient.DecodeRecipient(stored, nil)
	if err != nil {
		return nil, fmt.Errorf("preview recipient %s: %w", stored.GetRecipient().GetId(), err)
	}
	d := &delivery.Delivery{Recipient: r, Accepted: now, Attempt: 1}
	if q.GetEventId() != "" {
		d.Event, d.Accepted, err = s.storedEvent(ctx, q.GetEventId())
	} else {
		d.Event, err = s.sample(ctx, stored.GetRecipient(), q.GetEventType(), settings, now)
	}
	if err != nil {
		return nil, err
	}
	out := &outboundv1.PreviewRecipientResponse{EventId: d.Event.Key(), EventType: d.Event.Type, Sample: q.GetEventId() == "", Matches: true}
	if v := s.unmatched(r, d.Event, now); v != nil {
		out.Matches, out.Reason = false, string(v.Reason)
	}
	if r.Email != nil {
		mail, err := previewMail(d, settings)
		out.Rendered = &outboundv1.PreviewRecipientResponse_Email{Email: mail}
		return out, err
	}
	request, err := previewRequest(d, settings, now)
	out.Rendered = &outboundv1.PreviewRecipientResponse_Http{Http: request}
	return out, err
}

// previewed is the recipient that is asked for: the stored one, or the one that is given, if it could be saved.
func (s *Service) previewed(ctx context.Context, q *outboundv1.PreviewRecipientRequest, now time.Time) (*outboundv1.StoredRecipient, error) {
	in := q.GetRecipient()
	if in == nil && q.GetId() == "" {
		return nil, rpc.InvalidArgument(rpc.Violation{Field: "id", Reason: reasonMissing, Description: "is empty: set the id of a recipient, or send an unsaved recipient"})
	}
	if in == nil {
		r, err := s.active(ctx, q.GetId())
		return r.StoredRecipient, err
	}
	if q.GetId() != "" && in.GetId() != "" && q.GetId() != in.GetId() {
		return nil, rpc.InvalidArgument(rpc.Violation{Field: "id", Reason: reasonInvalid, Description: "differs from the id in the path: use only one of them"})
	}
	next, _ := proto.Clone(in).(*outboundv1.Recipient)
	next.Id = cmp.Or(in.GetId(), q.GetId())
	var old *outboundv1.StoredRecipient
	if next.GetId() != "" {
		r, err := s.recipient(ctx, next.GetId())
		switch {
		case err == nil && !r.deleting():
			old = r.StoredRecipient
		case err != nil && !errors.Is(err, bus.ErrNotFound):
			return nil, failed(ctx, err)
		case q.GetId() != "":
			return nil, rpc.NotFound(kindRecipient, q.GetId())
		}
	}
	if next.Enabled == nil && old != nil {
		next.Enabled = old.GetRecipient().Enabled
	}
	if err := s.check(ctx, next, old, now); err != nil {
		return nil, err
	}
	return &outboundv1.StoredRecipient{Recipient: next, DisabledWindows: windowsAfter(old.GetDisabledWindows(), next, now)}, nil
}

// shared are the settings as the senders know them, without secrets.
func (s *Service) shared(ctx context.Context) (*settings.Settings, error) {
	p, err := s.allSettings(ctx)
	if err != nil {
		return nil, err
	}
	return configclient.DecodeSettings(p, nil)
}

// storedEvent reads an event back, and when it was accepted.
func (s *Service) storedEvent(ctx context.Context, key string) (*event.Event, time.Time, error) {
	appliance, id, ok := event.SplitKey(key)
	if !ok || !event.ValidAppliance(appliance) || !event.ValidID(id) {
		return nil, time.Time{}, rpc.InvalidArgument(rpc.Violation{
			Field: "eventId", Reason: reasonInvalid, Description: "is not an event key: use <appliance>~<event id>",
		})
	}
	e, at, err := s.bus.EventByKey(ctx, appliance, id)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, at, rpc.NotFound("stored event", key)
	}
	return e, at, failed(ctx, err)
}

// sample is an event that nobody published, of a type that the recipient can be sent.
func (s *Service) sample(ctx context.Context, r *outboundv1.Recipient, wanted string, settings *settings.Settings, now time.Time) (*event.Event, error) {
	t, err := s.testType(ctx, r, cmp.Or(wanted, r.GetEventTypes()[0]))
	if err != nil {
		return nil, err
	}
	if e := sampleOf(t, settings, now, r.GetAppliances()...); e != nil {
		return e, nil
	}
	return nil, errNoSample(t)
}

// sampleOf makes an event of a type as an appliance that there is would publish it, of those named if any are; nil if the type's
// examples make none.
func sampleOf(t event.Type, settings *settings.Settings, now time.Time, of ...string) *event.Event {
	appliance := sampleAppliance
	if known := slices.Sorted(maps.Keys(settings.Appliances)); len(known) > 0 {
		appliance = known[0]
	}
	if len(of) > 0 {
		appliance = of[0]
	}
	return event.Sample(t, appliance, sampleID, now.Truncate(time.Second), settings.CustomFields)
}

// unmatched says why the recipient would not get the event if it were accepted now; nil if it would.
func (s *Service) unmatched(r *recipient.Recipient, e *event.Event, now time.Time) *delivery.Verdict {
	// It would come after all that was ever emptied out of the queue.
	m := delivery.Message{Event: e, Stored: now, Sequence: math.MaxUint64}
	return delivery.Unmatched(r, m, func(r *recipient.Recipient, e *event.Event) (bool, error) {
		compiled, err := s.filters.Compile(r.Filter)
		if err != nil {
			return false, err
		}
		return compiled.Matches(e)
	})
}

// previewRequest shows the request to an HTTP recipient.
func previewRequest(d *delivery.Delivery, settings *settings.Settings, now time.Time) (*outboundv1.HttpPreview, error) {
	p, err := render.PreviewHTTP(d.Recipient, d.Event, render.PreviewOptions{UserAgent: "Outbound/" + process.Version(), Custom: settings.CustomFields, At: now})
	if err != nil {
		return nil, rpc.FailedPrecondition("NOT_RENDERED", "the request can't be rendered: "+err.Error())
	}
	return &outboundv1.HttpPreview{Method: p.Method, Url: p.URL, Headers: encodeHeaders(p.Headers), Body: strings.ToValidUTF8(string(p.Body), "\ufffd")}, nil
}

func encodeHeaders(in []render.Header) []*outboundv1.Header {
	out := make([]*outboundv1.Header, len(in))
	for i, h := range in {
		out[i] = &outboundv1.Header{Name: h.Name, Value: strings.ToValidUTF8(h.Value, "\ufffd")}
	}
	return out
}
