package browser_test

import (
	"testing"

	"github.com/outbound-events/outbound/e2e/browser"
)

// openToAll holds every page, with data in it, against axe-core and its window: light and dark, at both widths. Light and dark differ
// in nothing but colours, so in the dark the colours alone are looked at.
func (p *place) openToAll(t *testing.T) {
	axe := browser.NewAxe(t)
	who := p.come(t, admin)
	for _, path := range p.pages(t, admin) {
		t.Run(path, func(t *testing.T) { held(t, who.Open(path), axe) })
	}
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
	}
	if page.Count("h1") != 1 {
		t.Errorf("%s has %d headings of the first level, want 1", page.At(), page.Count("h1"))
	}
	for _, b := range page.Breaches() {
		t.Errorf("%s: %s", page.At(), b)
	}
}
