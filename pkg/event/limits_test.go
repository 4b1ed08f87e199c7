package event_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/event"
)

func quoted(unit string, n int) string { return `"` + strings.Repeat(unit, n) + `"` }

// Each limit is the largest that is accepted; one more is refused, and the description names the limit.
func TestLimits(t *testing.T) {
	data := func(format string) func(int) []byte {
		return func(n int) []byte { return with("data", fmt.Sprintf(format, strings.Repeat("é", n))) }
	}
	for _, c := range []struct {
		name  string
		limit int
		of    func(n int) []byte
		want  string // field and reason of one more
	}{
		{"external key", event.MaxTextLength, data(`{"external_key":"%s"}`), "data.external_key TOO_LONG"},
		{"value of a custom field", event.MaxTextLength, data(`{"custom_fields":{"c":"%s"}}`), "data.custom_fields.c TOO_LONG"},
		{"custom fields", event.MaxCustomFields, func(n int) []byte {
			return with("data", `{"custom_fields":{`+numbered(n, `"c%d":1`)+`}}`)
		}, "data.custom_fields TOO_MANY"},
		{"depth of objects", event.MaxDepth, func(n int) []byte {
			return with("data", strings.Repeat(`{"a":`, n-1)+"1"+strings.Repeat("}", n-1))
		}, "data" + strings.Repeat(".a", event.MaxDepth-1) + " TOO_DEEP"},
		{"depth of arrays", event.MaxDepth, func(n int) []byte {
			return with("data", `{"a":`+strings.Repeat("[", n-2)+strings.Repeat("]", n-2)+"}")
		}, "data.a TOO_DEEP"},
		{"depth of an extension attribute", event.MaxDepth, func(n int) []byte {
			return with("x", strings.Repeat("[", n-1)+strings.Repeat("]", n-1))
		}, "x TOO_DEEP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, violations := event.Decode(c.of(c.limit)); violations != nil {
				t.Errorf("%d: %v", c.limit, violations)
			}
			_, violations := event.Decode(c.of(c.limit + 1))
			if got := faults(violations); got != c.want {
				t.Errorf("%d: %s, not %s", c.limit+1, got, c.want)
			}
			if !strings.Contains(violations.Error(), fmt.Sprint(c.limit)) {
				t.Errorf("%q does not name the limit of %d", violations, c.limit)
			}
		})
	}
}

// Texts that a limit does not name are as long as the event may be.
func TestValuesOfVariablesHaveNoLimitOfTheirOwn(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	if got := mustDecode(t, with("data", `{"v":"`+long+`"}`)).Variables[0].Value; got != long {
		t.Errorf("%d characters of %d", len(got), len(long))
	}
}

func extended(n int, more string) []byte {
	return []byte(`{"specversion":"1.0","id":"e-1","source":"a-1","type":"x_y",` + more + numbered(n, `"x%d":1`) + "}")
}

func TestTheLimitOfAttributes(t *testing.T) {
	for _, c := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"as many as may be", extended(event.MaxAttributes-4, ""), ""},
		{"one more", extended(event.MaxAttributes-3, ""), " TOO_MANY"},
		{"as many as may be and a time", extended(event.MaxAttributes-4, `"time":"2026-11-21T10:00:00Z",`), ""},
		{"one more and a time", extended(event.MaxAttributes-3, `"time":"2026-11-21T10:00:00Z",`), " TOO_MANY"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, violations := event.Decode(c.raw); faults(violations) != c.want {
				t.Error(violations)
			}
		})
	}
}

// The time of acceptance is written into an event without one. It must not make the stored event unreadable.
func TestAnEventWithAllItsAttributesCanBeReadOnceItHasATime(t *testing.T) {
	e := mustDecode(t, extended(event.MaxAttributes-4, ""))
	mustDecode(t, e.WithTime(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)).Raw)
}

func TestCustomFieldsBeyondTheLimitAreNotKept(t *testing.T) {
	e, violations := event.Decode(with("data", `{"custom_fields":{`+numbered(31, `"c%d":1`)+`},"v":1}`))
	if len(violations) != 1 || e.Custom != nil || listed(e.Variables) != "v=1" {
		t.Errorf("%v, %v, %v", violations, e.Custom, e.Variables)
	}
}

func TestTimeLimits(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		at   time.Time
		want string
	}{
		{"none", time.Time{}, ""},
		{"now", now, ""},
		{"in another zone", now.In(time.FixedZone("", 5*3600)), ""},
		{"as old as may be", now.Add(-event.MaxAge), ""},
		{"older", now.Add(-event.MaxAge - 1), "time TIME_OUT_OF_RANGE"},
		{"as far ahead as may be", now.Add(event.MaxAhead), ""},
		{"further ahead", now.Add(event.MaxAhead + 1), "time TIME_OUT_OF_RANGE"},
		{"the first second of Unix", time.Unix(0, 0), "time TIME_OUT_OF_RANGE"},
		{"a thousand years ahead", now.AddDate(1000, 0, 0), "time TIME_OUT_OF_RANGE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &event.Event{Time: c.at, Type: "unknown"}
			if got := faults(e.CheckTime(now)); got != c.want {
				t.Errorf("%q", got)
			}
			// Check has the faults of time and those of type.
			want := sortFaults(strings.Trim(c.want+"|type UNKNOWN_TYPE", "|"))
			if got := faults(e.Check(now, func(string) bool { return false })); got != want {
				t.Errorf("check: %q", got)
			}
		})
	}
}

func TestCheckHasNoSecondFaultForATypeThatCouldNotBeRead(t *testing.T) {
	if violations := (&event.Event{}).Check(time.Now(), func(string) bool { return false }); violations != nil {
		t.Error(violations)
	}
}

func TestAnUnknownTypeNamesTheNearest(t *testing.T) {
	known := []string{"support_conference_end", "access_session_end", "door_open"}
	for id, near := range map[string]string{
		"support_conference_ended": "support_conference_end", "supp0rt_conference_end": "support_conference_end",
		"access_sesion_end": "access_session_end", "door_opened": "door_open",
		"x": "", "printer_jam": "", "conference": "",
	} {
		v := event.UnknownType(id, known)
		if v.Field != "type" || v.Reason != event.ReasonUnknownType || !strings.Contains(v.Description, fmt.Sprintf("%q", id)) {
			t.Errorf("%s: %+v", id, v)
		}
		want := "see the event types"
		if near != "" {
			want = "did you mean " + near + "?"
		}
		if !strings.Contains(v.Description, want) {
			t.Errorf("%s: %s", id, v.Description)
		}
	}
	// Check suggests only types that are known where it is asked.
	e := &event.Event{Type: "support_conference_ent"}
	if got := e.Check(time.Now(), func(id string) bool { return id == "access_session_end" }).Error(); strings.Contains(got, "did you mean") {
		t.Error(got)
	}
}
