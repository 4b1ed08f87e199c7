package browser_test

import (
	"errors"
	"testing"
)

var errNothing = errors.New("nothing came")

// firstVisit makes the first admin by the link that the process shows, signs in by hand, and finds the way to the first delivery.
func (p *place) firstVisit(t *testing.T) {
	person := p.browser.Person(t, p.system.REST.Base)
	page := person.Page(t)
	link := p.setupLink(t)
	page.Allow("status of 422").Open(link).See("h1", "The first admin").
		Fill("Name", admin).Fill("Name that people see", "Ada Lovelace").Fill("Password", "short").Fill("Password again", "short").
		Click("button", "Make the first admin").See(".fault", "12").
		Fill("Password", password).Fill("Password again", password).Click("button", "Make the first admin").
		AwaitAt("/").See("summary", "Ada Lovelace")
	// What an empty console says leads on.
	page.See("h2", "To the first delivery").See("a", "Add an appliance").See("a", "Add an HTTP recipient")
	page.Click("summary", "Ada Lovelace").Click("button", "Sign out").See("h1", "Sign in")
	page.Allow("status of 403").Open(link).See("main", "link").SeeNot("button", "Make the first admin")
	page = p.come(t, admin)
	page.See("h2", "To the first delivery")
}
