package browser_test

import (
	"errors"
	"testing"
)

var errNothing = errors.New("nothing came")

// firstVisit creates the first administrator with the link in the log, signs in and finds the steps to get started.
func (p *place) firstVisit(t *testing.T) {
	person := p.browser.Person(t, p.system.REST.Base)
	page := person.Page(t)
	link := p.setupLink(t)
	page.Allow("status of 422").Open(link).See("h1", "Create the first administrator").
		Fill("Name", admin).Fill("Display name", "Ada Lovelace").Fill("Password", "short").Fill("Confirm password", "short").
		Click("button", "Create administrator").See(".fault", "12").
		Fill("Password", password).Fill("Confirm password", password).Click("button", "Create administrator").
		AwaitAt("/").See("summary", "Ada Lovelace")
	// An empty console shows the next steps.
	page.See("h2", "Get started").See("a", "Add appliance").See("a", "Add HTTP recipient")
	page.Click("summary", "Ada Lovelace").Click("button", "Sign out").See("h1", "Sign in")
	page.Allow("status of 403").Open(link).See("main", "link").SeeNot("button", "Create administrator")
	page = p.come(t, admin)
	page.See("h2", "Get started")
}
