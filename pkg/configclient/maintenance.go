package configclient

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// DecodeMaintenance makes maintenance windows of their messages. It fails for those that the API does not accept.
func DecodeMaintenance(in []*outboundv1.MaintenanceWindow) ([]maintenance.Window, error) {
	out := make([]maintenance.Window, len(in))
	for i, p := range in {
		w, err := decodeWindow(p)
		if err != nil {
			return nil, fmt.Errorf("maintenance window %d: %w", i+1, err)
		}
		out[i] = w
	}
	return out, nil
}

func decodeWindow(p *outboundv1.MaintenanceWindow) (maintenance.Window, error) {
	w := maintenance.Window{DrainRate: int(p.GetDrainRate())}
	var err error
	if w.Zone, err = maintenance.Zone(p.GetTimeZone()); err != nil {
		return w, err
	}
	if once := p.GetOnce(); once != nil {
		w.Start, w.End = once.GetStartTime().AsTime(), once.GetEndTime().AsTime()
		return w, nil
	}
	for _, d := range p.GetWeekly().GetDays() {
		w.Days = append(w.Days, time.Weekday(d%7))
	}
	w.Duration = p.GetWeekly().GetDuration().AsDuration()
	w.Clock, err = maintenance.ParseClock(p.GetWeekly().GetStart())
	return w, err
}

// EncodeMaintenance is the message of a maintenance window.
func EncodeMaintenance(w maintenance.Window) *outboundv1.MaintenanceWindow {
	p := &outboundv1.MaintenanceWindow{TimeZone: w.Zone.String(), DrainRate: int32(w.DrainRate)}
	if !w.Weekly() {
		p.When = &outboundv1.MaintenanceWindow_Once_{Once: &outboundv1.MaintenanceWindow_Once{
			StartTime: timestamppb.New(w.Start), EndTime: timestamppb.New(w.End),
		}}
		return p
	}
	weekly := &outboundv1.MaintenanceWindow_Weekly{
		Start: fmt.Sprintf("%02d:%02d", w.Clock.Hour, w.Clock.Minute), Duration: durationpb.New(w.Duration),
	}
	for _, d := range w.Days {
		weekly.Days = append(weekly.Days, outboundv1.MaintenanceWindow_Weekday_Day((int(d)+6)%7+1))
	}
	p.When = &outboundv1.MaintenanceWindow_Weekly_{Weekly: weekly}
	return p
}
