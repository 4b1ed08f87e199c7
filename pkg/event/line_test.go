package event_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/event"
)

func TestAnIntakeRecordIsStoredAsEncodingJSONWritesIt(t *testing.T) {
	zone := time.FixedZone("", -5*3600-1800)
	for _, text := range []string{"", "plain", `"quoted\ <b>&`, "ünïcode\u2028", "bad \xff", "\x00\n\x7f"} {
		at := time.Date(2026, 11, 21, 10, 0, 0, 120_000_000, time.UTC)
		for _, r := range []event.IntakeRecord{
			{},
			{Time: at.In(zone), Via: text},
			{
				Accepted: true, Appliance: text, EventID: text, Type: text, Session: text, ExternalKey: text, EventTime: &at, Time: at,
				Sequence:   1<<64 - 1,
				Violations: event.Violations{{Field: text, Reason: "X", Description: text}}, Raw: []byte("<raw>" + text), Via: text, Recovered: true,
			},
		} {
			want, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.JSON()
			if err != nil || string(got) != string(want) {
				t.Errorf("got  %s, %v\nwant %s", got, err, want)
			}
		}
	}
	// A field more needs a line more in JSON.
	if n := reflect.TypeFor[event.IntakeRecord]().NumField(); n != 13 {
		t.Errorf("an intake record has %d fields: write the new one in JSON and in this test", n)
	}
	if _, err := (&event.IntakeRecord{Time: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}).JSON(); err == nil {
		t.Error("a time that RFC 3339 can't tell is written")
	}
}
