package configclient

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// KeepRelayToken hands a refresh token that the relay's token endpoint gave in place of another back to the config service, so that
// it outlives this process and reaches the other senders.
func (c *Client) KeepRelayToken(ctx context.Context, o settings.RelayOAuth2, rotated string) error {
	replaced := sha256.Sum256([]byte(o.RefreshToken))
	_, err := c.settings.KeepRelayToken(ctx, &outboundv1.KeepRelayTokenRequest{
		TokenUrl: o.TokenURL, ClientId: o.ClientID, ReplacedSha256: replaced[:], RefreshToken: rotated,
	})
	if err != nil {
		return fmt.Errorf("store the relay's new refresh token: %w", err)
	}
	return nil
}
