package event_test

import (
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/event"
)

func sortFaults(s string) string {
	parts := strings.Split(s, "|")
	sort.Strings(parts)
	return strings.Join(parts, "|")
}

func TestSamplesAreAcceptable(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	mail := ""
	for _, typ := range event.Catalogue() {
		e := event.Sample(typ, "appliance-1", "sample-1", now, []string{"region"})
		again, violations := event.Decode(e.Raw)
		if violations != nil {
			t.Errorf("%s: %v", typ.ID, violations)
		}
		if again.Type != typ.ID || len(again.Variables) != len(typ.Variables) || len(again.Custom) != 1 || again.Session == "" {
			t.Errorf("%s: %+v", typ.ID, again)
		}
		for _, v := range typ.Variables {
			if v.Description == "" || v.Example == "" {
				t.Errorf("%s: %s is not documented", typ.ID, v.Name)
			}
		}
		if typ.Email {
			mail += typ.ID + " "
		}
	}
	if want := "support_conference_end support_conference_customer_exit_survey_completed support_conference_rep_exit_survey_completed " +
		""; mail != want {
		t.Errorf("by email: %s", mail)
	}
}
