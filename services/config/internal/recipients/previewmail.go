package recipients

import (
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/mime"
	"github.com/outbound-events/outbound/pkg/render"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// noSender is used while no from address is set. No mail is sent before it is set.
const noSender = "from-address-is-not-set@example.invalid"

// previewMail renders the mail to the first address of an email recipient, sent at a time.
func previewMail(d *delivery.Delivery, settings *settings.Settings, at time.Time) (*outboundv1.MailPreview, error) {
	addresses := d.Recipient.Email.Addresses
	m := mime.OfDelivery(d, settings, addresses[0], at)
	out := &outboundv1.MailPreview{From: mime.From(m), To: addresses, Subject: m.Text.Subject, Text: m.Text.Body, Html: m.Text.HTML}
	if m.From == "" {
		m.From, out.From = noSender, ""
	}
	l, err := mime.Write(m)
	if err != nil {
		return nil, rpc.FailedPrecondition("NOT_RENDERED", "the email can't be rendered: "+err.Error())
	}
	out.Source = string(l.Data)
	out.Headers = encodeHeaders(headersOf(out.GetSource()))
	return out, nil
}

// headersOf returns the headers of a mail, unfolded, in their order.
func headersOf(source string) []render.Header {
	head, _, _ := strings.Cut(source, "\r\n\r\n")
	var out []render.Header
	for line := range strings.SplitSeq(head, "\r\n") {
		if n := len(out); n > 0 && strings.HasPrefix(line, " ") {
			out[n-1].Value += line
			continue
		}
		name, value, _ := strings.Cut(line, ": ")
		out = append(out, render.Header{Name: name, Value: value})
	}
	return out
}
