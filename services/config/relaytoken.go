package config

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// keyRelayToken is where the refresh token is kept that the relay's token endpoint gave in place of the one in the settings. It is
// no resource: endpoints may give a new one every hour, and revisions are for what people change.
const keyRelayToken = "relay-token"

// KeepRelayToken implements outboundv1.SettingsServiceServer. The token replaces the one in use only where that is the one it was
// got with, so that what an operator has set meanwhile stays.
func (s settingsServer) KeepRelayToken(ctx context.Context, q *outboundv1.KeepRelayTokenRequest) (*emptypb.Empty, error) {
	for {
		err := s.keepRelayToken(ctx, q)
		if !errors.Is(err, bus.ErrConflict) {
			return &emptypb.Empty{}, failed(ctx, err)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		pause(ctx, rand.N(20*time.Millisecond))
	}
}

// keepRelayToken is one try; bus.ErrConflict if another was faster. A change of the settings that comes in between makes what is
// stored void.
func (s *Service) keepRelayToken(ctx context.Context, q *outboundv1.KeepRelayTokenRequest) error {
	p, _, err := s.part(ctx, keySMTP)
	if err != nil {
		return err
	}
	e, err := s.settings.read(ctx, keyRelayToken)
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return err
	}
	typed := p.GetSealedSmtpSecrets()[recipient.SecretRelayRefresh]
	if err := useRelayToken(p, e.Value); err != nil {
		return err
	}
	o, sealed := p.GetSmtp().GetOauth2(), p.GetSealedSmtpSecrets()[recipient.SecretRelayRefresh]
	if o.GetTokenUrl() != q.GetTokenUrl() || o.GetClientId() != q.GetClientId() || len(sealed) == 0 {
		return errAnotherToken()
	}
	plain, err := s.sealer.Open(sealed, recipient.SecretRelayRefresh)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(plain); subtle.ConstantTimeCompare(sum[:], q.GetReplacedSha256()) != 1 {
		return errAnotherToken()
	}
	next := &outboundv1.StoredRelayToken{SettingsSha256: digest(typed)}
	if next.Sealed, err = s.sealer.Seal([]byte(q.GetRefreshToken()), recipient.SecretRelayRefresh); err != nil {
		return err
	}
	b, err := proto.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode the relay's refresh token: %w", err)
	}
	_, err = s.settings.write(ctx, keyRelayToken, b, e.Revision)
	return err
}

// useRelayToken puts the stored token, if there is one, in the place of the one in the settings that it stands in for. Each sealing
// is unlike any other, so a token that somebody gives again counts as another; one that a roll back brings back as the same.
func useRelayToken(p *outboundv1.WatchSettingsResponse, stored []byte) error {
	t := &outboundv1.StoredRelayToken{}
	if err := proto.Unmarshal(stored, t); err != nil {
		return fmt.Errorf("read the relay's refresh token: %w", err)
	}
	typed := p.GetSealedSmtpSecrets()[recipient.SecretRelayRefresh]
	if len(typed) > 0 && bytes.Equal(digest(typed), t.GetSettingsSha256()) {
		p.SealedSmtpSecrets[recipient.SecretRelayRefresh] = t.GetSealed()
	}
	return nil
}

func digest(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

func errAnotherToken() error {
	return rpc.FailedPrecondition("ANOTHER_TOKEN", "the token endpoint, client or refresh token of the settings has changed: nothing was updated")
}
