package ingest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/ingest"
)

// A process that has just started knows no appliance yet. Its refusal of a token would be final for an appliance.
func TestNoTokenIsCalledUnknownBeforeTheConfigurationIsKnown(t *testing.T) {
	config := configclient.New(nil, configclient.Options{Settings: true})
	for name, a := range map[string]rpc.Authenticator{
		"appliances": ingest.NewApplianceTokens(config), "API tokens": configclient.NewTokens(config, time.Now),
	} {
		if _, err := a.Authenticate(t.Context(), "a-token"); !errors.Is(err, configclient.ErrNotTold) || errors.Is(err, rpc.ErrUnknownToken) {
			t.Errorf("%s: a token is refused with %v, want %v", name, err, configclient.ErrNotTold)
		}
	}
}
