package spelling_test

import (
	"testing"

	"github.com/outbound-events/outbound/pkg/spelling"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "ac", 1}, {"abc", "abxc", 1},
		{"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"ab", "ba", 2}, {"saturday", "sunday", 3},
	} {
		if got := spelling.Distance(c.a, c.b); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := spelling.Distance(c.b, c.a); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.b, c.a, got, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"session_begin", "session_end", "session_and"}
	for _, c := range []struct {
		name, word string
		limit      int
		want       string
		found      bool
	}{
		{"the word itself", "session_end", 1, "session_end", true},
		{"one edit", "sesion_end", 2, "session_end", true},
		{"the first of equals", "session_nd", 3, "session_end", true},
		{"as many edits as the limit are too many", "sesion_end", 1, "", false},
		{"nothing alike", "disk_full", 4, "", false},
		{"no limit above none", "session_end", 0, "", false},
	} {
		if got, found := spelling.Nearest(c.word, known, c.limit); got != c.want || found != c.found {
			t.Errorf("%s: Nearest(%q) = %q, %t, want %q, %t", c.name, c.word, got, found, c.want, c.found)
		}
	}
	if got, found := spelling.Nearest("a", nil, 9); found {
		t.Errorf("none is known, and %q is found", got)
	}
}
