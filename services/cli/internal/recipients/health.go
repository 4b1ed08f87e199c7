package recipients

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
)

// healths are the states of recipients, by id.
type healths map[string]*outboundv1.RecipientStatus

// healthsOf asks for the states of all recipients. Without an answer the list has none, and a note says why.
func healthsOf(ctx context.Context, env *command.Env, c *client.Client) healths {
	s := &outboundv1.Status{}
	if err := c.Call(ctx, http.MethodGet, "/v1/status", nil, s); err != nil {
		env.Note("health is not known: %v", err)
		return nil
	}
	out := healths{}
	for _, r := range s.GetRecipients() {
		out[r.GetRecipientId()] = r
	}
	return out
}

// cells are the health of a recipient and the number of events that wait for it.
func (h healths) cells(id string) (health, queued string) {
	r, ok := h[id]
	if !ok {
		return "-", "-"
	}
	if r.GetMaintenanceUntilTime() != nil {
		return r.GetHealth().String() + " until " + maintenanceEnd(r), fmt.Sprint(r.GetQueuedEvents())
	}
	return r.GetHealth().String(), fmt.Sprint(r.GetQueuedEvents())
}

// maintenanceEnd is when the open maintenance window of a recipient closes, in its time zone.
func maintenanceEnd(r *outboundv1.RecipientStatus) string {
	zone, err := maintenance.Zone(r.GetMaintenanceTimeZone())
	if err != nil {
		zone = time.UTC
	}
	return maintenance.TimeIn(r.GetMaintenanceUntilTime().AsTime(), time.Now(), zone)
}
