package preview_test

import (
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/preview"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// toy is the target of a channel that this package does not know.
type toy struct{}

func (toy) Channel() recipient.Channel { return "toy" }
func (toy) Destination() string        { return "" }
func (toy) NeedsExternalKey() bool     { return false }

func TestEachChannelIsRenderedIntoTheFieldOfItsName(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	show := func(r recipient.Recipient, s settings.Settings) (*outboundv1.DeliveryDetail, error) {
		r.ID, s.Email.Location = "r1", time.UTC
		d := &delivery.Delivery{Recipient: &r, Accepted: at, Attempt: 1, Event: &event.Event{ID: "e1", Type: "t", Appliance: "a1", Time: at}}
		out := &outboundv1.DeliveryDetail{}
		return out, preview.Into(out, d, &s, preview.Options{Version: "1.2.3", At: at, Sent: true})
	}
	web := recipient.Recipient{HTTP: &recipient.HTTPTarget{URL: "https://a.example/hook", Format: recipient.Form}}
	if got, err := show(web, settings.Settings{}); err != nil || got.GetHttp().GetUrl() != web.HTTP.URL || got.GetHttp().GetBody() == "" ||
		got.GetEmail() != nil {
		t.Errorf("an HTTP recipient: %v, %v", got, err)
	}
	mail := recipient.Recipient{Email: &recipient.EmailTarget{Addresses: []string{"a@example.com", "b@example.com"}}}
	for _, from := range []string{"outbound@example.com", ""} {
		s := settings.Settings{}
		s.SMTP.FromAddress = from
		got, err := show(mail, s)
		m := got.GetEmail()
		if err != nil || len(m.GetTo()) != 2 || m.GetSubject() == "" || len(m.GetHeaders()) == 0 || got.GetHttp() != nil ||
			!strings.Contains(m.GetFrom(), from) || (m.GetFrom() == "") != (from == "") {
			t.Errorf("an email recipient, from %q: %v, %v", from, got, err)
		}
	}
	for want, r := range map[string]recipient.Recipient{
		"recipient r1 has no address":                                      {Email: &recipient.EmailTarget{}},
		"recipient r1 is of the channel toy, which has no preview":         {Other: toy{}},
		"preview the request to recipient r1: it is not an HTTP recipient": {},
	} {
		got, err := show(r, settings.Settings{})
		if err == nil || err.Error() != want || got.GetRequest() != nil {
			t.Errorf("%v, %v: want %s", got, err, want)
		}
	}
}

func TestEachChannelHasWords(t *testing.T) {
	for _, d := range recipient.Channels() {
		r := map[recipient.Channel]*recipient.Recipient{
			"http": {HTTP: &recipient.HTTPTarget{}}, "email": {Email: &recipient.EmailTarget{}},
		}[d.Name]
		if w := preview.WordsOf(r); w.Noun == "" || w.Noun == "message" || w.Current == "" {
			t.Errorf("channel %s has the words %+v", d.Name, w)
		}
	}
	if w := preview.WordsOf(&recipient.Recipient{Other: toy{}}); w.Noun != "message" {
		t.Errorf("an unknown channel has the words %+v", w)
	}
}
