package settings

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/certificates"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// Relay is the SMTP relay.
type Relay struct {
	parts  *store.Parts
	rules  *rpc.Validator
	sealer *secret.Sealer
	bus    *bus.Conn
	now    func() time.Time
}

// GetSmtpSettings implements outboundv1.SettingsServiceServer.
func (s *Relay) GetSmtpSettings(ctx context.Context, _ *outboundv1.GetSmtpSettingsRequest) (*outboundv1.SmtpSettings, error) {
	p, revision, err := s.parts.Get(ctx, store.KeySMTP)
	if err != nil {
		return nil, err
	}
	return visibleSMTP(p, revision, s.now()), nil
}

func visibleSMTP(p *outboundv1.WatchSettingsResponse, revision uint64, now time.Time) *outboundv1.SmtpSettings {
	out := p.GetSmtp()
	if out == nil {
		out = &outboundv1.SmtpSettings{Etag: store.Etag(revision)}
	}
	fillSMTP(out)
	out.CaCertificates = certificates.Describe(out.GetCaCertificatePem())
	out.Warnings = certificates.Server{CAPEM: out.GetCaCertificatePem(), LegacyTLS: out.GetLegacyTls(),
		SmallHello: out.GetSmallClientHello()}.Warnings(now)
	return out
}

// UpdateSmtpSettings implements outboundv1.SettingsServiceServer.
func (s *Relay) UpdateSmtpSettings(ctx context.Context, q *outboundv1.UpdateSmtpSettingsRequest) (*outboundv1.SmtpSettings, error) {
	p, revision, err := s.parts.Change(ctx, store.KeySMTP, func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if etag := q.GetSmtpSettings().GetEtag(); etag != "" && etag != store.Etag(revision) {
			return rpc.Aborted(kindSettings, store.KeySMTP)
		}
		before := p.GetSmtp()
		if before == nil {
			before = &outboundv1.SmtpSettings{}
		}
		next, _ := proto.Clone(before).(*outboundv1.SmtpSettings)
		v := validation.Merge(next, q.GetSmtpSettings(), q.GetUpdateMask())
		dropUnused(next, before)
		if err := v.Rules(s.rules, next, store.KeySMTP); err != nil {
			return err
		}
		checkSMTP(&v, relayChange{next: next, before: before, stored: storedSecrets(p), now: s.now()})
		if err := v.Err(); err != nil {
			return err
		}
		if err := s.sealRelay(p, next); err != nil {
			return err
		}
		next.UpdateTime = timestamppb.New(s.now())
		p.Smtp = next
		return nil
	})
	if err != nil {
		return nil, err
	}
	return visibleSMTP(p, revision, s.now()), nil
}

func signsIn(p *outboundv1.SmtpSettings) bool {
	return p.GetAuth() > outboundv1.SmtpSettings_Auth_NONE
}

func byToken(p *outboundv1.SmtpSettings) bool {
	return p.GetAuth() == outboundv1.SmtpSettings_Auth_XOAUTH2
}

// dropUnused removes the OAuth 2.0 settings if a change of auth alone leaves them without effect.
func dropUnused(next, before *outboundv1.SmtpSettings) {
	if !byToken(next) && byToken(before) && proto.Equal(next.GetOauth2(), before.GetOauth2()) {
		next.Oauth2 = nil
	}
}

// storedSecrets returns the field paths of the relay's secrets that are stored.
func storedSecrets(p *outboundv1.WatchSettingsResponse) map[string]bool {
	out := map[string]bool{credential.SecretSMTPPassword: len(p.GetSealedSmtpPassword()) > 0}
	for path, sealed := range p.GetSealedSmtpSecrets() {
		out[path] = len(sealed) > 0
	}
	return out
}

// sealRelay removes the secrets from the relay's settings and seals them. Absent secrets stay as they were stored; those that the
// settings do not use are removed.
func (s *Relay) sealRelay(p *outboundv1.WatchSettingsResponse, next *outboundv1.SmtpSettings) error {
	old := map[string][]byte{credential.SecretSMTPPassword: p.GetSealedSmtpPassword()}
	for path, sealed := range p.GetSealedSmtpSecrets() {
		old[path] = sealed
	}
	keep := func(plain *string, path string) (sealed []byte, err error) {
		text := *plain
		*plain = ""
		if text == "" {
			return old[path], nil
		}
		return s.sealer.Seal([]byte(text), path)
	}
	p.SealedSmtpPassword, p.SealedSmtpSecrets = nil, nil
	var err error
	if signsIn(next) && next.GetOauth2() == nil {
		if p.SealedSmtpPassword, err = keep(&next.Password, credential.SecretSMTPPassword); err != nil {
			return err
		}
	}
	next.Password, next.PasswordSet = "", len(p.GetSealedSmtpPassword()) > 0
	o := next.GetOauth2()
	if o == nil {
		return nil
	}
	p.SealedSmtpSecrets = map[string][]byte{}
	for path, plain := range map[string]*string{credential.SecretRelayClient: &o.ClientSecret,
		credential.SecretRelayRefresh: &o.RefreshToken} {
		sealed, err := keep(plain, path)
		if err != nil {
			return err
		}
		if len(sealed) > 0 {
			p.SealedSmtpSecrets[path] = sealed
		}
	}
	stored := storedSecrets(p)
	o.ClientSecretSet, o.RefreshTokenSet = stored[credential.SecretRelayClient], stored[credential.SecretRelayRefresh]
	return nil
}
