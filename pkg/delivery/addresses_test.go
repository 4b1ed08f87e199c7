package delivery_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery"
)

func TestAddressesAreToldApartByHash(t *testing.T) {
	a := delivery.ReadAddresses(nil)
	hash := func(s string) string { return delivery.AddressHash("ops", s) }
	a.Done = append(a.Done, hash("alice@example.org"))
	a.Refused[hash("bob@example.org")], a.Deferred[hash("bob@example.org")] = 550, 451
	a.Deferred[hash("carol@example.org")] = 452
	raw := a.Write()
	if strings.Contains(string(raw), "example") {
		t.Errorf("an address stands in %s", raw)
	}
	got := delivery.ReadAddresses(raw).Of("ops", []string{"carol@example.org", "new@example.org", "Bob@example.org", "alice@EXAMPLE.org"})
	want := []delivery.AddressOutcome{
		{"carol@example.org", delivery.AddressDeferred, 452}, {"new@example.org", delivery.AddressWaiting, 0},
		{"Bob@example.org", delivery.AddressRefused, 550}, {"alice@EXAMPLE.org", delivery.AddressAccepted, 0},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if other := delivery.ReadAddresses(raw).Of("desk", []string{"alice@example.org"}); other[0].State != delivery.AddressWaiting {
		t.Error("another recipient has the same hashes")
	}
	if unreadable := delivery.ReadAddresses(json.RawMessage(`{"done":7}`)); len(unreadable.Done) != 0 || unreadable.Refused == nil {
		t.Errorf("what can't be read is %v", unreadable)
	}
}
