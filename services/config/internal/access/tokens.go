package access

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/naming"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// ListTokens implements outboundv1.AccessServiceServer.
func (s *Access) ListTokens(ctx context.Context, _ *outboundv1.ListTokensRequest) (*outboundv1.ListTokensResponse, error) {
	parts, err := s.parts.List(ctx, store.PrefixToken)
	if err != nil {
		return nil, err
	}
	out := &outboundv1.ListTokensResponse{}
	for _, p := range parts {
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

// tokenIDLength is 50 bits, so that ids do not collide by chance. An id that is taken is refused.
const tokenIDLength = 10

// tokenLifetime is when a token expires whose caller names no time: long enough for a quarter, short enough that one that was forgotten
// goes by itself.
const tokenLifetime = 90 * 24 * time.Hour

// CreateToken implements outboundv1.AccessServiceServer.
func (s *Access) CreateToken(ctx context.Context, q *outboundv1.CreateTokenRequest) (*outboundv1.CreateTokenResponse, error) {
	t := &outboundv1.Token{}
	if in := q.GetToken(); in != nil {
		t, _ = proto.Clone(in).(*outboundv1.Token)
	}
	now := s.now()
	t.Id, t.DisplayName = strings.ToLower(rand.Text()[:tokenIDLength]), strings.TrimSpace(t.GetDisplayName())
	t.CreateTime, t.Creator = timestamppb.New(now), rpc.Actor(ctx)
	if t.GetRole() == outboundv1.Role_ROLE_UNSPECIFIED {
		t.Role = outboundv1.Role_VIEWER
	}
	var v validation.Violations
	if err := v.Rules(s.rules, t, kindToken); err != nil {
		return nil, err
	}
	if err := s.bind(ctx, &v, t); err != nil {
		return nil, err
	}
	switch end := t.GetExpireTime(); {
	case end != nil && t.GetNeverExpires():
		v.Add("neverExpires", validation.Invalid, "can't be set together with expireTime: leave one of them out")
	case end != nil && (end.CheckValid() != nil || !end.AsTime().After(now)):
		v.Add("expireTime", validation.Invalid, "has passed: set a time in the future, or leave it empty for 90 days")
	case end == nil && !t.GetNeverExpires():
		t.ExpireTime = timestamppb.New(now.Add(tokenLifetime))
	}
	if err := v.Err(); err != nil {
		return nil, err
	}
	plain := secret.NewToken()
	_, _, err := s.parts.Change(ctx, store.PrefixToken+t.GetId(), func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
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

// bind binds a receiver's token to its recipient, as it is now.
func (s *Access) bind(ctx context.Context, v *validation.Violations, t *outboundv1.Token) error {
	t.RecipientStart = 0
	id := t.GetRecipientId()
	switch {
	case t.GetRole() != outboundv1.Role_RECEIVER && id == "":
		return nil
	case t.GetRole() != outboundv1.Role_RECEIVER:
		v.Add("recipientId", validation.Invalid, "is for tokens with the role RECEIVER: leave it out, or set that role")
		return nil
	case id == "":
		v.Add("recipientId", validation.Missing, "is empty: set the HTTP recipient whose deliveries the token pulls")
		return nil
	}
	r, err := store.Recipient{}, bus.ErrNotFound
	if naming.SafeID(id) {
		r, err = s.recipients.Get(ctx, id)
	}
	switch {
	case errors.Is(err, bus.ErrNotFound) || err == nil && r.Deleting():
		v.Add("recipientId", validation.Invalid, "names no recipient: use the id of an HTTP recipient")
	case err != nil:
		return err
	case !r.Describe().Pulled:
		v.Add("recipientId", validation.Invalid,
			"names a recipient of the channel "+string(r.Channel())+": only the deliveries of HTTP recipients can be pulled")
	default:
		t.RecipientStart = r.GetStartSequence()
	}
	return nil
}

// DeleteToken implements outboundv1.AccessServiceServer.
func (s *Access) DeleteToken(ctx context.Context, q *outboundv1.DeleteTokenRequest) (*emptypb.Empty, error) {
	if !naming.SafeID(q.GetId()) {
		return nil, rpc.NotFound(kindToken, q.GetId())
	}
	_, _, err := s.parts.Change(ctx, store.PrefixToken+q.GetId(), func(p *outboundv1.WatchSettingsResponse, _ uint64) error {
		if len(p.GetTokens()) == 0 {
			return rpc.NotFound(kindToken, q.GetId())
		}
		return store.ErrRemove
	})
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}
