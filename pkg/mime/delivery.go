package mime

import (
	"strconv"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
	"github.com/outbound-events/outbound/pkg/settings"
)

// testMark begins the subject of mails that an operator asked for to try a recipient.
const testMark = "[test] "

// OfDelivery makes the message of a delivery to one of its addresses, sent at a time: apart from that, the same at each attempt while
// recipient and settings stay as they are.
func OfDelivery(d *delivery.Delivery, s *settings.Settings, to string, at time.Time) Message {
	e := d.Event
	m := Message{
		From: s.SMTP.FromAddress, FromName: s.SMTP.FromName, To: to, Date: at.In(s.Email.Location),
		ID: Identity("mail", d.Key(), strings.ToLower(to)),
		Headers: []render.Header{{Name: "X-Outbound-Event-Id", Value: e.Key()},
			{Name: "X-Outbound-Event-Time", Value: e.Time.UTC().Format(time.RFC3339)}},
		Text: render.NewMail(e, s.Types[e.Type], Options(d.Recipient.Email, e, s)),
	}
	if e.Session != "" {
		m.Thread = Identity("session", e.Appliance, e.Session)
	}
	m.Headers = append(m.Headers, numbers(d)...)
	if d.Test {
		m.Text.Subject = render.OneLine(testMark+m.Text.Subject, render.MaxSubject)
	}
	return m
}

// numbers tell which delivery of its recipient it is. They stand beside the ones of HTTP, as the mail's other headers do.
func numbers(d *delivery.Delivery) (out []render.Header) {
	if d.Number > 0 {
		out = append(out, render.Header{Name: "X-Outbound-Sequence", Value: strconv.FormatUint(d.Number, 10)},
			render.Header{Name: "X-Outbound-Previous", Value: strconv.FormatUint(d.Number-1, 10)})
	}
	if d.ReplayID != "" && !d.Test {
		out = append(out, render.Header{Name: "X-Outbound-Replay", Value: d.ReplayID})
	}
	return out
}

// Options say how mails to a recipient about an event are worded.
func Options(r *recipient.EmailTarget, e *event.Event, s *settings.Settings) render.MailOptions {
	text := r.TextOf(e.Type)
	return render.MailOptions{
		Subject: text.Subject, Body: text.Body, HTMLBody: text.HTMLBody, Custom: s.CustomFields, CustomNames: s.CustomFieldNames,
		ApplianceName: s.Appliances[e.Appliance].DisplayName, Zone: s.Email.Location,
	}
}
