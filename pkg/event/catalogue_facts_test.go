package event_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/pkg/event"
)

func TestTheCatalogueIsInAFixedOrder(t *testing.T) {
	var ids []string
	for _, typ := range event.Catalogue() {
		ids = append(ids, typ.ID)
	}
	want := []string{
		"support_conference_begin", "support_conference_end", "support_conference_owner_changed", "support_conference_member_added",
		"support_conference_member_departed", "support_conference_customer_exit_survey_completed",
		"support_conference_rep_exit_survey_completed", "access_session_begin", "access_session_end", "access_session_owner_changed",
		"access_session_member_added", "access_session_member_departed",
	}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Error(diff)
	}
}

func TestEachTypeOfTheCatalogueIsWhole(t *testing.T) {
	names := make(map[string]bool)
	for _, typ := range event.Catalogue() {
		support := strings.HasPrefix(typ.ID, "support_conference_")
		product := event.ProductAccess
		if support {
			product = event.ProductSupport
		}
		if !event.ValidType(typ.ID) || typ.Product != product || !typ.BuiltIn || typ.VendorKnown != support {
			t.Errorf("%+v", typ)
		}
		if typ.DisplayName == "" || names[typ.DisplayName] {
			t.Errorf("%s has the display name %q, which is empty or another's", typ.ID, typ.DisplayName)
		}
		names[typ.DisplayName] = true
		if typ.Email && !support {
			t.Errorf("%s can be sent by email", typ.ID)
		}
		first := "endpoint.name"
		if support {
			first = "conference_id"
		}
		if len(typ.Variables) == 0 || typ.Variables[0].Name != first {
			t.Errorf("%s does not begin with %s", typ.ID, first)
		}
	}
}

func TestVariablesOfTheCatalogueCanBeSent(t *testing.T) {
	form := regexp.MustCompile(`^[a-z][a-z_]*(\.[a-z][a-z_]*)?$`)
	for _, typ := range event.Catalogue() {
		seen := make(map[string]bool)
		for _, v := range typ.Variables {
			if seen[v.Name] || event.Reserved(v.Name) || !form.MatchString(v.Name) {
				t.Errorf("%s: %q is reserved, comes twice or is no name", typ.ID, v.Name)
			}
			seen[v.Name] = true
			if v.VendorKnown && !typ.VendorKnown {
				t.Errorf("%s: %s is marked as the vendor's, which is not public", typ.ID, v.Name)
			}
			if !strings.HasSuffix(v.Description, ".") {
				t.Errorf("%s: %s: %q is no sentence", typ.ID, v.Name, v.Description)
			}
			// A name with dots is ours: the vendor's are flat.
			if v.VendorKnown && strings.Contains(v.Name, ".") {
				t.Errorf("%s: %s is marked as the vendor's", typ.ID, v.Name)
			}
		}
	}
}

func TestCommonVariables(t *testing.T) {
	var names []string
	for _, v := range event.CommonVariables() {
		names = append(names, v.Name)
		if v.Name != "external_key" && !event.Reserved(v.Name) {
			t.Errorf("an appliance may send a variable %s of its own", v.Name)
		}
		if !v.VendorKnown || v.Description == "" || v.Example == "" {
			t.Errorf("%+v", v)
		}
	}
	if diff := cmp.Diff([]string{"event", "version", "timestamp", "appliance_id", "lsid", "external_key"}, names); diff != "" {
		t.Error(diff)
	}
	common := event.CommonVariables()
	if common[1].Example != event.SchemaVersion {
		t.Errorf("the example of version is %s", common[1].Example)
	}
	if _, err := strconv.ParseInt(common[2].Example, 10, 64); err != nil {
		t.Errorf("the example of timestamp: %v", err)
	}
}

// What one caller does to its copy is not seen by another.
func TestTheCatalogueIsNotShared(t *testing.T) {
	want := event.Catalogue()
	changed := event.Catalogue()
	for i := range changed {
		changed[i].ID = "changed"
		for j := range changed[i].Variables {
			changed[i].Variables[j].Name = "changed"
		}
	}
	event.CommonVariables()[0].Name = "changed"
	if diff := cmp.Diff(want, event.Catalogue()); diff != "" || event.CommonVariables()[0].Name != "event" {
		t.Error(diff)
	}
}

func TestASampleHasTheExamples(t *testing.T) {
	at := time.Date(2026, 11, 21, 11, 0, 0, 1_000_000, time.FixedZone("", 3600))
	for _, typ := range event.Catalogue() {
		e := event.Sample(typ, "appliance-1", "sample-1", at, nil)
		if e.Key() != "appliance-1~sample-1" || !e.Time.Equal(at) || e.ExternalKey == "" || len(e.Custom) != 0 {
			t.Errorf("%s: %+v", typ.ID, e)
		}
		for _, v := range typ.Variables {
			if !slices.Contains(e.Variables, event.Variable{Name: v.Name, Value: v.Example}) {
				t.Errorf("%s: %s is not %q", typ.ID, v.Name, v.Example)
			}
		}
		if violations := e.Check(at, func(id string) bool { return id == typ.ID }); violations != nil {
			t.Errorf("%s: %v", typ.ID, violations)
		}
	}
}

func TestASampleOfACustomType(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	many := make([]string, event.MaxCustomFields+5)
	for i := range many {
		many[i] = "c" + strconv.Itoa(i)
	}
	for _, c := range []struct {
		name      string
		variables []event.TypeVariable
		custom    []string
		want      string
		fields    int
	}{
		{"nothing", nil, nil, "", 0},
		{"a variable", []event.TypeVariable{{Name: "a", Example: "1"}}, nil, "a=1", 0},
		{"no example", []event.TypeVariable{{Name: "a"}}, nil, "a=", 0},
		{"names that an event may not have", []event.TypeVariable{
			{Name: "event", Example: "x"}, {Name: "custom.a", Example: "x"}, {Name: "external_key", Example: "x"},
			{Name: "custom_fields", Example: "x"}, {Name: "b", Example: "y"},
		}, nil, "b=y", 0},
		{"an array", []event.TypeVariable{{Name: "a", Example: `[1, {"b": 2}]`}}, nil, `a=[1,{"b":2}]`, 0},
		{"what only looks like an array", []event.TypeVariable{{Name: "a", Example: `[x]`}, {Name: "b", Example: `[`}}, nil, "a=[x] b=[", 0},
		{"quotes", []event.TypeVariable{{Name: "a", Example: `"<&>"`}}, nil, `a="<&>"`, 0},
		{"custom fields", nil, []string{"region", "area"}, "", 2},
		{"more custom fields than an event may have", nil, many, "", event.MaxCustomFields},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := event.Sample(event.Type{ID: "door_open", Variables: c.variables}, event.TestAppliance, "t-1", now, c.custom)
			if again := mustDecode(t, e.Raw); again.Type != "door_open" || again.Appliance != event.TestAppliance {
				t.Errorf("%+v", again)
			}
			if got := listed(e.Variables); got != c.want {
				t.Errorf("variables %s, not %s", got, c.want)
			}
			if len(e.Custom) != c.fields || slices.ContainsFunc(e.Custom, func(v event.Variable) bool { return v.Value == "" }) {
				t.Errorf("custom fields %v", e.Custom)
			}
		})
	}
}
