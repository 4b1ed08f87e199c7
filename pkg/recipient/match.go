package recipient

import (
	"slices"
	"time"

	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
)

// WantsType reports whether the recipient selects an event type.
func (r *Recipient) WantsType(eventType string) bool { return slices.Contains(r.EventTypes, eventType) }

// WantsAppliance reports whether the recipient selects an appliance.
func (r *Recipient) WantsAppliance(appliance string) bool {
	return len(r.Appliances) == 0 || slices.Contains(r.Appliances, appliance)
}

// Holds reports whether what comes for the recipient waits until somebody enables it.
func (r *Recipient) Holds() bool { return !r.Enabled && !r.Deleting && r.WhileDisabled == Hold }

// InMaintenance returns the maintenance window that holds deliveries at a time. A recipient that is disabled or being deleted has none.
func (r *Recipient) InMaintenance(t time.Time) (maintenance.Block, bool) {
	if r.Maintenance == nil || !r.Enabled || r.Deleting {
		return maintenance.Block{}, false
	}
	return r.Maintenance.At(t)
}

// lastExpiry is how long after its acceptance a delivery expires at the latest: an hour before its event is dropped.
const lastExpiry = maxWindowAge - time.Hour

// Expire is when the retry duration of a delivery ends that was accepted at a time. Time in a maintenance window does not count.
func (r *Recipient) Expire(accepted time.Time) time.Time {
	if r.Maintenance == nil {
		return accepted.Add(r.Retry.Duration)
	}
	end := r.Maintenance.End(accepted, r.Retry.Duration)
	if last := accepted.Add(lastExpiry); end.After(last) {
		return last
	}
	return end
}

// DisabledAt reports whether the recipient was disabled, with Skip, at a time.
func (r *Recipient) DisabledAt(t time.Time) bool {
	for _, w := range r.DisabledWindows {
		if !t.Before(w.Start) && (w.End.IsZero() || t.Before(w.End)) {
			return true
		}
	}
	return false
}
