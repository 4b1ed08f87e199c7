package ingest

import (
	"context"
	"crypto/sha256"
	"sync/atomic"

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
	of   *settings.Settings
	byID map[[32]byte]string
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
		index = &tokenIndex{of: settings, byID: make(map[[32]byte]string, len(settings.Appliances))}
		for id, auth := range settings.Appliances {
			index.byID[auth.TokenSHA256] = id
		}
		a.index.Store(index)
	}
	id, known := index.byID[sha256.Sum256([]byte(token))]
	if !known {
		return rpc.Principal{}, rpc.ErrUnknownToken
	}
	return rpc.Principal{Role: rpc.RoleAppliance, Appliance: id}, nil
}
