package recipient

import (
	"slices"
	"time"
)

// WantsType reports whether the recipient selects an event type.
func (r *Recipient) WantsType(eventType string) bool { return slices.Contains(r.EventTypes, eventType) }

// WantsAppliance reports whether the recipient selects an appliance.
func (r *Recipient) WantsAppliance(appliance string) bool {
	return len(r.Appliances) == 0 || slices.Contains(r.Appliances, appliance)
}

// Holds reports whether what comes for the recipient waits until somebody enables it.
func (r *Recipient) Holds() bool { return !r.Enabled && !r.Deleting && r.WhileDisabled == Hold }

// DisabledAt reports whether the recipient was disabled, with Skip, at a time.
func (r *Recipient) DisabledAt(t time.Time) bool {
	for _, w := range r.DisabledWindows {
		if !t.Before(w.Start) && (w.End.IsZero() || t.Before(w.End)) {
			return true
		}
	}
	return false
}
