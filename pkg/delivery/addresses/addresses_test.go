package addresses_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery/addresses"
)

func TestAddressesAreToldApartByHash(t *testing.T) {
	a := addresses.Read(nil)
	hash := func(s string) string { return addresses.Hash("ops", s) }
	a.Done = append(a.Done, hash("alice@example.org"))
	a.Refused[hash("bob@example.org")], a.Deferred[hash("bob@example.org")] = 550, 451
	a.Deferred[hash("carol@example.org")] = 452
	raw := a.Write()
	if strings.Contains(string(raw), "example") {
		t.Errorf("an address stands in %s", raw)
	}
	got := addresses.Read(raw).Of("ops", []string{"carol@example.org", "new@example.org", "Bob@example.org", "alice@EXAMPLE.org"})
	want := []addresses.Outcome{
		{"carol@example.org", addresses.Deferred, 452}, {"new@example.org", addresses.Waiting, 0},
		{"Bob@example.org", addresses.Refused, 550}, {"alice@EXAMPLE.org", addresses.Accepted, 0},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if other := addresses.Read(raw).Of("desk", []string{"alice@example.org"}); other[0].State != addresses.Waiting {
		t.Error("another recipient has the same hashes")
	}
	if unreadable := addresses.Read(json.RawMessage(`{"done":7}`)); len(unreadable.Done) != 0 || unreadable.Refused == nil {
		t.Errorf("what can't be read is %v", unreadable)
	}
}
