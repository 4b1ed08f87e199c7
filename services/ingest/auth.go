package ingest

import (
	"context"
	"crypto/sha256"
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/settings"
)

// ApplianceTokens maps tokens to appliances.
type ApplianceTokens struct {
	config *configclient.Client
	index  atomic.Pointer[tokenIndex]
}

// tokenIndex finds an appliance by its token's hash. A hash of 256 random bits can be looked up in a map: the time that takes
// reveals nothing about a token.
type tokenIndex struct {
	of     *settings.Settings
	byHash map[[32]byte]heldToken
}

// heldToken is a token of an appliance, which is not accepted from its end on. A zero end never comes.
type heldToken struct {
	appliance string
	end       time.Time
}

// NewApplianceTokens makes an authenticator of the appliances that a configuration knows; it must watch settings.
func NewApplianceTokens(c *configclient.Client) *ApplianceTokens { return &ApplianceTokens{config: c} }

// Authenticate implements rpc.Authenticator. Until the appliances are known, no token is called unknown: an appliance takes that for
// final. The error is then configclient.ErrNotTold.
func (a *ApplianceTokens) Authenticate(_ context.Context, token string) (rpc.Principal, error) {
	if err := a.config.Told(); err != nil {
		return rpc.Principal{}, err
	}
	settings := a.config.Settings()
	index := a.index.Load()
	if index == nil || index.of != settings {
		index = &tokenIndex{of: settings, byHash: make(map[[32]byte]heldToken, len(settings.Appliances))}
		for id, auth := range settings.Appliances {
			if !auth.PreviousTokenExpire.IsZero() {
				index.byHash[auth.PreviousTokenSHA256] = heldToken{appliance: id, end: auth.PreviousTokenExpire}
			}
			index.byHash[auth.TokenSHA256] = heldToken{appliance: id, end: auth.TokenExpire}
		}
		a.index.Store(index)
	}
	held, known := index.byHash[sha256.Sum256([]byte(token))]
	if !known || !held.end.IsZero() && !time.Now().Before(held.end) {
		return rpc.Principal{}, rpc.ErrUnknownToken
	}
	return rpc.Principal{Role: rpc.RoleAppliance, Appliance: held.appliance}, nil
}
