package status

import (
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/settings"
)

// receiverCertificate returns what the receiver presented, as a sender noted it; nil if that was another host than it is now, or there is
// nobody to deliver to.
func receiverCertificate(r *recipient.Recipient, st health.Status) *health.PeerCertificate {
	if c := st.Certificate; c != nil && !r.Deleting && c.Target == r.Target().Destination() {
		return c
	}
	return nil
}

// relayCertificate returns what the relay of the settings presented; nil if that is not known.
func relayCertificate(smtp settings.SMTP, r health.Relay) *health.PeerCertificate {
	if smtp.Host == "" || r.Etag != smtp.Etag {
		return nil
	}
	return r.Certificate
}

// presented returns when the certificates expire that receivers and the relay presented.
func presented(recipients []*recipient.Recipient, looked []recipientFacts, relay *health.PeerCertificate) []expiry {
	var out []expiry
	for i, r := range recipients {
		if c := receiverCertificate(r, looked[i].status); c != nil {
			out = append(out, expiryOf(c, expiryReceiver, "recipients/"+r.ID))
		}
	}
	if relay != nil {
		out = append(out, expiryOf(relay, expiryRelay, "settings/smtp"))
	}
	return out
}

func expiryOf(c *health.PeerCertificate, kind, resource string) expiry {
	return expiry{kind: kind, resource: resource, subject: c.Subject, at: c.Until, warn: c.WarnBefore()}
}
