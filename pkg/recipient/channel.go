package recipient

import "github.com/outbound-events/outbound/pkg/event"

// Channel is a way to deliver.
type Channel string

// The channels. They begin the names of durable consumers and the keys of statuses.
const (
	HTTP  Channel = "http"
	Email Channel = "email"
)

// Descriptor is what the core knows of a channel. What differs from recipient to recipient is in its Target.
type Descriptor struct {
	Name Channel
	// SharedTarget says that all recipients are reached through one target, such as the SMTP relay. Its failure is one of all of them.
	SharedTarget bool
	// SharedLimits says that the retry and the number of attempts at once are the same for all recipients and come from the settings.
	SharedLimits bool
	// Relay says that deliveries go through the SMTP relay of the settings, and wait while none is set.
	Relay bool
	// MarkedTypes says that only those event types are sent that are marked as ones for email.
	MarkedTypes bool
	// Diagnosed says that a sender can examine the connection to a recipient step by step.
	Diagnosed bool
	// Pulled says that a receiver can pull its deliveries.
	Pulled bool
}

// Takes reports whether an event type can be sent through the channel.
func (d Descriptor) Takes(t event.Type) bool { return t.Email || !d.MarkedTypes }

// Channels returns the descriptors of all channels.
func Channels() []Descriptor {
	return []Descriptor{
		{Name: HTTP, Diagnosed: true, Pulled: true},
		{Name: Email, SharedTarget: true, SharedLimits: true, Relay: true, MarkedTypes: true},
	}
}

// Describe returns the descriptor of a channel. ok is false if there is no such channel; nothing is shared then.
func Describe(ch Channel) (d Descriptor, ok bool) {
	for _, d := range Channels() {
		if d.Name == ch {
			return d, true
		}
	}
	return Descriptor{Name: ch}, false
}

// Target is where a recipient is reached, as the core sees it.
type Target interface {
	Channel() Channel
	// Destination is what recipients that fail together have in common: the host or the relay. It is empty if there is none.
	Destination() string
	// NeedsExternalKey reports whether the recipient gets only events that have an external key.
	NeedsExternalKey() bool
}

// Target returns the target that is set. A recipient without one is an HTTP recipient without a URL.
func (r *Recipient) Target() Target {
	switch {
	case r.Email != nil:
		return r.Email
	case r.HTTP != nil:
		return r.HTTP
	case r.Other != nil:
		return r.Other
	default:
		return (*HTTPTarget)(nil)
	}
}

// Channel returns the recipient's channel.
func (r *Recipient) Channel() Channel { return r.Target().Channel() }

// Describe returns the descriptor of the recipient's channel.
func (r *Recipient) Describe() Descriptor {
	d, _ := Describe(r.Channel())
	return d
}

// Addresses returns the addresses that each get every event; none if the channel has no such addresses.
func (r *Recipient) Addresses() []string {
	if r.Email == nil {
		return nil
	}
	return r.Email.Addresses
}

// Credentials returns what of the recipient can expire, in PEM form: the roots that the receiver is verified with and the certificate
// that is presented to it; and the signing secrets. All are empty if the channel has nothing of the kind.
func (r *Recipient) Credentials() (roots, client string, secrets []SigningSecret) {
	if r.HTTP == nil {
		return "", "", nil
	}
	return r.HTTP.CAPEM, r.HTTP.Auth.ClientCertificatePEM, r.HTTP.SigningSecrets
}

// Channel returns HTTP.
func (h *HTTPTarget) Channel() Channel { return HTTP }

// Destination returns the host of the URL, in its one form.
func (h *HTTPTarget) Destination() string {
	if h == nil {
		return ""
	}
	u, err := ParseURL(h.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// NeedsExternalKey returns false.
func (h *HTTPTarget) NeedsExternalKey() bool { return false }

// Channel returns Email.
func (e *EmailTarget) Channel() Channel { return Email }

// Destination returns the name of the relay.
func (e *EmailTarget) Destination() string { return "the SMTP relay" }

// NeedsExternalKey returns what the recipient asks for.
func (e *EmailTarget) NeedsExternalKey() bool { return e.RequireExternalKey }
