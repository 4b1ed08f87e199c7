package preview

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/mime"
	"github.com/outbound-events/outbound/pkg/render"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// noSender is used while no from address is set. No email is sent before it is set.
const noSender = "from-address-is-not-set@example.invalid"

// email renders the email to the first address of an email recipient.
func email(d *delivery.Delivery, s *settings.Settings, o Options) (proto.Message, error) {
	addresses := d.Recipient.Addresses()
	if len(addresses) == 0 {
		return nil, fmt.Errorf("recipient %s has no address", d.Recipient.ID)
	}
	m := mime.OfDelivery(d, s, addresses[0], o.At)
	out := &outboundv1.MailPreview{
		From: mime.From(m), To: addresses, Subject: text(m.Text.Subject), Text: text(m.Text.Body), Html: text(m.Text.HTML),
	}
	if m.From == "" {
		m.From, out.From = noSender, ""
	}
	written, err := mime.Write(m)
	if err != nil {
		return nil, err
	}
	out.Source = text(string(written.Data))
	out.Headers = headers(headersOf(out.GetSource()))
	return out, nil
}

// headersOf returns the headers of an email, unfolded, in their order.
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
