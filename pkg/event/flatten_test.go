package event_test

import (
	"encoding/base64"
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
		if !want {
			continue
		}
		// Outbound gives that variable itself, so the event's own has another name.
		if got := listed(mustDecode(t, with("data", fmt.Sprintf(`{%q:1,"x":2}`, name))).Variables); got != "data."+name+"=1 x=2" {
			t.Errorf("%q: %s", name, got)
		}
	}
}

// Data that has no variables of its own is one variable, with all that was sent but the custom fields.
func TestDataThatCanNotBeFlattenedIsOneVariable(t *testing.T) {
	long := strings.Repeat("é", event.MaxNameLength+1)
	for _, c := range []struct{ name, data, want string }{
		{"a string", `"a <b> \u00e9"`, "a <b> é"},
		{"an empty string", `""`, ""},
		{"a number", `12345678901234567890.50`, "12345678901234567890.50"},
		{"a boolean", `false`, "false"},
		{"an array", `[ 1, {"a" : [null]} ]`, `[1,{"a":[null]}]`},
		{"a dotted name after", `{"a":{"b":1},"a.b":2}`, `{"a":{"b":1},"a.b":2}`},
		{"a dotted name before", `{"a.b": 2, "a": {"b":1}}`, `{"a.b":2,"a":{"b":1}}`},
		{"dots at different places", `{"a":{"b.c":1},"a.b":{"c":1}}`, `{"a":{"b.c":1},"a.b":{"c":1}}`},
		{"an empty object", `{"a":{"b":{}},"a.b":1}`, `{"a":{"b":{}},"a.b":1}`},
		{"a reserved name and its other one", `{"event":1,"data":{"event":2}}`, `{"event":1,"data":{"event":2}}`},
		{"a nameless member", `{"":1,"a\nb":"<&>"}`, `{"":1,"a\u000ab":"<&>"}`},
		{"a long name", `{"` + long + `":1}`, `{"` + long + `":1}`},
		{"many", `{` + numbered(event.MaxVariables+1, `"v%d":1`) + `}`, `{` + numbered(event.MaxVariables+1, `"v%d":1`) + `}`},
		{"many within", `{"a":{` + numbered(event.MaxVariables+1, `"v%d":1`) + `}}`, `{"a":{` + numbered(event.MaxVariables+1, `"v%d":1`) + `}}`},
		{"custom fields are not in it", `{"a":{"b":1},"custom_fields":{"secret":"x"},"external_key":"K","a.b":2}`, `{"a":{"b":1},"a.b":2}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := mustDecode(t, with("data", c.data))
			if diff := cmp.Diff([]event.Variable{{Name: "data", Value: c.want}}, e.Variables); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(c.data, "secret") && (listed(e.Custom) != "secret=x" || e.ExternalKey != "K") {
				t.Errorf("%v, %q", e.Custom, e.ExternalKey)
			}
		})
	}
}

func TestDataInBase64IsReadAsItsContentTypeSays(t *testing.T) {
	base := func(s string) string { return `"` + base64.StdEncoding.EncodeToString([]byte(s)) + `"` }
	for _, c := range []struct{ name, contentType, value, want string }{
		{"JSON", `"application/json"`, base(`{"a":{"b":1},"external_key":"K","custom_fields":{"c":"x"}}`), "a.b=1"},
		{"no type is JSON", `null`, base(`{"a":1}`), "a=1"},
		{"a JSON format", `"application/problem+json; charset=utf-8"`, base(`[1, 2]`), "data=[1,2]"},
		{"JSON that flattens to one name", `"text/json"`, base(`{"a":{"b":1},"a.b":2}`), `data={"a":{"b":1},"a.b":2}`},
		{"no JSON after all", `"application/json"`, base(`{`), "data=ew=="},
		{"more than JSON", `null`, base(`{"a":1} x`), "data=" + strings.Trim(base(`{"a":1} x`), `"`)},
		{"text", `"text/plain"`, base("Zoë\n"), "data=Zoë\n"},
		{"text in another encoding", `"text/plain; charset=latin1"`, `"4Q=="`, "data=4Q=="},
		{"bytes", `"application/octet-stream"`, `"AAECAw=="`, "data=AAECAw=="},
		{"nothing", `"application/octet-stream"`, `""`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := mustDecode(t, with("datacontenttype", c.contentType, "data_base64", c.value))
			if got := listed(e.Variables); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if c.name == "JSON" && (e.ExternalKey != "K" || listed(e.Custom) != "c=x") {
				t.Errorf("%q, %v", e.ExternalKey, e.Custom)
			}
		})
	}
	_, violations := event.Decode(with("data_base64", base(`{"a":1,"a":2,"external_key":7}`)))
	if got := faults(violations); got != "data.external_key WRONG_JSON_TYPE|data_base64.a DUPLICATE_NAME" {
		t.Errorf("%s", got)
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
