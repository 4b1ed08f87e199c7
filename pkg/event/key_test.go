package event_test

import (
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

// FuzzToken holds that any text has a token, that subjects and keys can hold it, and that no other text has it.
func FuzzToken(f *testing.F) {
	for _, text := range []string{"a", "A-1_z", "a.b", "a=2Eb", "a b", "*", ">", "~", "é", "=", "==", "1a", "\x00", "\xff",
		strings.Repeat("a", 65),
		strings.Repeat("a", 191), strings.Repeat("a", 192), strings.Repeat(".", 64), "==" + strings.Repeat("0", 64)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token := event.Token(text)
		if text == "" {
			if token != "" {
				t.Errorf("the token of nothing is %q", token)
			}
			return
		}
		if !event.ValidToken(token) || len(token) > event.MaxTokenLength {
			t.Errorf("the token of %q is %q", text, token)
		}
		if appliance, id, ok := event.SplitKey(event.Key("a-1", token)); !ok || appliance != "a-1" || id != token {
			t.Errorf("the key of %q is split into %q and %q", token, appliance, id)
		}
		back, ok := event.Untoken(token)
		if hashed := strings.HasPrefix(token, "=="); ok == hashed || ok && back != text {
			t.Errorf("%q is %q, which is %q, %t", text, token, back, ok)
		}
		if other, is := event.Untoken(text); is && event.Token(other) != text {
			t.Errorf("%q is taken for the token of %q", text, other)
		}
	})
}

func TestTokens(t *testing.T) {
	for text, want := range map[string]string{
		// What ids were before stays as it is.
		"e-1": "e-1", "A_9": "A_9", strings.Repeat("a", 128): strings.Repeat("a", 128), "-": "-",
		// An odd one is encoded, and one that looks like an encoding too.
		"a.b": "a=2Eb", "a=2Eb": "a=3D2Eb", "a b": "a=20b", "*": "=2A", ">": "=3E", "~": "=7E", "é": "=C3=A9", "/x/1": "=2Fx=2F1",
		"urn:uuid:6e8bc430": "urn=3Auuid=3A6e8bc430", "=": "=3D", "==": "=3D=3D",
		strings.Repeat("a", 191): strings.Repeat("a", 191),
		strings.Repeat("a", 192): "==d2b6e7a1",
	} {
		got := event.Token(text)
		if strings.HasPrefix(want, "==") {
			if !strings.HasPrefix(got, "==") || len(got) != 66 {
				t.Errorf("a text of %d characters has the token %q", len(text), got)
			}
			continue
		}
		if back, ok := event.Untoken(got); got != want || !ok || back != text {
			t.Errorf("%q: %q, not %q; back %q, %t", text, got, want, back, ok)
		}
	}
	for _, not := range []string{"", "a.b", "a=2e", "a=", "a=2", "=41", "==00", "a~b", strings.Repeat("=2E", 64)} {
		if text, ok := event.Untoken(not); ok {
			t.Errorf("%q is taken for the token of %q", not, text)
		}
	}
}

func TestWhichNamesAreValid(t *testing.T) {
	for _, c := range []struct {
		name            string
		appliance, kind bool
	}{
		{"a", true, true},
		{"support_conference_end", true, true},
		{"e-1", true, false},
		{"A", true, false},
		{"1", true, false},
		{"_", true, false},
		{"a1_", true, true},
		{"", false, false},
		{"a.b", false, false},
		{"a*", false, false},
		{"a>", false, false},
		{"a~", false, false},
		{"a b", false, false},
		{"a/b", false, false},
		{"a\n", false, false},
		{"é", false, false},
		{strings.Repeat("a", 64), true, true},
		{strings.Repeat("a", 65), false, false},
	} {
		if event.ValidAppliance(c.name) != c.appliance || event.ValidType(c.name) != c.kind {
			t.Errorf("%q: appliance %t, type %t", c.name, event.ValidAppliance(c.name), event.ValidType(c.name))
		}
	}
}
