package event_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/event"
)

func TestSplitKey(t *testing.T) {
	for _, c := range []struct {
		key, appliance, id string
		ok                 bool
	}{
		{"appliance-1~e-1", "appliance-1", "e-1", true},
		{"a~b", "a", "b", true},
		{"", "", "", false},
		{"~", "", "", false},
		{"appliance-1", "appliance-1", "", false},
		{"appliance-1~", "appliance-1", "", false},
		{"~e-1", "", "e-1", false},
		{"a~b~c", "a", "b~c", false},
		{"a~~b", "a", "~b", false},
	} {
		appliance, id, ok := event.SplitKey(c.key)
		if ok != c.ok || ok && (appliance != c.appliance || id != c.id) {
			t.Errorf("%q: %q, %q, %t", c.key, appliance, id, ok)
		}
	}
}

// A key that can be split is the key of its parts, and of no others.
func FuzzSplitKey(f *testing.F) {
	for _, key := range []string{"a~b", "a", "~", "a~b~c", "é~\x00"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		appliance, id, ok := event.SplitKey(key)
		if ok && event.Key(appliance, id) != key {
			t.Errorf("%q is not the key of %q and %q", key, appliance, id)
		}
		if ok != (strings.Count(key, "~") == 1 && !strings.HasPrefix(key, "~") && !strings.HasSuffix(key, "~")) {
			t.Errorf("%q: %t", key, ok)
		}
	})
}

// FuzzNames holds that what is valid as a name is accepted in an event, nothing else is, and that keys of it can be split.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"a", "A-1_z", "a.b", "a b", "*", ">", "~", "é", "", "1a", "_a", "\x00", strings.Repeat("a", 65),
		strings.Repeat("a", 129)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		value, err := json.Marshal(name)
		if err != nil || !json.Valid([]byte(`"`+name+`"`)) {
			t.Skip("no text of JSON")
		}
		for attribute, valid := range map[string]bool{
			"id": event.ValidID(name), "source": event.ValidAppliance(name), "type": event.ValidType(name),
		} {
			e, violations := event.Decode(with(attribute, string(value)))
			if valid != (violations == nil) {
				t.Errorf("%s %q is valid: %t, but %v", attribute, name, valid, violations)
			}
			if !valid {
				continue
			}
			if appliance, id, ok := event.SplitKey(e.Key()); !ok || appliance != e.Appliance || id != e.ID {
				t.Errorf("the key %s is split into %q and %q", e.Key(), appliance, id)
			}
		}
	})
}

func TestWhichNamesAreValid(t *testing.T) {
	for _, c := range []struct {
		name                string
		id, appliance, kind bool
	}{
		{"a", true, true, true},
		{"support_conference_end", true, true, true},
		{"e-1", true, true, false},
		{"A", true, true, false},
		{"1", true, true, false},
		{"_", true, true, false},
		{"a1_", true, true, true},
		{"", false, false, false},
		{"a.b", false, false, false},
		{"a*", false, false, false},
		{"a>", false, false, false},
		{"a~", false, false, false},
		{"a b", false, false, false},
		{"a/b", false, false, false},
		{"a\n", false, false, false},
		{"é", false, false, false},
		{strings.Repeat("a", 64), true, true, true},
		{strings.Repeat("a", 65), true, false, false},
		{strings.Repeat("a", 128), true, false, false},
		{strings.Repeat("a", 129), false, false, false},
	} {
		if event.ValidID(c.name) != c.id || event.ValidAppliance(c.name) != c.appliance || event.ValidType(c.name) != c.kind {
			t.Errorf("%q: id %t, appliance %t, type %t", c.name, event.ValidID(c.name), event.ValidAppliance(c.name), event.ValidType(c.name))
		}
	}
}
