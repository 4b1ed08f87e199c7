package settings_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/consoletest"
)

func TestEverySettingIsInAForm(t *testing.T) {
	_, site := start(t)
	admin := site.As("admin")
	for _, c := range []struct {
		of    proto.Message
		pages []string
		// instead are fields that another field includes; given are fields that the server sets or the address names.
		instead map[string]string
		given   []string
	}{
		{&outboundv1.SmtpSettings{}, []string{"/settings/relay"}, nil, nil},
		{&outboundv1.EmailSettings{}, []string{"/settings/relay"}, nil, nil},
		{&outboundv1.CustomField{}, []string{"/settings/fields"}, nil, nil},
		{&outboundv1.EventType{}, []string{"/settings/types/new"},
			map[string]string{"variables.name": "variables", "variables.description": "variables", "variables.example": "variables"}, nil},
		{&outboundv1.Appliance{}, []string{"/settings/appliances", "/settings/appliances/a1"}, nil, nil},
		{&outboundv1.User{}, []string{"/settings/users", "/settings/users/viewer"}, nil, nil},
		{&outboundv1.Token{}, []string{"/settings/tokens"}, nil, []string{"id"}},
	} {
		var all consoletest.Answer
		for _, path := range c.pages {
			page := admin.Get(path)
			if page.Status != http.StatusOK {
				t.Fatalf("%s: %d %s", path, page.Status, page.Body)
			}
			all.Body += page.Body
		}
		fields := slices.DeleteFunc(consoletest.FieldsOf(c.of), func(name string) bool { return slices.Contains(c.given, name) })
		if len(fields) < 3 {
			t.Errorf("%T has only %v", c.of, fields)
		}
		for _, name := range fields {
			if other := c.instead[name]; other != "" {
				name = other
			}
			if !all.HasField(name) {
				t.Errorf("%s: %T has no field for %s", strings.Join(c.pages, ", "), c.of, name)
			}
		}
	}
}

func TestRelayFormKeepsAllContacts(t *testing.T) {
	_, site := start(t)
	if page := site.As("admin").Get("/settings/relay"); !strings.Contains(page.Body, "a@example.com\nb@example.com</textarea>") {
		t.Errorf("the contacts are not all shown: %s", page.Body)
	}
}
