package config

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// ListTokens implements outboundv1.AccessServiceServer.
func (s accessServer) ListTokens(ctx context.Context, _ *outboundv1.ListTokensRequest) (*outboundv1.ListTokensResponse, error) {
	entries, err := s.settings.all(ctx, prefixToken)
	if err != nil {
		return nil, failed(ctx, err)
	}
	out := &outboundv1.ListTokensResponse{}
	for _, e := range entries {
		p, err := decodePart(e)
		if err != nil {
			return nil, err
		}
		for _, t := range p.GetTokens() {
			out.Tokens = append(out.Tokens, t.GetToken())
		}
	}
	slices.SortFunc(out.Tokens, func(a, b *outboundv1.Token) int {
		if by := strings.Compare(a.GetDisplayName(), b.GetDisplayName()); by != 0 {
			return by
		}
		return strings.Compare(a.GetId(), b.GetId())
	})
	return out, nil
}

// tokenIDLength makes ids that do not meet by chance: 50 bits. One that is taken is not given twice in any case.
const tokenIDLength = 10

// CreateToken implements outboundv1.AccessServiceServer.
func (s accessServer) CreateToken(ctx context.Context, q *outboundv1.CreateTokenRequest) (*outboundv1.CreateTokenResponse, error) {
	t := &outboundv1.Token{}
	if in := q.GetToken(); in != nil {
		t, _ = proto.Clone(in).(*outboundv1.Token)
	}
	now := time.Now()
	t.Id, t.DisplayName, t.CreateTime, t.Creator = strings.ToLower(rand.Text()[:tokenIDLength]), strings.TrimSpace(t.GetDisplayName()), timestamppb.New(now), rpc.Actor(ctx)
	if t.GetRole() == outboundv1.Role_ROLE_UNSPECIFIED {
		t.Role = outboundv1.Role_VIEWER
	}
	var v violations
	if err := s.rules(&v, t, kindToken); err != nil {
		return nil, err
	}
	if end := t.GetExpireTime(); end != nil && (end.CheckValid() != nil || !end.AsTime().After(now)) {
		v.add("expireTime", reasonInvalid, "has passed: set a time in the future, or leave it empty")
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	plain := secret.NewToken()
	_, err := s.changePart(ctx, prefixToken+t.GetId(), func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if revision > 0 {
			return rpc.Unavailable("the generated id is taken: try again")
		}
		p.Tokens = []*outboundv1.StoredToken{{Token: t, SecretSha256: secret.HashToken(plain)}}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &outboundv1.CreateTokenResponse{Token: t, Secret: plain}, nil
}

// DeleteToken implements outboundv1.AccessServiceServer.
func (s accessServer) DeleteToken(ctx context.Context, q *outboundv1.DeleteTokenRequest) (*emptypb.Empty, error) {
	if !safeID(q.GetId()) {
		return nil, rpc.NotFound(kindToken, q.GetId())
	}
	_, err := s.changePart(ctx, prefixToken+q.GetId(), func(p *outboundv1.WatchSettingsResponse, _ uint64) error {
		if len(p.GetTokens()) == 0 {
			return rpc.NotFound(kindToken, q.GetId())
		}
		return errGone
	})
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// Tokens tells whose an API token is, from what this service itself shows to the others.
func (s *Service) Tokens() rpc.Authenticator { return &ownTokens{snapshot: s.settingsSnapshot} }

type ownTokens struct {
	snapshot *snapshot[*outboundv1.WatchSettingsResponse]
	index    atomic.Pointer[ownIndex]
}

// ownIndex finds a token by its secret's hash. A hash of 256 random bits can be looked up in a map: the time that takes tells
// nothing about a secret.
type ownIndex struct {
	of    *outboundv1.WatchSettingsResponse
	bySum map[[sha256.Size]byte]settings.Token
}

// Authenticate implements rpc.Authenticator.
func (o *ownTokens) Authenticate(_ context.Context, token string) (rpc.Principal, error) {
	state, _, _ := o.snapshot.read()
	index := o.index.Load()
	if index == nil || index.of != state {
		index = &ownIndex{of: state, bySum: map[[sha256.Size]byte]settings.Token{}}
		for _, t := range state.GetTokens() {
			var sum [sha256.Size]byte
			if copy(sum[:], t.GetSecretSha256()) == len(sum) {
				index.bySum[sum] = configclient.DecodeToken(t.GetToken())
			}
		}
		o.index.Store(index)
	}
	return configclient.PrincipalOf(index.bySum, token, time.Now())
}
