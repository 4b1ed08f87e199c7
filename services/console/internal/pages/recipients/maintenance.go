package recipients

import (
	"fmt"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// windowsField holds maintenance windows, one in a line.
const windowsField = "maintenanceWindows"

func showWindows(form *web.Form, r *outboundv1.Recipient) error {
	windows, err := configclient.DecodeMaintenance(r.GetMaintenanceWindows())
	if err != nil {
		return err
	}
	text := make([]string, len(windows))
	for i, w := range windows {
		text[i] = w.String()
	}
	form.Set(windowsField, strings.Join(text, "\n"))
	return nil
}

func readWindows(form *web.Form, r *outboundv1.Recipient) {
	for line := range strings.Lines(form.Get(windowsField)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		w, err := maintenance.Parse(line)
		if err != nil {
			form.Add(windowsField, err.Error())
			return
		}
		r.MaintenanceWindows = append(r.MaintenanceWindows, configclient.EncodeMaintenance(w))
	}
}

// Maintenance says until when a maintenance window holds the deliveries of the recipient, or at which rate what it held is being sent;
// empty: neither.
func (r row) Maintenance() string {
	s := r.Status
	zone, err := maintenance.Zone(s.GetMaintenanceTimeZone())
	if err != nil {
		zone = time.UTC
	}
	switch {
	case r.State() == stateMaintenance:
		return fmt.Sprintf("in maintenance until %s, %d waiting", maintenance.TimeIn(s.GetMaintenanceUntilTime().AsTime(), time.Now(), zone),
			s.GetQueuedEvents())
	case s.GetDrainRate() > 0 && r.Recipient.GetEnabled():
		return fmt.Sprintf("sends what maintenance held at %d per second, %d waiting", s.GetDrainRate(), s.GetQueuedEvents())
	case s.GetNextMaintenanceTime() != nil && r.Recipient.GetEnabled():
		return "next from " + maintenance.TimeIn(s.GetNextMaintenanceTime().AsTime(), time.Now(), zone)
	default:
		return ""
	}
}

// Held reports whether a maintenance window is open, so that a test must be asked for.
func (p *editPage) Held() bool { return p.Row.State() == stateMaintenance }
