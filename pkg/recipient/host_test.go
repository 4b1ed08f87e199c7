package recipient_test

import (
	"testing"

	"github.com/outbound-events/outbound/pkg/recipient"
)

func TestHostNamesHaveOneForm(t *testing.T) {
	const books = "xn--bcher-kva.example"
	for name, want := range map[string]string{
		"receiver.example": "receiver.example", "Receiver.EXAMPLE": "receiver.example", "receiver.example.": "receiver.example.",
		"bücher.example": books, "BÜCHER.Example": books, "bu\u0308cher.example": books, books: books, "XN--BCHER-KVA.EXAMPLE": books,
		"bücher.example.": books + ".", "bücher。example": books, "straße.example": "xn--strae-oqa.example",
		"例え.テスト": "xn--r8jz45g.xn--zckzah", "пример.рф": "xn--e1afmkfd.xn--p1ai", "a_b.bücher.example": "a_b." + books,
		"a_b.example": "a_b.example", "10.0.0.1": "10.0.0.1", "::1": "::1",
	} {
		if got, err := recipient.Host(name); got != want || err != nil {
			t.Errorf("%s is %s, want %s: %v", name, got, want, err)
		}
	}
	for _, name := range []string{"１２７.0.0.1", "127。0。0。1", "bücher..example", "xn--a-ß.example", "\u200dbücher.example"} {
		if got, err := recipient.Host(name); err == nil {
			t.Errorf("%q is %q, want an error", name, got)
		}
	}
	for raw, want := range map[string]string{
		"https://BÜCHER.example:8443/Pfad?q=Ü": books + ":8443", "https://Bücher.example/": books, "https://[::1]/": "[::1]",
		"https://[::1]:444/": "[::1]:444", "HTTPS://A.Example": "a.example", "https://b%C3%BCcher.example/": books,
	} {
		if u, err := recipient.ParseURL(raw); err != nil || u.Host != want {
			t.Errorf("%s has the host %v, want %s: %v", raw, u, want, err)
		}
	}
	for _, url := range []string{"https://bücher.example/", "https://Bücher.Example", "https://xn--bcher-kva.example:443/"} {
		if err := recipient.CheckURL(url, recipient.HTTPS443); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestRecipientsOfOneHostHaveOneDestination(t *testing.T) {
	for _, url := range []string{"https://bücher.example:8443/a", "https://BÜCHER.example:8443/b", "https://xn--bcher-kva.example:8443"} {
		if got := (&recipient.HTTPTarget{URL: url}).Destination(); got != "xn--bcher-kva.example:8443" {
			t.Errorf("%s is %s", url, got)
		}
	}
}
