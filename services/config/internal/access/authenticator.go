package access

import (
	"context"
	"crypto/sha256"
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Authenticator authenticates API tokens by the settings as they were last read.
type Authenticator struct {
	latest func() *outboundv1.WatchSettingsResponse
	now    func() time.Time
	index  atomic.Pointer[tokenIndex]
}

// NewAuthenticator returns an authenticator. latest returns the settings, which are not changed afterwards, now the
// broker's time.
func NewAuthenticator(latest func() *outboundv1.WatchSettingsResponse, now func() time.Time) *Authenticator {
	return &Authenticator{latest: latest, now: now}
}

// tokenIndex finds a token by its secret's hash. A hash of 256 random bits can be looked up in a map: the time that takes tells
// nothing about a secret.
type tokenIndex struct {
	of    *outboundv1.WatchSettingsResponse
	bySum map[[sha256.Size]byte]settings.Token
}

// Authenticate implements rpc.Authenticator.
func (o *Authenticator) Authenticate(_ context.Context, token string) (rpc.Principal, error) {
	state := o.latest()
	index := o.index.Load()
	if index == nil || index.of != state {
		index = &tokenIndex{of: state, bySum: map[[sha256.Size]byte]settings.Token{}}
		for _, t := range state.GetTokens() {
			var sum [sha256.Size]byte
			if copy(sum[:], t.GetSecretSha256()) == len(sum) {
				index.bySum[sum] = configclient.DecodeToken(t.GetToken())
			}
		}
		o.index.Store(index)
	}
	return configclient.PrincipalOf(index.bySum, token, o.now())
}
