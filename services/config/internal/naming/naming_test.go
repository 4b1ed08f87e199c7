package naming_test

import (
	"testing"

	"github.com/outbound-events/outbound/services/config/internal/naming"
)

func TestNamesAreCompared(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"Ticket desk", "  ticket DESK ", true},
		{"Café", "Cafe\u0301", true},
		{"Straße", "STRASSE", true},
		{"Ticket desk", "Ticket-desk", false},
	} {
		if same := naming.Fold(c.a) == naming.Fold(c.b); same != c.same {
			t.Errorf("%q and %q are the same: %v", c.a, c.b, same)
		}
	}
}

func TestSlugs(t *testing.T) {
	for name, want := range map[string]string{"Ticket desk!": "ticket-desk", "  A -- b  ": "a-b", "日本": "", "Ünit 7": "nit-7"} {
		if got := naming.Slug(name, '-'); got != want {
			t.Errorf("the slug of %q is %q, want %q", name, got, want)
		}
	}
	if got := naming.Truncate("ticket-desk", 7); got != "ticket" {
		t.Errorf("cut to %q", got)
	}
}

func TestSafeIDs(t *testing.T) {
	for id, want := range map[string]bool{
		"a-1_B": true, "a@example.com": true, "": false, "a..b": false, ".a": false, "a b": false, "a>": false, "a*": false,
	} {
		if got := naming.SafeID(id); got != want {
			t.Errorf("%q is safe: %v", id, got)
		}
	}
}
