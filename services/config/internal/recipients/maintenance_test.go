package recipients_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func weekly(zone, start string, d time.Duration, days ...outboundv1.MaintenanceWindow_Weekday_Day) *outboundv1.MaintenanceWindow {
	return &outboundv1.MaintenanceWindow{TimeZone: zone, When: &outboundv1.MaintenanceWindow_Weekly_{
		Weekly: &outboundv1.MaintenanceWindow_Weekly{Days: days, Start: start, Duration: durationpb.New(d)}}}
}

func once(start, end time.Time) *outboundv1.MaintenanceWindow {
	return &outboundv1.MaintenanceWindow{TimeZone: "UTC", When: &outboundv1.MaintenanceWindow_Once_{
		Once: &outboundv1.MaintenanceWindow_Once{StartTime: timestamppb.New(start), EndTime: timestamppb.New(end)}}}
}

// faults are the fields that an error names, with what it says of them.
func faults(err error) (out []string) {
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				out = append(out, v.GetField()+": "+v.GetDescription())
			}
		}
	}
	return out
}

func TestMaintenanceWindowsAreCheckedFieldByField(t *testing.T) {
	s, _ := start(t)
	now, sat := time.Now(), outboundv1.MaintenanceWindow_Weekday_SATURDAY
	good, rate := weekly("Europe/Berlin", "22:00", 6*time.Hour, sat), weekly("UTC", "22:00", time.Hour, sat)
	rate.DrainRate = 10_001
	var many, always []*outboundv1.MaintenanceWindow
	for i := range 21 {
		many = append(many, weekly("UTC", fmt.Sprintf("%02d:00", i), time.Minute, sat))
	}
	for day := outboundv1.MaintenanceWindow_Weekday_MONDAY; day <= outboundv1.MaintenanceWindow_Weekday_SUNDAY; day++ {
		always = append(always, weekly("UTC", "00:00", 24*time.Hour, day))
	}
	for want, windows := range map[string][]*outboundv1.MaintenanceWindow{
		"maintenanceWindows[1].timeZone: \"Mars/Olympus\" is not a time zone": {good, weekly("Mars/Olympus", "22:00", time.Hour, sat)},
		"maintenanceWindows[0].timeZone: \"Local\" is not a time zone":        {weekly("Local", "22:00", time.Hour, sat)},
		"maintenanceWindows[0].timeZone:":                                     {weekly("", "22:00", time.Hour, sat)},
		"maintenanceWindows[0].weekly.start:":                                 {weekly("UTC", "24:00", time.Hour, sat)},
		"maintenanceWindows[0].weekly.days:":                                  {weekly("UTC", "22:00", time.Hour)},
		"maintenanceWindows[0].weekly.days[0]:":                               {weekly("UTC", "22:00", time.Hour, 0)},
		"maintenanceWindows[0].weekly.duration:":                              {weekly("UTC", "22:00", 0, sat)},
		"maintenanceWindows[0].drainRate:":                                    {rate},
		"maintenanceWindows[1].once.endTime: must be after startTime":         {good, once(now, now)},
		"maintenanceWindows[0].once.endTime: must be at most 7 days":          {once(now, now.Add(7*24*time.Hour+1))},
		"maintenanceWindows: together hold":                                   always,
		"maintenanceWindows:":                                                 many,
		"maintenanceWindows[0].when:":                                         {{TimeZone: "UTC"}},
	} {
		r := desk()
		r.MaintenanceWindows = windows
		_, err := s.CreateRecipient(testContext(t), &outboundv1.CreateRecipientRequest{Recipient: r})
		if got := faults(err); !slices.ContainsFunc(got, func(f string) bool { return strings.HasPrefix(f, want) }) {
			t.Errorf("want %q, have %q (%v)", want, got, err)
		}
	}
}

func TestWindowThatIsOverIsAWarning(t *testing.T) {
	s, _ := start(t)
	r := desk()
	r.MaintenanceWindows = []*outboundv1.MaintenanceWindow{once(time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))}
	if got := create(t, s, r).GetWarnings(); !slices.Contains(got, "maintenanceWindows[0] is over: you can remove it.") {
		t.Errorf("warnings: %q", got)
	}
}
