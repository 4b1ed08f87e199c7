package settings

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// NotRestored is the reason of resources that can't be rolled back.
const NotRestored = "NOT_BROUGHT_BACK"

// Restore returns the part of a key to an earlier state, and returns its new revision.
func (s *Settings) Restore(ctx context.Context, key string, past *outboundv1.WatchSettingsResponse, note store.ChangeNote) (uint64, error) {
	return s.parts.ChangeAs(ctx, key, note, func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		switch {
		case past.GetSmtp() != nil:
			return s.Relay.restore(p, past)
		case past.GetEmail() != nil:
			return s.Email.restore(p, past)
		case len(past.GetEventTypes()) > 0:
			return s.EventTypes.restore(ctx, p, past)
		case len(past.GetAppliances()) > 0:
			return s.Appliances.restore(p, past, revision)
		default:
			return s.CustomFields.restore(p, past)
		}
	})
}

// restore restores the relay's settings with their secrets, which were set for that relay.
func (s *Relay) restore(p, past *outboundv1.WatchSettingsResponse) error {
	next, _ := proto.Clone(past.GetSmtp()).(*outboundv1.SmtpSettings)
	var v validation.Violations
	if err := v.Rules(s.rules, next, store.KeySMTP); err != nil {
		return err
	}
	checkSMTP(&v, relayChange{next: next, before: past.GetSmtp(), stored: storedSecrets(past), now: s.now()})
	if err := v.Err(); err != nil {
		return err
	}
	next.UpdateTime = timestamppb.New(s.now())
	p.Smtp, p.SealedSmtpPassword, p.SealedSmtpSecrets = next, past.GetSealedSmtpPassword(), past.GetSealedSmtpSecrets()
	return nil
}

func (s *Email) restore(p, past *outboundv1.WatchSettingsResponse) error {
	p.Email, _ = proto.Clone(past.GetEmail()).(*outboundv1.EmailSettings)
	var v validation.Violations
	if err := v.Rules(s.rules, p.GetEmail(), store.KeyEmail); err != nil {
		return err
	}
	checkEmailSettings(&v, p.GetEmail())
	p.Email.UpdateTime = timestamppb.New(s.now())
	return v.Err()
}

func (s *EventTypes) restore(ctx context.Context, p, past *outboundv1.WatchSettingsResponse) error {
	next, _ := proto.Clone(past.GetEventTypes()[0]).(*outboundv1.EventType)
	if err := s.check(ctx, validation.Violations{}, next); err != nil {
		return err
	}
	if len(p.GetEventTypes()) > 0 && p.GetEventTypes()[0].GetEmail() && !next.GetEmail() {
		if err := s.refuseIfSelected(ctx, next.GetId(), "be disabled for email", onlyMarked); err != nil {
			return err
		}
	}
	p.EventTypes = []*outboundv1.EventType{next}
	return nil
}

// restore restores the visible fields of an appliance. Its credentials stay.
func (s *Appliances) restore(p, past *outboundv1.WatchSettingsResponse, revision uint64) error {
	was := past.GetAppliances()[0].GetAppliance()
	if revision == 0 || len(p.GetAppliances()) == 0 {
		return rpc.FailedPrecondition(NotRestored,
			fmt.Sprintf("appliance %s was revoked and its credentials can't be restored: add it again to get new ones", was.GetId()))
	}
	is := p.GetAppliances()[0].GetAppliance()
	is.DisplayName, is.SilentAfter = was.GetDisplayName(), was.GetSilentAfter()
	is.MaxEventsPerSecond, is.MaxBytesPerSecond = was.GetMaxEventsPerSecond(), was.GetMaxBytesPerSecond()
	if is.GetTokenNeverExpires() != was.GetTokenNeverExpires() {
		is.TokenNeverExpires = was.GetTokenNeverExpires()
		limitToken(is, s.now())
	}
	var v validation.Violations
	if err := v.Rules(s.rules, is, "id"); err != nil {
		return err
	}
	return v.Err()
}

func (s *CustomFields) restore(p, past *outboundv1.WatchSettingsResponse) error {
	var v validation.Violations
	for _, f := range past.GetCustomFields() {
		if err := v.Rules(s.rules, f, f.GetCodeName()); err != nil {
			return err
		}
		f.Etag = newEtag()
	}
	p.CustomFields = past.GetCustomFields()
	return v.Err()
}
