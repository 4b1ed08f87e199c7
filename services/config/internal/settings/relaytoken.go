package settings

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// KeepRelayToken implements outboundv1.SettingsServiceServer. The token replaces the one in use only if it was obtained with that one, so
// that it does not overwrite what an operator has set meanwhile.
func (s *Relay) KeepRelayToken(ctx context.Context, q *outboundv1.KeepRelayTokenRequest) (*emptypb.Empty, error) {
	for {
		err := s.keepRelayToken(ctx, q)
		if !errors.Is(err, bus.ErrConflict) {
			return &emptypb.Empty{}, store.AsStatus(ctx, err)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		store.Backoff(ctx)
	}
}

// keepRelayToken is one try; bus.ErrConflict if another writer was faster. If the settings change in between, the stored token is void.
func (s *Relay) keepRelayToken(ctx context.Context, q *outboundv1.KeepRelayTokenRequest) error {
	p, _, err := s.parts.Get(ctx, store.KeySMTP)
	if err != nil {
		return err
	}
	e, err := s.parts.Entries().Get(ctx, store.KeyRelayToken)
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return err
	}
	typed := p.GetSealedSmtpSecrets()[credential.SecretRelayRefresh]
	if err := useRelayToken(p, e.Value); err != nil {
		return err
	}
	o, sealed := p.GetSmtp().GetOauth2(), p.GetSealedSmtpSecrets()[credential.SecretRelayRefresh]
	if o.GetTokenUrl() != q.GetTokenUrl() || o.GetClientId() != q.GetClientId() || len(sealed) == 0 {
		return errAnotherToken()
	}
	plain, err := s.sealer.Open(sealed, credential.SecretRelayRefresh)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(plain); subtle.ConstantTimeCompare(sum[:], q.GetReplacedSha256()) != 1 {
		return errAnotherToken()
	}
	next := &outboundv1.StoredRelayToken{SettingsSha256: digest(typed)}
	if next.Sealed, err = s.sealer.Seal([]byte(q.GetRefreshToken()), credential.SecretRelayRefresh); err != nil {
		return err
	}
	b, err := proto.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode the relay's refresh token: %w", err)
	}
	_, err = s.parts.Entries().Apply(ctx, store.Mutation{Key: store.KeyRelayToken, Value: b, Revision: e.Revision})
	return err
}

// useRelayToken replaces the token of the settings by the stored one that was obtained with it. Each sealing differs from all others, so
// a token that is set again counts as another one, and one that a roll back restores as the same.
func useRelayToken(p *outboundv1.WatchSettingsResponse, stored []byte) error {
	t := &outboundv1.StoredRelayToken{}
	if err := proto.Unmarshal(stored, t); err != nil {
		return fmt.Errorf("read the relay's refresh token: %w", err)
	}
	typed := p.GetSealedSmtpSecrets()[credential.SecretRelayRefresh]
	sum := digest(typed)
	if len(typed) > 0 && (bytes.Equal(sum, t.GetSettingsSha256()) || bytes.Equal(sum, t.GetResealedSha256())) {
		p.SealedSmtpSecrets[credential.SecretRelayRefresh] = t.GetSealed()
	}
	return nil
}

func digest(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

func errAnotherToken() error {
	return rpc.FailedPrecondition("ANOTHER_TOKEN",
		"the token endpoint, client or refresh token of the settings has changed: nothing was updated")
}
