package recipient_test

import (
	"testing"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

func TestTargetDescribesItsRecipient(t *testing.T) {
	web := func(url string) recipient.Recipient {
		return recipient.Recipient{HTTP: &recipient.HTTPTarget{URL: url}}
	}
	mail := func(needsKey bool) recipient.Recipient {
		return recipient.Recipient{Email: &recipient.EmailTarget{RequireExternalKey: needsKey}}
	}
	for name, c := range map[string]struct {
		r           recipient.Recipient
		channel     recipient.Channel
		destination string
		needsKey    bool
	}{
		"http":           {web("https://A.Example:8443/x"), recipient.HTTP, "a.example:8443", false},
		"no URL":         {web(":"), recipient.HTTP, "", false},
		"email":          {mail(false), recipient.Email, "the SMTP relay", false},
		"email with key": {mail(true), recipient.Email, "the SMTP relay", true},
		"none":           {recipient.Recipient{}, recipient.HTTP, "", false},
	} {
		got := c.r.Target()
		if c.r.Channel() != c.channel || got.Destination() != c.destination || got.NeedsExternalKey() != c.needsKey {
			t.Errorf("%s: %s, %q, %v", name, c.r.Channel(), got.Destination(), got.NeedsExternalKey())
		}
	}
}

func TestChannelsAreDescribed(t *testing.T) {
	for _, d := range recipient.Channels() {
		if got, ok := recipient.Describe(d.Name); !ok || got != d {
			t.Errorf("%s is described as %+v, %v", d.Name, got, ok)
		}
	}
	if d, ok := recipient.Describe("toy"); ok || d.SharedTarget || d.SharedLimits {
		t.Errorf("a channel that is not there is described as %+v, %v", d, ok)
	}
}

func TestDescriptorSaysWhichTypesAChannelTakes(t *testing.T) {
	for _, d := range recipient.Channels() {
		if !d.Takes(event.Type{Email: true}) || d.Takes(event.Type{}) == d.MarkedTypes {
			t.Errorf("%+v takes a marked type: %v, another one: %v", d, d.Takes(event.Type{Email: true}), d.Takes(event.Type{}))
		}
	}
}

func TestAddressesAndCredentialsAreThoseOfTheChannelThatHasThem(t *testing.T) {
	web := recipient.Recipient{HTTP: &recipient.HTTPTarget{CAPEM: "roots", Auth: recipient.Auth{ClientCertificatePEM: "own"},
		SigningSecrets: []recipient.SigningSecret{{ID: "s1"}}}}
	mail := recipient.Recipient{Email: &recipient.EmailTarget{Addresses: []string{"a@example.com"}}}
	if roots, own, secrets := web.Credentials(); roots != "roots" || own != "own" || len(secrets) != 1 || web.Addresses() != nil {
		t.Errorf("HTTP: %q, %q, %v, %v", roots, own, secrets, web.Addresses())
	}
	if roots, own, secrets := mail.Credentials(); roots+own != "" || secrets != nil || len(mail.Addresses()) != 1 || !mail.Describe().Relay {
		t.Errorf("email: %q, %q, %v, %v", roots, own, secrets, mail.Addresses())
	}
}
