package settings

import (
	"context"
	"fmt"
	"time"

	// Time zones must be the same wherever the service runs.
	_ "time/tzdata"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// Email is the retry settings of emails, and the time zone of their texts.
type Email struct {
	parts *store.Parts
	rules *rpc.Validator
	now   func() time.Time
}

// GetEmailSettings implements outboundv1.SettingsServiceServer.
func (s *Email) GetEmailSettings(ctx context.Context, _ *outboundv1.GetEmailSettingsRequest) (*outboundv1.EmailSettings, error) {
	p, revision, err := s.parts.Get(ctx, store.KeyEmail)
	if err != nil {
		return nil, err
	}
	return visibleEmail(p, revision), nil
}

func visibleEmail(p *outboundv1.WatchSettingsResponse, revision uint64) *outboundv1.EmailSettings {
	out := p.GetEmail()
	if out == nil {
		out = &outboundv1.EmailSettings{Etag: store.Etag(revision)}
	}
	fillEmail(out)
	return out
}

// UpdateEmailSettings implements outboundv1.SettingsServiceServer.
func (s *Email) UpdateEmailSettings(ctx context.Context, q *outboundv1.UpdateEmailSettingsRequest) (*outboundv1.EmailSettings, error) {
	p, revision, err := s.parts.Change(ctx, store.KeyEmail, func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		before := effectiveEmail(p.GetEmail())
		if etag := q.GetEmailSettings().GetEtag(); etag != "" && etag != store.Etag(revision) {
			return rpc.Aborted(kindSettings, store.KeyEmail)
		}
		if p.GetEmail() == nil {
			p.Email = &outboundv1.EmailSettings{}
		}
		v := validation.Merge(p.GetEmail(), q.GetEmailSettings(), q.GetUpdateMask())
		fillEmail(p.GetEmail())
		if err := v.Rules(s.rules, p.GetEmail(), store.KeyEmail); err != nil {
			return err
		}
		checkEmailSettings(&v, p.GetEmail())
		if err := v.Err(); err != nil {
			return err
		}
		if proto.Equal(before, effectiveEmail(p.GetEmail())) {
			return store.ErrUnchanged
		}
		p.Email.UpdateTime = timestamppb.New(s.now())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return visibleEmail(p, revision), nil
}

// effectiveEmail returns settings with their defaults, without what each change sets anew.
func effectiveEmail(p *outboundv1.EmailSettings) *outboundv1.EmailSettings {
	out := &outboundv1.EmailSettings{}
	if p != nil {
		out, _ = proto.Clone(p).(*outboundv1.EmailSettings)
	}
	fillEmail(out)
	out.UpdateTime, out.Etag = nil, ""
	return out
}

func checkEmailSettings(v *validation.Violations, p *outboundv1.EmailSettings) {
	if validation.Longer(p.GetRetryInterval(), p.GetRetryDuration()) {
		v.Add("retryInterval", validation.Invalid, "must not be longer than retryDuration")
	}
	// "Local" is the host's time zone, which differs between processes.
	if _, err := time.LoadLocation(p.GetTimeZone()); err != nil || p.GetTimeZone() == "Local" {
		v.Add("timeZone", validation.Invalid, fmt.Sprintf("%q is not an IANA time zone: use e.g. Europe/Vienna or UTC", p.GetTimeZone()))
	}
}
