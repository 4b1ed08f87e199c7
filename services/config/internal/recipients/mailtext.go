package recipients

import (
	"fmt"
	"maps"
	"slices"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/settings"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// checkEmail adds what is wrong with the addresses and texts of an email recipient.
func checkEmail(v *validation.Violations, r *outboundv1.Recipient, f checkInput) {
	e, before := r.GetEmail(), f.old.GetRecipient().GetEmail()
	v.Addresses("email.addresses", e.GetAddresses())
	c := textCheck{v: v, f: f}
	chosen := c.typesOf(r.GetEventTypes())
	c.field, c.types = "email.", chosen
	// Types whose override has HTML of its own do not use the common HTML.
	c.html = slices.DeleteFunc(slices.Clone(chosen), func(t event.Type) bool { return e.GetOverrides()[t.ID].GetHtmlBody() != "" })
	c.check(
		recipient.MailText{Subject: e.GetSubject(), Body: e.GetBody(), HTMLBody: e.GetHtmlBody()},
		recipient.MailText{Subject: before.GetSubject(), Body: before.GetBody(), HTMLBody: before.GetHtmlBody()},
	)
	for _, id := range slices.Sorted(maps.Keys(e.GetOverrides())) {
		c.field = fmt.Sprintf("email.overrides[%q]", id)
		if c.types = c.typesOf([]string{id}); len(c.types) == 0 {
			v.Add(c.field, validation.UnknownType, event.UnknownType(id, settings.TypeIDs(f.types)).Description)
			continue
		}
		if !c.types[0].Email {
			v.Add(c.field, validation.NotByEmail, fmt.Sprintf("%s can't be sent by email: see GET /v1/event-types for the types that can", id))
			continue
		}
		c.field, c.html = c.field+".", c.types
		c.check(mailText(e.GetOverrides()[id]), mailText(before.GetOverrides()[id]))
	}
}

func mailText(t *outboundv1.MailText) recipient.MailText {
	return recipient.MailText{Subject: t.GetSubject(), Body: t.GetBody(), HTMLBody: t.GetHtmlBody()}
}

// textCheck checks texts against the macros of the types that they are for.
type textCheck struct {
	v *validation.Violations
	f checkInput
	// field is the prefix of the paths of the texts.
	field string
	// types are those that the texts are for, html those that the HTML is rendered for.
	types, html []event.Type
}

func (c *textCheck) typesOf(ids []string) []event.Type {
	var out []event.Type
	for _, t := range c.f.types {
		if slices.Contains(ids, t.ID) {
			out = append(out, t)
		}
	}
	return out
}

// check adds what is wrong with texts that have changed. A text stays valid when a custom field is deleted; its macro is then empty.
func (c *textCheck) check(now, before recipient.MailText) {
	known := render.KnownMacros(c.types, c.f.custom)
	if now.Subject != before.Subject {
		c.v.Check(c.field+"subject", render.CheckMacros(now.Subject, known))
	}
	if now.Body != before.Body {
		c.v.Check(c.field+"body", render.CheckMacros(now.Body, known))
	}
	if now.HTMLBody != before.HTMLBody {
		c.v.Check(c.field+"htmlBody", render.CheckMacros(now.HTMLBody, known))
	}
	if now.HTMLBody != "" {
		c.checkHTML(now.HTMLBody)
	}
}

// checkHTML renders an HTML body for a sample of each type that it is for, and at least once.
func (c *textCheck) checkHTML(text string) {
	field := c.field + "htmlBody"
	body, err := render.NewHTMLBody(text)
	if err != nil {
		c.v.Check(field, err)
		return
	}
	for _, t := range c.html {
		e := event.Sample(t, settings.SampleAppliance, settings.SampleID, c.f.now, c.f.custom)
		if e == nil {
			continue
		}
		if err := body.Check(e, t, render.MailOptions{Custom: c.f.custom}); err != nil {
			c.v.Add(field, validation.Invalid, fmt.Sprintf("fails for an example of %s: %v", t.ID, err))
			return
		}
	}
}

// mailWarnings returns which texts have no effect.
func mailWarnings(r *outboundv1.Recipient) []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(r.GetEmail().GetOverrides())) {
		if !slices.Contains(r.GetEventTypes(), id) {
			out = append(out, fmt.Sprintf("email.overrides[%q] is not used because eventTypes does not include the type.", id))
		}
	}
	return out
}
