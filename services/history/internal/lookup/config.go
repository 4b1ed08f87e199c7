package lookup

import (
	"context"
	"time"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/rpc"
)

// configWait bounds how long a call waits for the first snapshot of the configuration.
const configWait = 5 * time.Second

var errNotConfigured = rpc.Unavailable("the configuration has not been received yet because the config service does not respond: try again")

// AwaitConfig waits until recipients and settings are known, 5 s at most.
func AwaitConfig(ctx context.Context, config *configclient.Client) error {
	timer := time.NewTimer(configWait)
	defer timer.Stop()
	select {
	case <-config.Ready():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errNotConfigured
	}
}
