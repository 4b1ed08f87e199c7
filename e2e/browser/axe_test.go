package browser_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/e2e/browser"
)

// openToAll holds every page, with data in it, against axe-core and its window: light and dark, at both widths. Light and dark differ
// in nothing but colours, so in the dark the colours alone are looked at.
func (p *place) openToAll(t *testing.T) {
	axe := browser.NewAxe(t)
	who := p.browser.Person(t, p.system.REST.Base)
	signIn(who.Page(t), admin)
	for _, path := range p.pages(t, admin) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			held(t, who.Page(t).Open(path), axe)
		})
	}
	for name, show := range opened() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			held(t, show(who.Page(t).Allow("status of 404").Allow("status of 422")), axe)
		})
	}
}

// opened are what pages show only once somebody does something.
func opened() map[string]func(*browser.Page) *browser.Page {
	drawer := func(p *browser.Page) *browser.Page {
		return p.Open("/deliveries?recipientId=hostile").Click("#rows a[data-drawer]", "").See("#drawer", "Response").Stable()
	}
	return map[string]func(*browser.Page) *browser.Page{
		"a delivery beside the list": drawer,
		"a question": func(p *browser.Page) *browser.Page {
			return drawer(p).Click("#drawer button", "Extend").See("#ask", "Extend by").Stable()
		},
		"a form with faults": func(p *browser.Page) *browser.Page {
			return p.Open("/recipients/new?channel=http").Fill("Name", "Faulty").Fill("URL", "ftp://x").Fill("Retry interval", "soon").
				Click("button", "Add recipient").See(".faults", "Fix the following errors").Stable()
		},
		"the menu": func(p *browser.Page) *browser.Page {
			return p.Open("/account").Click("summary", "Ada Lovelace").See("details.menu", "Sign out")
		},
		"a page that is not there": func(p *browser.Page) *browser.Page { return p.Open("/no-such-page").See("h1", "") },
		"sign in":                  func(p *browser.Page) *browser.Page { return p.Open("/sign-in").See("h1", "Sign in") },
	}
}

// emptyPages holds what a fresh installation shows against the same: each empty page offers the next step.
func (p *place) emptyPages(t *testing.T) {
	axe := browser.NewAxe(t)
	who := p.browser.Person(t, p.system.REST.Base)
	signIn(who.Page(t), admin)
	for _, path := range []string{"/", "/deliveries", "/events", "/rejected", "/replays", "/settings/appliances", "/health"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			page := who.Page(t).Open(path)
			held(t, page, axe)
			if page.Count("main .empty, main .steps") == 0 {
				t.Errorf("%s says nothing of being empty", path)
			}
		})
	}
}

// checksFind spoils a page in each way that the checks are for: what finds nothing must be able to.
func (p *place) checksFind(t *testing.T) {
	axe := browser.NewAxe(t)
	page := p.come(t, viewer)
	spoil := func(html string) {
		page.Do("document.querySelector('main').insertAdjacentHTML('beforeend', " + strconv.Quote(html) + ")")
	}
	finds := func(rule string, colours bool) {
		t.Helper()
		for _, v := range page.Violations(axe, colours) {
			if v.ID == rule && v.Grave() {
				return
			}
		}
		t.Errorf("axe-core does not find %s", rule)
	}
	spoil(`<p class="pale">pale words</p>`)
	page.Do(`document.querySelector(".pale").style.color = "rgb(240, 240, 240)"`)
	finds("color-contrast", true)
	page.Look(browser.Wide, browser.Dark)
	page.Do(`document.querySelector(".pale").style.color = "rgb(30, 30, 30)"`)
	finds("color-contrast", true)
	spoil(`<input type="text" class="nameless">`)
	finds("label", false)
	page.Look(browser.Narrow, browser.Light)
	if page.Overflow() != 0 {
		t.Error("the page is too wide before it is made so")
	}
	spoil(`<pre>` + strings.Repeat("wide", 200) + `</pre><p class="broad">broad</p>`)
	page.Do(`document.querySelector(".broad").style.width = "2000px"`)
	if page.Overflow() == 0 {
		t.Error("a page that is too wide is not found so")
	}
	spoil(`<table class="stack"><tbody><tr><td data-label="One">1</td><td data-label="Two" class="odd">2</td></tr></tbody></table>`)
	if len(page.Fonts()) != 0 {
		t.Error("the table is unlike itself before it is made so")
	}
	page.Do(`document.querySelector(".odd").style.setProperty("--size", "2rem")`)
	if len(page.Fonts()) != 1 {
		t.Error("a table that names its columns in two fonts is not found so")
	}
	page.Do("globalThis.executed = 'by hand'")
	spoil(`<a href="javascript:executed=1">x</a><img src="https://elsewhere.invalid/x" onerror="executed=2">`)
	page.Await("the Content-Security-Policy to refuse it", "eyes.violations.length >= 2")
	for _, want := range []string{"executed: by hand", "leads elsewhere: javascript:", "a handler:",
		"an element that is none of ours: <img", "Content-Security-Policy: img-src", "Content-Security-Policy: script-src-attr"} {
		if !strings.Contains(strings.Join(page.Breaches(), "\n"), want) {
			t.Errorf("%q is not among %q", want, page.Breaches())
		}
	}
	if len(page.Faults()) == 0 {
		t.Error("the browser did not complain")
	}
	page.Forgive()
}

// held holds a page against all that must be so.
func held(t *testing.T, page *browser.Page, axe *browser.Axe) {
	for _, look := range []struct {
		width  int64
		scheme browser.Scheme
	}{
		{browser.Wide, browser.Light}, {browser.Wide, browser.Dark}, {browser.Narrow, browser.Dark}, {browser.Narrow, browser.Light},
	} {
		page.Look(look.width, look.scheme)
		for _, v := range page.Violations(axe, look.scheme == browser.Dark) {
			if v.Grave() {
				t.Errorf("%s, %d pixels, %s: %s", page.At(), look.width, look.scheme, v)
			} else {
				t.Logf("%s, %d pixels, %s: %s", page.At(), look.width, look.scheme, v)
			}
		}
		if n := page.Overflow(); n > 0 {
			t.Errorf("%s is %d pixels wider than a window of %d", page.At(), n, look.width)
		}
		for _, fonts := range page.Fonts() {
			t.Errorf("%s, %d pixels: a table names its columns in %s", page.At(), look.width, fonts)
		}
	}
	if page.Count("h1") != 1 {
		t.Errorf("%s has %d headings of the first level, want 1", page.At(), page.Count("h1"))
	}
	for _, b := range page.Breaches() {
		t.Errorf("%s: %s", page.At(), b)
	}
}
