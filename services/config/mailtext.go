package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// sampleID names the samples that texts are tried on.
const sampleID = "example"

// checkEmail notes what is wrong with an email recipient's addresses and texts.
func checkEmail(v *violations, r *outboundv1.Recipient, f checkInput) {
	e, before := r.GetEmail(), f.old.GetRecipient().GetEmail()
	checkAddresses(v, "email.addresses", e.GetAddresses())
	c := textCheck{v: v, f: f}
	chosen := c.typesOf(r.GetEventTypes())
	c.field, c.types = "email.", chosen
	// The types whose HTML is an override's own do not use the common one.
	c.html = slices.DeleteFunc(slices.Clone(chosen), func(t event.Type) bool { return e.GetOverrides()[t.ID].GetHtmlBody() != "" })
	c.check(
		recipient.MailText{Subject: e.GetSubject(), Body: e.GetBody(), HTMLBody: e.GetHtmlBody()},
		recipient.MailText{Subject: before.GetSubject(), Body: before.GetBody(), HTMLBody: before.GetHtmlBody()},
	)
	for _, id := range slices.Sorted(maps.Keys(e.GetOverrides())) {
		c.field = fmt.Sprintf("email.overrides[%q]", id)
		if c.types = c.typesOf([]string{id}); len(c.types) == 0 {
			v.add(c.field, reasonUnknownType, event.UnknownType(id, typeIDs(f.types)).Description)
			continue
		}
		if !c.types[0].Email {
			v.add(c.field, reasonNotByEmail, fmt.Sprintf("%s can't be sent by email: see GET /v1/event-types for the types that can", id))
			continue
		}
		c.field, c.html = c.field+".", c.types
		c.check(mailText(e.GetOverrides()[id]), mailText(before.GetOverrides()[id]))
	}
}

func typeIDs(types []event.Type) []string {
	ids := make([]string, len(types))
	for i, t := range types {
		ids[i] = t.ID
	}
	return ids
}

func mailText(t *outboundv1.MailText) recipient.MailText {
	return recipient.MailText{Subject: t.GetSubject(), Body: t.GetBody(), HTMLBody: t.GetHtmlBody()}
}

// textCheck holds mail texts against the macros of the types they are for.
type textCheck struct {
	v *violations
	f checkInput
	// field begins the paths of the texts.
	field string
	// types are those the texts are for, html those the HTML is rendered for.
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

// check notes what is wrong with texts that are not as they were: a text that was valid stays so when a custom field goes, its macro
// is then empty.
func (c *textCheck) check(now, before recipient.MailText) {
	known := render.KnownMacros(c.types, c.f.custom)
	if now.Subject != before.Subject {
		c.v.check(c.field+"subject", render.CheckMacros(now.Subject, known))
	}
	if now.Body != before.Body {
		c.v.check(c.field+"body", render.CheckMacros(now.Body, known))
	}
	if now.HTMLBody != before.HTMLBody {
		c.v.check(c.field+"htmlBody", render.CheckMacros(now.HTMLBody, known))
	}
	if now.HTMLBody != "" {
		c.checkHTML(now.HTMLBody)
	}
}

// checkHTML renders an HTML body for a sample of every type it is for, and at least once.
func (c *textCheck) checkHTML(text string) {
	field := c.field + "htmlBody"
	if _, err := render.NewHTMLBody(text); err != nil {
		c.v.check(field, err)
		return
	}
	for _, t := range c.html {
		e := event.Sample(t, sampleAppliance, sampleID, c.f.now, c.f.custom)
		if e == nil {
			continue
		}
		if err := render.CheckHTML(e, t, render.MailOptions{HTMLBody: text, Custom: c.f.custom}); err != nil {
			c.v.add(field, reasonInvalid, fmt.Sprintf("fails for an example of %s: %v", t.ID, err))
			return
		}
	}
}

// sampleAppliance is the source of the samples that texts and bodies are tried on.
const sampleAppliance = "appliance-1"

// mailWarnings says which texts have no effect.
func mailWarnings(r *outboundv1.Recipient) []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(r.GetEmail().GetOverrides())) {
		if !slices.Contains(r.GetEventTypes(), id) {
			out = append(out, fmt.Sprintf("email.overrides[%q] is not used because eventTypes does not include the type.", id))
		}
	}
	return out
}
