package settings

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

const kindAppliance = "appliance"

// Appliances are the appliances that may publish events, with their credentials.
type Appliances struct {
	parts *store.Parts
	rules *rpc.Validator
	now   func() time.Time
	// issued is called with the hash of each new password before it is stored, and with none before an appliance is removed. Nil: nobody
	// is told.
	issued func(ctx context.Context, id, passwordBcrypt string)
}

// OnIssue has f called with the hash of each new password before it is stored, and with an empty one before an appliance is removed. It is
// called before the first change.
func (s *Appliances) OnIssue(f func(ctx context.Context, id, passwordBcrypt string)) { s.issued = f }

func (s *Appliances) tell(ctx context.Context, a *outboundv1.StoredAppliance) {
	if s.issued != nil {
		s.issued(ctx, a.GetAppliance().GetId(), a.GetPasswordBcrypt())
	}
}

// issue generates credentials for an appliance, and what they are checked against. The least cost of bcrypt is enough: a password is 256
// random bits, and each connection pays the cost.
func issue(a *outboundv1.Appliance, now time.Time) (*outboundv1.ApplianceCredentials, *outboundv1.StoredAppliance, error) {
	limitToken(a, now)
	out := &outboundv1.ApplianceCredentials{Id: a.GetId(), User: a.GetId(), Password: secret.NewPassword(), Token: secret.NewToken()}
	hash, err := bcrypt.GenerateFromPassword([]byte(out.GetPassword()), bcrypt.MinCost)
	if err != nil {
		return nil, nil, fmt.Errorf("hash the password of appliance %s: %w", a.GetId(), err)
	}
	return out, &outboundv1.StoredAppliance{Appliance: a, TokenSha256: secret.HashToken(out.GetToken()), PasswordBcrypt: string(hash)}, nil
}

// tokenLifetime is when the token of an appliance expires, unless it never does.
const tokenLifetime = 90 * 24 * time.Hour

// limitToken sets when a token that is issued now expires.
func limitToken(a *outboundv1.Appliance, now time.Time) {
	a.TokenExpireTime = nil
	if !a.GetTokenNeverExpires() {
		a.TokenExpireTime = timestamppb.New(now.Add(tokenLifetime))
	}
}

// ListAppliances implements outboundv1.SettingsServiceServer.
func (s *Appliances) ListAppliances(ctx context.Context, _ *outboundv1.ListAppliancesRequest) (*outboundv1.ListAppliancesResponse, error) {
	parts, err := s.parts.List(ctx, store.PrefixAppliance)
	if err != nil {
		return nil, err
	}
	out := &outboundv1.ListAppliancesResponse{}
	for _, p := range parts {
		for _, a := range p.GetAppliances() {
			out.Appliances = append(out.Appliances, a.GetAppliance())
		}
	}
	slices.SortFunc(out.Appliances, func(a, b *outboundv1.Appliance) int { return strings.Compare(a.GetId(), b.GetId()) })
	return out, nil
}

// GetAppliance implements outboundv1.SettingsServiceServer.
func (s *Appliances) GetAppliance(ctx context.Context, q *outboundv1.GetApplianceRequest) (*outboundv1.Appliance, error) {
	if !event.ValidAppliance(q.GetId()) {
		return nil, rpc.NotFound(kindAppliance, q.GetId())
	}
	p, _, err := s.parts.Get(ctx, store.PrefixAppliance+q.GetId())
	if err != nil {
		return nil, err
	}
	if len(p.GetAppliances()) == 0 {
		return nil, rpc.NotFound(kindAppliance, q.GetId())
	}
	return p.GetAppliances()[0].GetAppliance(), nil
}

// CreateAppliance implements outboundv1.SettingsServiceServer.
func (s *Appliances) CreateAppliance(ctx context.Context, q *outboundv1.CreateApplianceRequest) (*outboundv1.ApplianceCredentials, error) {
	a := &outboundv1.Appliance{}
	if in := q.GetAppliance(); in != nil {
		a, _ = proto.Clone(in).(*outboundv1.Appliance)
	}
	now := timestamppb.New(s.now())
	a.DisplayName, a.Etag, a.CreateTime, a.RotateTime = strings.TrimSpace(a.GetDisplayName()), "", now, now
	var v validation.Violations
	if err := v.Rules(s.rules, a, "id"); err != nil {
		return nil, err
	}
	if strings.EqualFold(a.GetId(), event.TestAppliance) {
		v.Add("id", validation.Reserved, "is reserved for test events: choose another id")
	}
	if err := v.Err(); err != nil {
		return nil, err
	}
	credentials, stored, err := issue(a, now.AsTime())
	if err != nil {
		return nil, err
	}
	_, _, err = s.parts.Change(ctx, store.PrefixAppliance+a.GetId(), func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if revision > 0 {
			return rpc.AlreadyExists("id", a.GetId(), "rotate its credentials if they are lost, or choose another id")
		}
		s.tell(ctx, stored)
		p.Appliances = []*outboundv1.StoredAppliance{stored}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return credentials, nil
}

// UpdateAppliance implements outboundv1.SettingsServiceServer.
func (s *Appliances) UpdateAppliance(ctx context.Context, q *outboundv1.UpdateApplianceRequest) (*outboundv1.Appliance, error) {
	in := q.GetAppliance()
	var changed *outboundv1.Appliance
	err := s.change(ctx, in.GetId(), in.GetEtag(), func(p *outboundv1.WatchSettingsResponse) error {
		changed = p.GetAppliances()[0].GetAppliance()
		never := changed.GetTokenNeverExpires()
		v := validation.Merge(changed, in, q.GetUpdateMask())
		// The id can't be changed.
		changed.DisplayName, changed.Id = strings.TrimSpace(changed.GetDisplayName()), in.GetId()
		if err := v.Rules(s.rules, changed, "id"); err != nil {
			return err
		}
		if changed.GetTokenNeverExpires() != never {
			limitToken(changed, s.now())
		}
		return v.Err()
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// change changes an appliance that exists.
func (s *Appliances) change(ctx context.Context, id, etag string, f partFunc) error {
	if !event.ValidAppliance(id) {
		return rpc.NotFound(kindAppliance, id)
	}
	_, _, err := s.parts.Change(ctx, store.PrefixAppliance+id, func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if len(p.GetAppliances()) == 0 {
			return rpc.NotFound(kindAppliance, id)
		}
		if etag != "" && etag != store.Etag(revision) {
			return rpc.Aborted(kindAppliance, id)
		}
		return f(p)
	})
	return err
}

// RotateAppliance implements outboundv1.SettingsServiceServer. The old token is accepted for the overlap, if it does not expire sooner.
func (s *Appliances) RotateAppliance(ctx context.Context, q *outboundv1.RotateApplianceRequest) (*outboundv1.ApplianceCredentials, error) {
	var credentials *outboundv1.ApplianceCredentials
	err := s.change(ctx, q.GetId(), "", func(p *outboundv1.WatchSettingsResponse) error {
		before, now := p.GetAppliances()[0], s.now()
		a, _ := proto.Clone(before.GetAppliance()).(*outboundv1.Appliance)
		a.RotateTime = timestamppb.New(now)
		made, stored, err := issue(a, now)
		if err != nil {
			return err
		}
		if q.GetTokenOnly() {
			made.Password, stored.PasswordBcrypt = "", before.GetPasswordBcrypt()
		} else {
			s.tell(ctx, stored)
		}
		if overlap := q.GetOverlap().AsDuration(); overlap > 0 {
			stored.PreviousTokenSha256, stored.PreviousTokenExpireTime = before.GetTokenSha256(), timestamppb.New(now.Add(overlap))
			if end := before.GetAppliance().GetTokenExpireTime(); end != nil && end.AsTime().Before(now.Add(overlap)) {
				stored.PreviousTokenExpireTime = end
			}
		}
		credentials, p.Appliances = made, []*outboundv1.StoredAppliance{stored}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return credentials, nil
}

// DeleteAppliance implements outboundv1.SettingsServiceServer.
func (s *Appliances) DeleteAppliance(ctx context.Context, q *outboundv1.DeleteApplianceRequest) (*emptypb.Empty, error) {
	err := s.change(ctx, q.GetId(), q.GetEtag(), func(p *outboundv1.WatchSettingsResponse) error {
		s.tell(ctx, &outboundv1.StoredAppliance{Appliance: p.GetAppliances()[0].GetAppliance()})
		return store.ErrRemove
	})
	if err != nil && !errors.Is(err, store.ErrRemove) {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}
