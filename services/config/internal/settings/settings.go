// Package settings holds the SMTP relay, email retries, custom fields, event types and appliances.
package settings

import (
	"cmp"
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// partFunc changes a part that exists.
type partFunc func(p *outboundv1.WatchSettingsResponse) error

const kindSettings = "settings"

// Deps are what the settings work with.
type Deps struct {
	Parts *store.Parts
	// Recipients are searched for those that select an event type.
	Recipients *store.Recipients
	Rules      *rpc.Validator
	Sealer     *secret.Sealer
	// Bus reaches an email-sender, which sends test mails.
	Bus *bus.Conn
	// Now is the broker's clock.
	Now func() time.Time
}

// Settings are all settings in one store. Its methods and those of its parts implement outboundv1.SettingsServiceServer.
type Settings struct {
	*Relay
	*Email
	*EventTypes
	*CustomFields
	*Appliances
	parts *store.Parts
	now   func() time.Time
}

// New returns the settings in a store.
func New(d Deps) *Settings {
	return &Settings{
		Relay:        &Relay{parts: d.Parts, rules: d.Rules, sealer: d.Sealer, bus: d.Bus, now: d.Now},
		Email:        &Email{parts: d.Parts, rules: d.Rules, now: d.Now},
		EventTypes:   &EventTypes{parts: d.Parts, recipients: d.Recipients, rules: d.Rules},
		CustomFields: &CustomFields{parts: d.Parts, rules: d.Rules},
		Appliances:   &Appliances{parts: d.Parts, rules: d.Rules, now: d.Now},
		parts:        d.Parts,
		now:          d.Now,
	}
}

// All returns all settings with their defaults, the built-in types first.
func (s *Settings) All(ctx context.Context) (*outboundv1.WatchSettingsResponse, error) {
	entries, err := s.parts.Entries().List(ctx, "")
	if err != nil {
		return nil, err
	}
	out := &outboundv1.WatchSettingsResponse{Smtp: &outboundv1.SmtpSettings{}, Email: &outboundv1.EmailSettings{}}
	for _, t := range event.Catalogue() {
		out.EventTypes = append(out.EventTypes, encodeType(t))
	}
	var relayToken []byte
	for _, e := range entries {
		if e.Key == store.KeyRelayToken {
			relayToken = e.Value
			continue
		}
		if strings.HasPrefix(e.Key, store.PrefixUser) {
			// Only this service reads users.
			continue
		}
		if e.Key == bus.KeyGivenUp {
			out.Keyring = cmp.Or(out.GetKeyring(), &outboundv1.Keyring{})
			out.Keyring.GivenUp = true
			continue
		}
		p, err := store.DecodePart(e)
		if err != nil {
			return nil, err
		}
		proto.Merge(out, p)
	}
	if err := useRelayToken(out, relayToken); err != nil {
		return nil, err
	}
	out.EventTypes = oncePerID(out.GetEventTypes())
	fillSMTP(out.Smtp)
	fillEmail(out.Email)
	return out, nil
}

// Decoded returns the settings as the senders know them, without secrets.
func (s *Settings) Decoded(ctx context.Context) (*settings.Settings, error) {
	p, err := s.All(ctx)
	if err != nil {
		return nil, err
	}
	return configclient.DecodeSettings(p, nil)
}
