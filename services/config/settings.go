package config

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	// Time zones must be the same wherever the service runs.
	_ "time/tzdata"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// The keys of the bucket of settings. Each holds its part of a WatchSettingsResponse, so that all of them joined are the
// state that watchers get.
const (
	keySMTP         = "smtp"
	keyEmail        = "email"
	keyCustomFields = "custom-fields"
	prefixType      = "type."
	prefixAppliance = "appliance."
)

const kindSettings = "settings"

// part reads one key. One that was never stored is empty, at revision 0.
func (s *Service) part(ctx context.Context, key string) (*outboundv1.WatchSettingsResponse, uint64, error) {
	e, err := s.settings.read(ctx, key)
	if errors.Is(err, bus.ErrNotFound) {
		return &outboundv1.WatchSettingsResponse{}, 0, nil
	}
	if err != nil {
		return nil, 0, failed(ctx, err)
	}
	p, err := decodePart(e)
	return p, e.Revision, err
}

func decodePart(e bus.Entry) (*outboundv1.WatchSettingsResponse, error) {
	p := &outboundv1.WatchSettingsResponse{}
	if err := proto.Unmarshal(e.Value, p); err != nil {
		return nil, fmt.Errorf("read the settings %s: %w", e.Key, err)
	}
	stampEtags(p, etagOf(e.Revision))
	return p, nil
}

// stampEtags writes the revision of a part into it. Custom fields share one key and have etags of their own.
func stampEtags(p *outboundv1.WatchSettingsResponse, etag string) {
	if p.GetSmtp() != nil {
		p.Smtp.Etag = etag
	}
	if p.GetEmail() != nil {
		p.Email.Etag = etag
	}
	for _, t := range p.GetEventTypes() {
		t.Etag = etag
	}
	for _, a := range p.GetAppliances() {
		a.GetAppliance().Etag = etag
	}
}

// errGone in a change of a part removes the key.
var errGone = errors.New("gone")

// changePart reads a key, has f change what it holds, and stores that, again and again while others are faster. f is told the
// revision it changes, 0 if the key is not there; it checks etags, and may answer errGone to have the key removed.
func (s *Service) changePart(ctx context.Context, key string, f func(p *outboundv1.WatchSettingsResponse, revision uint64) error) (*outboundv1.WatchSettingsResponse, error) {
	p, _, err := s.changePartAs(ctx, key, done{}, f)
	return p, err
}

// changePartAs is the same for a change that has a name of its own. It also answers the new revision. A change without a name that
// changes nothing is not written: what is there is answered, with its revision.
func (s *Service) changePartAs(ctx context.Context, key string, d done, f func(p *outboundv1.WatchSettingsResponse, revision uint64) error) (*outboundv1.WatchSettingsResponse, uint64, error) {
	for {
		p, revision, err := s.part(ctx, key)
		if err != nil {
			return nil, 0, err
		}
		before, _ := proto.Clone(p).(*outboundv1.WatchSettingsResponse)
		err = f(p, revision)
		switch {
		case err == nil && d == done{} && samePart(before, p):
			return before, revision, nil
		case errors.Is(err, errGone):
			err = s.settings.remove(ctx, key, revision)
		case err != nil:
			return nil, 0, failed(ctx, err)
		default:
			var b []byte
			if b, err = proto.Marshal(p); err != nil {
				return nil, 0, fmt.Errorf("encode the settings %s: %w", key, err)
			}
			revision, err = s.settings.writeAs(ctx, key, b, revision, d)
			stampEtags(p, etagOf(revision))
		}
		if !errors.Is(err, bus.ErrConflict) {
			return p, revision, failed(ctx, err)
		}
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		pause(ctx, rand.N(20*time.Millisecond))
	}
}

// allSettings reads all settings, defaults filled in and the built-in types first.
func (s *Service) allSettings(ctx context.Context) (*outboundv1.WatchSettingsResponse, error) {
	entries, err := s.settings.all(ctx, "")
	if err != nil {
		return nil, err
	}
	out := &outboundv1.WatchSettingsResponse{Smtp: &outboundv1.SmtpSettings{}, Email: &outboundv1.EmailSettings{}}
	for _, t := range event.Catalogue() {
		out.EventTypes = append(out.EventTypes, encodeType(t))
	}
	var relayToken []byte
	for _, e := range entries {
		if e.Key == keyRelayToken {
			relayToken = e.Value
			continue
		}
		if strings.HasPrefix(e.Key, prefixUser) {
			// Users are nobody's but this service's.
			continue
		}
		p, err := decodePart(e)
		if err != nil {
			return nil, err
		}
		proto.Merge(out, p)
	}
	if err := useRelayToken(out, relayToken); err != nil {
		return nil, err
	}
	fillSMTP(out.Smtp)
	fillEmail(out.Email)
	return out, nil
}

// GetEmailSettings implements outboundv1.SettingsServiceServer.
func (s settingsServer) GetEmailSettings(ctx context.Context, _ *outboundv1.GetEmailSettingsRequest) (*outboundv1.EmailSettings, error) {
	p, revision, err := s.part(ctx, keyEmail)
	if err != nil {
		return nil, err
	}
	return visibleEmail(p, revision), nil
}

func visibleEmail(p *outboundv1.WatchSettingsResponse, revision uint64) *outboundv1.EmailSettings {
	out := p.GetEmail()
	if out == nil {
		out = &outboundv1.EmailSettings{Etag: etagOf(revision)}
	}
	fillEmail(out)
	return out
}

// UpdateEmailSettings implements outboundv1.SettingsServiceServer.
func (s settingsServer) UpdateEmailSettings(ctx context.Context, q *outboundv1.UpdateEmailSettingsRequest) (*outboundv1.EmailSettings, error) {
	if q.GetValidateOnly() && !s.inDryRun {
		return validateOnly(ctx, s.Service, func(r *Service) (*outboundv1.EmailSettings, error) {
			return settingsServer{Service: r}.UpdateEmailSettings(ctx, q)
		})
	}
	p, revision, err := s.changePartAs(ctx, keyEmail, done{}, func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if etag := q.GetEmailSettings().GetEtag(); etag != "" && etag != etagOf(revision) {
			return rpc.Aborted(kindSettings, keyEmail)
		}
		if p.GetEmail() == nil {
			p.Email = &outboundv1.EmailSettings{}
		}
		v := merge(p.GetEmail(), q.GetEmailSettings(), q.GetUpdateMask())
		fillEmail(p.GetEmail())
		if err := s.rules(&v, p.GetEmail(), keyEmail); err != nil {
			return err
		}
		checkEmailSettings(&v, p.GetEmail())
		p.Email.UpdateTime = timestamppb.Now()
		return v.err()
	})
	if err != nil {
		return nil, err
	}
	return visibleEmail(p, revision), nil
}

func checkEmailSettings(v *violations, p *outboundv1.EmailSettings) {
	if longer(p.GetRetryInterval(), p.GetRetryDuration()) {
		v.add("retryInterval", reasonInvalid, "must not be longer than retryDuration")
	}
	// "Local" is whatever the host has, which differs between the processes.
	if _, err := time.LoadLocation(p.GetTimeZone()); err != nil || p.GetTimeZone() == "Local" {
		v.add("timeZone", reasonInvalid, fmt.Sprintf("%q is not an IANA time zone: use e.g. Europe/Vienna or UTC", p.GetTimeZone()))
	}
}

// sortByID puts resources in the order of their ids.
func sortByID[T interface{ GetId() string }](list []T) {
	slices.SortFunc(list, func(a, b T) int { return strings.Compare(a.GetId(), b.GetId()) })
}
