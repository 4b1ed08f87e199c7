package recipient

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
}

// Channels returns the descriptors of all channels.
func Channels() []Descriptor {
	return []Descriptor{
		{Name: HTTP},
		{Name: Email, SharedTarget: true, SharedLimits: true},
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
