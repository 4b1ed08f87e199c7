package account_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/consoletest"
)

// A user belongs to a person, however the names move.
func TestUsersAreFoundByIssuerAndSubject(t *testing.T) {
	p := openScripted(t, nil, nil)
	p.system.Access.Put(&outboundv1.User{Name: "eve@example.com", Role: outboundv1.Role_ADMIN}, "")
	p.system.Access.Put(&outboundv1.User{Name: "local@example.com", Role: outboundv1.Role_ADMIN}, "correct horse battery")
	p.system.Access.Put(&outboundv1.User{Name: "ada", Role: outboundv1.Role_OPERATOR, OpenidIssuer: p.Issuer(), OpenidSubject: "ada-1"}, "")
	for _, x := range []struct {
		step           string
		person         *scripted
		role, name, no string
	}{
		{"the first of the name", who("eve-1", "eve@example.com"), "admin", "eve@example.com", ""},
		{"another with her address", who("eve-2", "eve@example.com"), "", "", "is linked to another person"},
		{"she has another address", who("eve-1", "married@example.com"), "admin", "eve@example.com", ""},
		{"her address is not verified", who("eve-1", "eve@example.com", object{"email_verified": false}), "admin", "eve@example.com", ""},
		{"she has the name of the admin token", who("eve-1", "admin"), "admin", "eve@example.com", ""},
		{"one with the name of a local user", who("eve-3", "local@example.com"), "", "", "has a password"},
		{"one who is linked by hand", who("ada-1", "lovelace@example.com"), "operator", "ada", ""},
		{"one who is new", who("bob-1", "bob@example.com"), "viewer", "bob@example.com", ""},
	} {
		role, name, page := p.comes(x.person)
		if role != x.role || name != x.name || x.no != "" && (page.Status != http.StatusForbidden || !strings.Contains(page.Body, x.no)) {
			t.Errorf("%s: %q %q: %d %s", x.step, role, name, page.Status, page.Body)
		}
	}
	// A person who is disabled before the first sign-in stays so under another name.
	p.system.Access.Put(&outboundv1.User{Name: "bob@example.com", Disabled: true}, "")
	for _, email := range []string{"bob@example.com", "robert@example.com"} {
		if role, _, page := p.comes(who("bob-1", email)); role != "" || !strings.Contains(page.Body, "Your account is disabled") {
			t.Errorf("%s: %q %d %s", email, role, page.Status, page.Body)
		}
	}
}

// Open sessions follow the link.
func TestSessionsEndWithTheLink(t *testing.T) {
	for name, change := range map[string]func(a *consoletest.Access, linked *outboundv1.User){
		"the user is deleted": func(a *consoletest.Access, u *outboundv1.User) { a.Remove(u.GetName()) },
		"another is linked": func(a *consoletest.Access, u *outboundv1.User) {
			a.Put(&outboundv1.User{Name: u.GetName(), OpenidIssuer: u.GetOpenidIssuer(), OpenidSubject: "another"}, "")
		},
		"the user is disabled": func(a *consoletest.Access, u *outboundv1.User) {
			a.Put(&outboundv1.User{Name: u.GetName(), OpenidIssuer: u.GetOpenidIssuer(), OpenidSubject: u.GetOpenidSubject(), Disabled: true}, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := openScripted(t, nil, nil)
			u := &outboundv1.User{Name: "eve@example.com", Role: outboundv1.Role_ADMIN, OpenidIssuer: p.Issuer(), OpenidSubject: "eve-1"}
			p.system.Access.Put(u, "")
			b := p.system.Browser()
			if a := b.Get(p.leave(b, who("eve-1", "other@example.com"))); a.Status != http.StatusSeeOther {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			if role, name, _ := rolePage(b.Get("/account")); role != "admin" || name != "eve@example.com" {
				t.Fatalf("%q %q", role, name)
			}
			change(p.system.Access, u)
			waittest.Until(t, "the session ends", func() bool {
				a := b.Get("/account")
				return a.Status == http.StatusSeeOther && strings.HasPrefix(a.Header.Get("Location"), "/sign-in")
			})
		})
	}
}
