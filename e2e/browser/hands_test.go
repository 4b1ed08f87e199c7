package browser_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/outbound-events/outbound/e2e/browser"
	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// focused is the control that has the focus: its element and its words.
const focused = `document.activeElement.tagName.toLowerCase() + " " + (document.activeElement.labels?.[0]?.innerText || eyes.name(document.activeElement))`

// tabTo presses Tab until the control with a name has the focus, as somebody without a mouse does. It must come within most presses,
// and be seen to have the focus.
func tabTo(t *testing.T, page *browser.Page, want string, most int) {
	t.Helper()
	var seen []string
	for range most {
		page.Press(kb.Tab)
		got := page.Text(focused)
		if got == want {
			page.Is("the focus on "+want+" is seen",
				`(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0 || s.boxShadow !== "none"; })()`)
			return
		}
		seen = append(seen, got)
	}
	t.Fatalf("Tab does not lead to %q within %d presses but to %q", want, most, seen)
}

// byKeyboard signs in, skips the navigation, and disables and enables a recipient, all without a mouse.
func (p *place) byKeyboard(t *testing.T) {
	id := p.system.AddRecipient(t, harness.Object{
		"displayName": "A by keyboard", "eventTypes": []string{departed}, "http": harness.Object{"url": p.receiver.URL("keyboard")},
	})
	page := p.browser.Person(t, p.system.REST.Base).Page(t).Open("/sign-in")
	tabTo(t, page, "a Skip to content", 1)
	tabTo(t, page, "input Name (required)", 4)
	page.Type(operator)
	tabTo(t, page, "input Password (required)", 1)
	page.Type(password).Press(kb.Enter).AwaitAt("/").See("#row-"+id, "OK")
	keep(page)
	tabTo(t, page, "a Skip to content", 1)
	page.Press(kb.Enter)
	page.Await("the focus to be at the content", `document.activeElement.id === "content" || location.hash === "#content"`)
	tabTo(t, page, "button A by keyboard enabled", 60)
	for _, want := range []string{"false", "true"} {
		// The page may show for a moment what it knew before a change, and then says again what is to be changed: so does the key. It is
		// pressed again only when what it asked for has been answered, or it would ask for the contrary.
		waittest.NoError(t, "the recipient to be switched by Enter", func() error {
			says := page.Text(`document.getElementById("toggle-` + id + `").getAttribute("aria-checked")`)
			enabled := fmt.Sprint(p.system.REST.Do(t, http.MethodGet, "/v1/recipients/"+id, nil)["enabled"])
			if enabled != want && says != want {
				page.Press(kb.Enter)
				if want == "false" { // what happens to events meanwhile is asked
					page.See("#ask", "Pause and hold")
					page.Press(kb.Enter)
				}
				page.Await("what the key asked for to be answered", `!document.querySelector(".htmx-request")`)
			}
			if enabled != want || says != want {
				return fmt.Errorf("the switch says %s, the recipient is enabled: %s, want %s", says, enabled, want)
			}
			return nil
		})
		page.Await("the focus to stay, which is at "+page.Text(focused), `document.activeElement.id === "toggle-`+id+`"`)
	}
	kept(page)
	// A menu opens and closes by keyboard, and gives the focus back.
	page.Do("document.querySelector('details.menu summary').focus()").Press(kb.Enter).See("details.menu", "Sign out").Press(kb.Escape).
		SeeNot("details.menu", "Sign out").Is("the menu has the focus", "document.activeElement.tagName === 'SUMMARY'")
}

// viewersChangeNothing looks for anything that changes something on every page that a viewer may see.
func (p *place) viewersChangeNothing(t *testing.T) {
	page := p.come(t, viewer)
	for _, path := range p.pages(t, viewer) {
		page.Open(path)
		if s := page.Text(`[...document.querySelectorAll("main form[method=post], main [hx-post], main [hx-delete], main [hx-put], main button.danger, main a[href$='/delete'], main a[href$='/purge'], main a[href*='/recipients/new']")]
			.filter((e) => e.checkVisibility() && !/^\/(part|account)\//.test(e.getAttribute("action") || e.getAttribute("hx-post") || ""))
			.filter((e) => !(e.matches("form") && (e.querySelector("fieldset[disabled]") || !e.querySelector("button:not([type=button])")) && !e.querySelector("button:not([type=button]):enabled")))
			.map((e) => e.outerHTML.slice(0, 200)).join("\n")`); s != "" {
			t.Errorf("a viewer finds on %s what changes something:\n%s", path, s)
		}
	}
}
