package filter_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/filter"
	"github.com/outbound-events/outbound/pkg/recipient"
)

const ended = `{"specversion":"1.0","id":"e-1","source":"appliance-1","type":"support_conference_end","time":"2026-11-21T10:00:00Z",
"subject":"0a1b","data":{"external_key":"INC-1","custom_fields":{"region":"emea"},"duration":1260,"end_reason":"closed",
"customer":{"name":"Zoë"}}}`

func decode(t testing.TB, raw string) *event.Event {
	t.Helper()
	e, faults := event.Decode([]byte(raw))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return e
}

func compiler(t testing.TB) *filter.Compiler {
	t.Helper()
	c, err := filter.NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestExpressions(t *testing.T) {
	c, e := compiler(t), decode(t, ended)
	for expression, want := range map[string]string{
		`true`:                                   "true",
		`false`:                                  "false",
		`event.type == "support_conference_end"`: "true",
		`event.id == "e-1" && event.appliance == "appliance-1" && event.session == "0a1b"`: "true",
		`event.external_key.startsWith("INC-")`:                                            "true",
		`has(event.external_key) && has(event.session)`:                                    "true",
		`event.time > timestamp("2026-01-01T00:00:00Z")`:                                   "true",
		`event.time.getHours("Europe/Berlin") == 11`:                                       "true",
		`event.time.getDayOfWeek() in [1, 2, 3, 4, 5]`:                                     "false",
		`int(vars.duration) > 600`:                                                         "true",
		`vars.end_reason in ["closed", "timeout"]`:                                         "true",
		`vars["customer.name"] == "Zoë"`:                                                   "true",
		`custom.region == "emea"`:                                                          "true",
		`"region" in custom && !("missing" in vars)`:                                       "true",
		`has(vars.priority) && vars.priority == "high"`:                                    "false",
		`!has(vars.priority) || vars.priority == "high"`:                                   "true",
		`vars.exists(name, name.startsWith("customer."))`:                                  "true",
		`event.type.matches("^support_.*_end$")`:                                           "true",
		`size(vars) == 3`:                                                                  "true",
		`vars.priority == "high"`:                                                          "error no such key: priority",
		`vars[vars["customer.name"]] == ""`:                                                "error no such key!",
		`"a".matches(vars.end_reason + "[")`:                                               "error error parsing regexp!",
		`timestamp(vars.end_reason) > event.time`:                                          "error invalid RFC 3339 timestamp!",
		`vars.priority == "high" || true`:                                                  "true",
		`int(vars.end_reason) > 3`:                                                         "error type conversion error",
		`vars.all(a, vars.all(b, vars.all(c, vars.all(d, vars.all(e, vars.all(f, vars.all(g, vars.all(h, vars.all(i, vars.all(j, a+b+c+d+e+f+g+h+i+j != "")))))))))) `: "error operation cancelled: actual cost limit exceeded",
		`event == event`: "error",
	} {
		f, err := c.Compile(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		yes, err := f.Matches(e)
		got := fmt.Sprint(yes)
		if err != nil {
			if yes {
				t.Errorf("%s: true in spite of %v", expression, err)
			}
			got = "error " + err.Error()
			if strings.HasSuffix(want, "!") { // nothing may follow
				got += "!"
			}
		}
		if got != want && (!strings.HasPrefix(want, "error") || !strings.HasPrefix(got, want)) {
			t.Errorf("%s: got %s, want %s", expression, got, want)
		}
	}
}

func TestRefusedExpressions(t *testing.T) {
	c := compiler(t)
	for expression, want := range map[string]string{
		"":                                 "is empty",
		" \n":                              "is empty",
		`event.type`:                       "gives string: it must be true or false",
		`vars.a`:                           "gives string",
		`dyn(true)`:                        "gives dyn",
		`event.typ == "x"`:                 "line 1, column 6: undefined field 'typ'",
		"true &&\n  events.id == \"\"":     "line 2, column 3: undeclared reference to 'events'",
		`event.type = "x"`:                 "line 1, column 12: ",
		`event.type == 3`:                  "line 1, column 12: found no matching overload",
		`int(vars.a) > "3"`:                "found no matching overload",
		`event.type.matches("(")`:          "error parsing regexp",
		`outbound.Event{id: "1"} == event`: "can't",
		`"` + strings.Repeat("x", 4096) + `" == ""`:                  "has 4104 bytes: the limit is 4096",
		strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300): "line",
	} {
		f, err := c.Compile(expression)
		if err == nil {
			_, err = f.Matches(decode(t, ended))
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %q", expression, err, want)
		}
	}
}

func TestACacheFollowsTheRecipient(t *testing.T) {
	c, err := filter.NewCache()
	if err != nil {
		t.Fatal(err)
	}
	e := decode(t, ended)
	for i, step := range []struct {
		filter     string
		want, fail bool
	}{{"", true, false}, {`vars.duration == "1260"`, true, false}, {`vars.duration == "1"`, false, false}, {`nonsense(`, false, true},
		{"true", true, false}} {
		r := &recipient.Recipient{ID: "crm", Revision: uint64(i), Filter: step.filter}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if got, err := c.Matches(r, e); got != step.want || (err != nil) != step.fail {
					t.Errorf("%q: got %v, %v", step.filter, got, err)
				}
			})
		}
		all.Wait()
		c.Keep(func(string) bool { return i%2 == 0 })
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{`event.type == "x"`, `vars.a in ["b"] && has(custom.c)`, `vars.exists(k, k == "a")`,
		`event.time.getHours() > 3`, `[1,2][3] == 4`, `1/0 == 1`, `"\u00e9".matches("[")`} {
		f.Add(s)
	}
	c, e := compiler(f), decode(f, ended)
	f.Fuzz(func(t *testing.T, expression string) {
		compiled, err := c.Compile(expression)
		if err != nil {
			return
		}
		first, err := compiled.Matches(e)
		if err != nil && first {
			t.Errorf("%q: true in spite of %v", expression, err)
		}
	})
}

func BenchmarkMatches(b *testing.B) {
	c, e := compiler(b), decode(b, ended)
	for name, expression := range map[string]string{
		"event": `event.type == "support_conference_end"`,
		"usual": `event.type == "support_conference_end" && int(vars.duration) > 600 && (!has(custom.region) || custom.region in ["emea", "apac"])`,
	} {
		b.Run(name, func(b *testing.B) {
			f, err := c.Compile(expression)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if yes, err := f.Matches(e); !yes {
					b.Fatal(err)
				}
			}
		})
	}
}
