package browser_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
)

// mailStory sets the relay in its form, sends a test mail, makes an email recipient with a macro from the list, and follows an
// event into the mailbox.
func (p *place) mailStory(t *testing.T) {
	page := p.come(t, admin)
	page.Open("/settings/relay").Fill("Host", p.relay.Host()).Fill("Port", strconv.Itoa(p.relay.Port())).Choose("Encryption", "None").
		Fill("From address", "outbound@example.com").Fill("From name", "Outbound").Fill("Admin contacts", "admins@example.com").
		Click("button", "Save relay").See(".flash", "")
	page.Fill("Send a test email to", "tester@example.com").Click("button", "Send test email").See("main", "accepted").See("main",
		"tester@example.com")
	before := p.relay.CountFor("tester@example.com")
	if before != 1 {
		t.Errorf("the test mail arrived %d times", before)
	}

	page.Open("/").Click("a", "Add email recipient").See("h1", "Add email recipient")
	page.Fill("Name", "Service desk").Fill("Email addresses", "desk@example.com").ClickLabel("Support session end")
	page.Fill("Subject", "Ticket ").Click("button[data-insert]", "%EXTERNAL_KEY%")
	page.Await("the macro to be where the cursor was", `eyes.holds("Subject", "Ticket %EXTERNAL_KEY%")`)
	// A button that is replaced while it is pressed, as when the macros of other event types arrive, is clicked as well.
	release := page.Fill("Body", "Session ").Hold(`button[data-insert="%LSID%"]`)
	page.Do("for (const b of document.querySelectorAll('button[data-insert]')) b.outerHTML = b.outerHTML")
	release().Await("the macro to be in the body", `eyes.holds("Body", "Session %LSID%")`).Type(" is over.\n")
	// The preview shows the macro's value, of the sample.
	page.Choose("Example event", "Sample of the first event type").See("#preview-result .preview-subject",
		"Ticket INC").SeeNot("#preview-result .preview-subject", "%")
	page.Click("button", "Add recipient").See("h1", "Service desk").See("#recipient-status", "OK")
	id := page.Text("location.pathname.split('/').pop()")

	list := p.come(t, viewer).Open("/deliveries?recipientId=" + id)
	list.See("#live-state", "live")
	keep(list)
	key := p.publish(t, p.system.REST.Token, harness.NewEvent("desk-2", "mail-1", ended, harness.Object{"external_key": "INC-77"}))
	list.See("#rows tr", "delivered").See("#rows tr", key)
	kept(list)
	mails := p.relay.Mails()
	mail := mails[len(mails)-1]
	for _, m := range mails {
		if m.To[0] == "desk@example.com" {
			mail = m
		}
	}
	if text := string(mail.Raw); p.relay.CountFor("desk@example.com") != 1 || !strings.Contains(text, "Subject: Ticket INC-77\r\n") ||
		!strings.Contains(text, "Session 4d3f6a1b") {
		t.Errorf("what lies in the mailbox is %d mails, the last one\n%s", p.relay.CountFor("desk@example.com"), text)
	}
	page.Open("/").See("#row-"+id, "OK").See(".relay-now", "OK")
	// A real event is a preview's example, too.
	page.Open("/recipients/"+id).Choose("Example event", "Support session end, "+key).See("#preview-result .preview-subject", "Ticket INC-77")
}
