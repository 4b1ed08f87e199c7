package recipient_test

import (
	"testing"

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
