package config

import (
	"context"
	"errors"
	"fmt"
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
)

const (
	kindAppliance = "appliance"
	testAppliance = event.TestAppliance
)

// issue makes new credentials for an appliance and what they are checked against. bcrypt at its least cost is enough: the
// password is not chosen by a person but 256 random bits, and each connection pays the cost.
func issue(a *outboundv1.Appliance) (*outboundv1.ApplianceCredentials, *outboundv1.StoredAppliance, error) {
	out := &outboundv1.ApplianceCredentials{Id: a.GetId(), User: a.GetId(), Password: secret.NewPassword(), Token: secret.NewToken()}
	hash, err := bcrypt.GenerateFromPassword([]byte(out.GetPassword()), bcrypt.MinCost)
	if err != nil {
		return nil, nil, fmt.Errorf("hash the password of appliance %s: %w", a.GetId(), err)
	}
	return out, &outboundv1.StoredAppliance{Appliance: a, TokenSha256: secret.HashToken(out.GetToken()), PasswordBcrypt: string(hash)}, nil
}

// ListAppliances implements outboundv1.SettingsServiceServer.
func (s settingsServer) ListAppliances(ctx context.Context, _ *outboundv1.ListAppliancesRequest) (*outboundv1.ListAppliancesResponse, error) {
	entries, err := s.settings.all(ctx, prefixAppliance)
	if err != nil {
		return nil, failed(ctx, err)
	}
	out := &outboundv1.ListAppliancesResponse{}
	for _, e := range entries {
		p, err := decodePart(e)
		if err != nil {
			return nil, err
		}
		for _, a := range p.GetAppliances() {
			out.Appliances = append(out.Appliances, a.GetAppliance())
		}
	}
	sortByID(out.Appliances)
	return out, nil
}

// GetAppliance implements outboundv1.SettingsServiceServer.
func (s settingsServer) GetAppliance(ctx context.Context, q *outboundv1.GetApplianceRequest) (*outboundv1.Appliance, error) {
	if !event.ValidAppliance(q.GetId()) {
		return nil, rpc.NotFound(kindAppliance, q.GetId())
	}
	p, _, err := s.part(ctx, prefixAppliance+q.GetId())
	if err != nil {
		return nil, err
	}
	if len(p.GetAppliances()) == 0 {
		return nil, rpc.NotFound(kindAppliance, q.GetId())
	}
	return p.GetAppliances()[0].GetAppliance(), nil
}

// CreateAppliance implements outboundv1.SettingsServiceServer.
func (s settingsServer) CreateAppliance(ctx context.Context, q *outboundv1.CreateApplianceRequest) (*outboundv1.ApplianceCredentials, error) {
	if q.GetValidateOnly() && !s.inDryRun {
		return validateOnly(ctx, s.Service, func(r *Service) (*outboundv1.ApplianceCredentials, error) {
			return settingsServer{Service: r}.CreateAppliance(ctx, q)
		})
	}
	a := &outboundv1.Appliance{}
	if in := q.GetAppliance(); in != nil {
		a, _ = proto.Clone(in).(*outboundv1.Appliance)
	}
	now := timestamppb.Now()
	a.DisplayName, a.Etag, a.CreateTime, a.RotateTime = strings.TrimSpace(a.GetDisplayName()), "", now, now
	var v violations
	if err := s.rules(&v, a, "id"); err != nil {
		return nil, err
	}
	if strings.EqualFold(a.GetId(), testAppliance) {
		v.add("id", reasonReserved, "is reserved for test events: choose another id")
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	credentials, stored, err := issue(a)
	if err != nil {
		return nil, err
	}
	_, err = s.changePart(ctx, prefixAppliance+a.GetId(), func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if revision > 0 {
			return rpc.AlreadyExists("id", a.GetId(), "rotate its credentials if they are lost, or choose another id")
		}
		p.Appliances = []*outboundv1.StoredAppliance{stored}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return credentials, nil
}

// UpdateAppliance implements outboundv1.SettingsServiceServer.
func (s settingsServer) UpdateAppliance(ctx context.Context, q *outboundv1.UpdateApplianceRequest) (*outboundv1.Appliance, error) {
	if q.GetValidateOnly() && !s.inDryRun {
		return validateOnly(ctx, s.Service, func(r *Service) (*outboundv1.Appliance, error) {
			return settingsServer{Service: r}.UpdateAppliance(ctx, q)
		})
	}
	in := q.GetAppliance()
	var changed *outboundv1.Appliance
	err := s.changeAppliance(ctx, in.GetId(), in.GetEtag(), func(p *outboundv1.WatchSettingsResponse) error {
		changed = p.GetAppliances()[0].GetAppliance()
		v := merge(changed, in, q.GetUpdateMask())
		// The id can't be changed.
		changed.DisplayName, changed.Id = strings.TrimSpace(changed.GetDisplayName()), in.GetId()
		if err := s.rules(&v, changed, "id"); err != nil {
			return err
		}
		return v.err()
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// changeAppliance changes an appliance that exists.
func (s *Service) changeAppliance(ctx context.Context, id, etag string, f func(p *outboundv1.WatchSettingsResponse) error) error {
	if !event.ValidAppliance(id) {
		return rpc.NotFound(kindAppliance, id)
	}
	_, err := s.changePart(ctx, prefixAppliance+id, func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if len(p.GetAppliances()) == 0 {
			return rpc.NotFound(kindAppliance, id)
		}
		if etag != "" && etag != etagOf(revision) {
			return rpc.Aborted(kindAppliance, id)
		}
		return f(p)
	})
	return err
}

// RotateAppliance implements outboundv1.SettingsServiceServer.
func (s settingsServer) RotateAppliance(ctx context.Context, q *outboundv1.RotateApplianceRequest) (*outboundv1.ApplianceCredentials, error) {
	var credentials *outboundv1.ApplianceCredentials
	err := s.changeAppliance(ctx, q.GetId(), "", func(p *outboundv1.WatchSettingsResponse) error {
		a := p.GetAppliances()[0].GetAppliance()
		a.RotateTime = timestamppb.New(time.Now())
		made, stored, err := issue(a)
		if err != nil {
			return err
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
func (s settingsServer) DeleteAppliance(ctx context.Context, q *outboundv1.DeleteApplianceRequest) (*emptypb.Empty, error) {
	err := s.changeAppliance(ctx, q.GetId(), q.GetEtag(), func(*outboundv1.WatchSettingsResponse) error { return errGone })
	if err != nil && !errors.Is(err, errGone) {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}
