package event_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/pkg/event"
)

func TestValuesBecomeText(t *testing.T) {
	for value, want := range map[string]string{
		`"text"`: "text", `""`: "", `" a  b "`: " a  b ", `0`: "0", `-0`: "-0", `1.50`: "1.50", `1E+05`: "1E+05",
		`12345678901234567890123`: "12345678901234567890123", `0.1000000000000000055`: "0.1000000000000000055",
		`true`: "true", `false`: "false", `null`: "", `{}`: "", `{ }`: "", `[]`: "[]", `[ ]`: "[]",
		"[ 1 ,\t2,\r\n3 ]": "[1,2,3]", `[ " a ", "\" , \\" ]`: `[" a ","\" , \\"]`, `[{"k" : [ null ]}]`: `[{"k":[null]}]`,
		`["\u00e9"]`: `["\u00e9"]`,
	} {
		e := mustDecode(t, with("data", `{"v":`+value+`}`))
		if diff := cmp.Diff([]event.Variable{{Name: "v", Value: want}}, e.Variables); diff != "" {
			t.Errorf("%s: %s", value, diff)
		}
	}
}

func TestObjectsBecomeDottedNames(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"one level", `{"a":{"b":1,"c":2}}`, "a.b=1 a.c=2"},
		{"levels", `{"a":{"b":{"c":{"d":1}}}}`, "a.b.c.d=1"},
		{"sorted by name", `{"z":1,"a":2,"m":{"z":3,"a":4}}`, "a=2 m.a=4 m.z=3 z=1"},
		{"an empty object within", `{"a":{"b":{},"c":1}}`, "a.b= a.c=1"},
		{"an array within", `{"a":{"b":[{"c":1}]}}`, `a.b=[{"c":1}]`},
		{"names with dots", `{"a.b":1,"a":{"c.d":2}}`, "a.b=1 a.c.d=2"},
		{"one name at two levels", `{"a":1,"b":{"a":2}}`, "a=1 b.a=2"},
		{"names that differ in case", `{"a":1,"A":2}`, "A=2 a=1"},
		{"reserved names within an object", `{"a":{"event":1,"custom":2,"external_key":3,"custom_fields":4}}`,
			"a.custom=2 a.custom_fields=4 a.event=1 a.external_key=3"},
		{"names like the reserved ones", `{"events":1,"Event":2,"lsid.x":3,"customer":4,"custom_x":5}`,
			"Event=2 custom_x=5 customer=4 events=1 lsid.x=3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := listed(mustDecode(t, with("data", c.data)).Variables); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func listed(vs []event.Variable) string {
	parts := make([]string, len(vs))
	for i, v := range vs {
		parts[i] = v.Name + "=" + v.Value
	}
	return strings.Join(parts, " ")
}

func TestCustomFieldsAreApartFromVariables(t *testing.T) {
	e := mustDecode(t, with("data", `{"region":"own","custom_fields":{"zone":1.0,"region":"emea","on":true,"none":null}}`))
	if got, want := listed(e.Custom), "none= on=true region=emea zone=1.0"; got != want {
		t.Errorf("custom fields %s, not %s", got, want)
	}
	if got, want := listed(e.Variables), "region=own"; got != want {
		t.Errorf("variables %s, not %s", got, want)
	}
}

func TestCodeNamesOfCustomFields(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "region_2": true, "a__": true, strings.Repeat("a", 64): true,
		"": false, "2a": false, "_a": false, "A": false, "aB": false, "a-b": false, "a.b": false, "a b": false, "é": false,
		strings.Repeat("a", 65): false,
	} {
		_, violations := event.Decode(with("data", fmt.Sprintf(`{"custom_fields":{%q:"v"}}`, name)))
		want := ""
		if !ok {
			want = "data.custom_fields." + name + " UNSAFE_CHARACTERS"
		}
		if got := faults(violations); got != want {
			t.Errorf("%q: %s", name, got)
		}
	}
}

func TestReserved(t *testing.T) {
	for name, want := range map[string]bool{
		"event": true, "version": true, "timestamp": true, "appliance_id": true, "lsid": true, "custom": true, "custom.": true,
		"custom.region": true,

		"": false, "events": false, "Event": false, "external_key": false, "custom_fields": false,
		"customer": false, "lsid.x": false,
		"a.custom": false,
	} {
		if event.Reserved(name) != want {
			t.Errorf("Reserved(%q) is not %t", name, want)
		}
		_, violations := event.Decode(with("data", fmt.Sprintf(`{%q:{}}`, name)))
		if refused := strings.Contains(faults(violations), event.ReasonReserved); refused != want {
			t.Errorf("%q: %v", name, violations)
		}
	}
}

func TestNamesThatFlattenAlikeAreRefused(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"a dotted name after", `{"a":{"b":1},"a.b":2}`, "data.a.b DUPLICATE_NAME"},
		{"a dotted name before", `{"a.b":2,"a":{"b":1}}`, "data.a.b DUPLICATE_NAME"},
		{"dots at different places", `{"a":{"b.c":1},"a.b":{"c":1}}`, "data.a.b.c DUPLICATE_NAME"},
		{"three of them", `{"a":{"b.c":1,"b":{"c":1}},"a.b.c":1}`, "data.a.b.c DUPLICATE_NAME|data.a.b.c DUPLICATE_NAME"},
		{"an empty object", `{"a":{"b":{}},"a.b":1}`, "data.a.b DUPLICATE_NAME"},
		{"a custom field twice", `{"custom_fields":{"c":1,"c":1}}`, "data.custom_fields.c DUPLICATE_NAME"},
		{"the external key twice", `{"external_key":"a","external_key":"a"}`, "data.external_key DUPLICATE_NAME"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, violations := event.Decode(with("data", c.data))
			if got := faults(violations); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// Many names are compared by sorting, few each with each: both find one that came twice.
func TestANameTwiceIsFoundAmongFewAndMany(t *testing.T) {
	for _, n := range []int{1, 2, 23, 24, 25, 500} {
		members := numbered(n, `"v%d":1`)
		if _, violations := event.Decode(with("data", "{"+members+"}")); violations != nil {
			t.Errorf("%d names: %v", n, violations)
		}
		_, violations := event.Decode(with("data", "{"+members+`,"v0":2}`))
		if faults(violations) != "data.v0 DUPLICATE_NAME" {
			t.Errorf("%d names, one twice: %v", n, violations)
		}
	}
}
