package validation

import (
	"fmt"
	"time"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const maintenanceWindows = "maintenanceWindows"

// Maintenance adds what is wrong with maintenance windows, beyond the rules of the contract.
func (v *Violations) Maintenance(in []*outboundv1.MaintenanceWindow, now time.Time) {
	before := len(v.list)
	for i, p := range in {
		at := fmt.Sprintf("%s[%d]", maintenanceWindows, i)
		if _, err := maintenance.Zone(p.GetTimeZone()); p.GetTimeZone() != "" {
			v.Check(at+".timeZone", err)
		}
		once := p.GetOnce()
		if once.GetStartTime() == nil || once.GetEndTime() == nil {
			continue
		}
		switch held := once.GetEndTime().AsTime().Sub(once.GetStartTime().AsTime()); {
		case held <= 0:
			v.Add(at+".once.endTime", Invalid, "must be after startTime")
		case held > maintenance.MaxHeld:
			v.Add(at+".once.endTime", Invalid, "must be at most 7 days after startTime")
		}
	}
	if len(v.list) > before {
		return
	}
	windows, err := configclient.DecodeMaintenance(in)
	if err != nil {
		return // a violation of the contract, which is told
	}
	if b := maintenance.New(windows).Longest(now); b.End.Sub(b.Start) > maintenance.MaxHeld {
		v.Add(maintenanceWindows, Invalid, "together hold deliveries for more than 7 days at a stretch, and events are stored for 8 days: "+
			"leave a gap between them, or disable the recipient with HOLD")
	}
}

// MaintenanceWarnings says which maintenance windows are over.
func MaintenanceWarnings(in []*outboundv1.MaintenanceWindow, now time.Time) (out []string) {
	for i, p := range in {
		if once := p.GetOnce(); once != nil && !once.GetEndTime().AsTime().After(now) {
			out = append(out, fmt.Sprintf("%s[%d] is over: you can remove it.", maintenanceWindows, i))
		}
	}
	return out
}
