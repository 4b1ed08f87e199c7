package adminalerts_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/services/history/internal/adminalerts"
)

func TestTheDayOfANoticeFollowsTheCalendarThoughClocksChange(t *testing.T) {
	for _, c := range []struct{ zone, clock, now, day, at string }{
		{"UTC", "08:00", "2026-11-21T07:59:59Z", "2026-11-20", "2026-11-20T08:00:00Z"},
		{"UTC", "08:00", "2026-11-21T08:00:00Z", "2026-11-21", "2026-11-21T08:00:00Z"},
		{"Europe/Vienna", "08:00", "2026-11-21T07:00:00Z", "2026-11-21", "2026-11-21T07:00:00Z"},
		{"Europe/Vienna", "00:30", "2026-11-20T23:30:00Z", "2026-11-21", "2026-11-20T23:30:00Z"},
		{"America/Los_Angeles", "20:00", "2026-11-21T03:59:00Z", "2026-11-19", "2026-11-20T04:00:00Z"},
		// 02:30 is left out on 2026-03-29, and comes twice on 2026-10-25.
		{"Europe/Vienna", "02:30", "2026-03-29T00:20:00Z", "2026-03-28", "2026-03-28T01:30:00Z"},
		{"Europe/Vienna", "02:30", "2026-03-29T02:00:00Z", "2026-03-29", "2026-03-29T01:30:00Z"},
		{"Europe/Vienna", "02:30", "2026-03-30T00:30:00Z", "2026-03-30", "2026-03-30T00:30:00Z"},
		{"Europe/Vienna", "02:30", "2026-10-25T00:29:00Z", "2026-10-24", "2026-10-24T00:30:00Z"},
		{"Europe/Vienna", "02:30", "2026-10-25T00:45:00Z", "2026-10-24", "2026-10-24T00:30:00Z"},
		{"Europe/Vienna", "02:30", "2026-10-25T01:45:00Z", "2026-10-25", "2026-10-25T01:30:00Z"},
		// In Cairo the clocks are put on at midnight.
		{"Africa/Cairo", "00:10", "2026-04-24T12:00:00Z", "2026-04-24", ""},
		{"Africa/Cairo", "00:10", "2026-04-24T23:30:00Z", "2026-04-25", "2026-04-24T21:10:00Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		day, at, err := adminalerts.LastDue(now, zone, c.clock)
		if err != nil || day != c.day || c.at != "" && at.UTC().Format(time.RFC3339) != c.at || at.After(now) {
			t.Errorf("%s %s at %s: %s at %s (%v), want %s at %s", c.zone, c.clock, c.now, day, at.UTC().Format(time.RFC3339), err, c.day, c.at)
		}
	}
}

func TestEachDayOfAYearHasOneNotice(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Vienna", "America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Apia"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, clock := range []string{"00:00", "00:10", "02:15", "08:00", "23:59"} {
			begin := time.Date(2026, 1, 1, 12, 0, 0, 0, zone)
			sent := ""
			days := map[string]int{}
			for now := begin; now.Before(begin.AddDate(1, 0, 0)); now = now.Add(10 * time.Minute) {
				day, _, err := adminalerts.LastDue(now, zone, clock)
				if err != nil {
					t.Fatal(err)
				}
				if day > sent {
					days[day], sent = days[day]+1, day
				}
			}
			if len(days) < 365 || len(days) > 366 {
				t.Errorf("%s %s: %d days have notices", name, clock, len(days))
			}
		}
	}
}
