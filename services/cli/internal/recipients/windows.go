package recipients

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/input"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

const (
	windowFlag = "maintenance-window"
	windowHelp = "planned time in which deliveries are held: 'Sat,Sun 22:00 6h Europe/Berlin' (days, start, duration, time zone) or " +
		"'2026-12-01T22:00 2026-12-02T04:00 Europe/Berlin'; with drain=20 behind it, 20 deliveries per second follow it; may be repeated; " +
		"replaces all windows; none removes them"
	noWindows = "none"
)

// addWindows adds the maintenance windows.
func (r *recipientFlags) addWindows(_ *input.Reader, t resource.Tree) error {
	if len(r.windows) == 0 {
		return nil
	}
	all := []any{}
	for _, text := range r.windows {
		if text == noWindows && len(r.windows) == 1 {
			break
		}
		w, err := maintenance.Parse(text)
		if err != nil {
			return exit.Usagef("--%s: %w", windowFlag, err)
		}
		raw, err := protojson.Marshal(configclient.EncodeMaintenance(w))
		if err != nil {
			return fmt.Errorf("encode a maintenance window: %w", err)
		}
		tree := resource.Tree{}
		if err := json.Unmarshal(raw, &tree); err != nil {
			return fmt.Errorf("read a maintenance window: %w", err)
		}
		all = append(all, tree)
	}
	resource.Set(t, "maintenanceWindows", all)
	return nil
}
