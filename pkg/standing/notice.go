package standing

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Kind is what a notice tells.
type Kind string

// The kinds. They end the subjects of notices.
const (
	// KindFailing tells that deliveries keep failing.
	KindFailing Kind = "failing"
	// KindRecovered tells that they arrive again.
	KindRecovered Kind = "recovered"
	// KindDropped tells that deliveries were given up although others arrive.
	KindDropped Kind = "dropped"
)

// Notice is a mail to be sent to one address about one recipient, or about several that fail for one cause.
type Notice struct {
	// ID makes a repeat harmless: it is the message id. Thread joins the mails about one failure.
	ID     string `json:"id"`
	Thread string `json:"thread"`
	Kind   Kind   `json:"kind"`
	// To is an address of a person.
	To string `json:"to"`
	// At is when it was decided.
	At time.Time `json:"at"`
	// Target is the host that fails, or the relay.
	Target string  `json:"target,omitempty"`
	About  []About `json:"about"`
}

// About is what a notice tells of one recipient.
type About struct {
	Recipient string          `json:"recipient"`
	Name      string          `json:"name"`
	Since     time.Time       `json:"since,omitzero"`
	Until     time.Time       `json:"until,omitzero"`
	Reason    delivery.Reason `json:"reason,omitempty"`
	Code      int             `json:"code,omitempty"`
	Detail    string          `json:"detail,omitempty"`
	// Alert counts the mails about this failure from 1.
	Alert int `json:"alert,omitempty"`
	// Waiting is how many events wait; below 0: unknown.
	Waiting int `json:"waiting"`
	// DropAt is when the oldest of them is given up; zero if none waits or it is unknown.
	DropAt  time.Time `json:"dropAt,omitzero"`
	Dropped *Dropped  `json:"dropped,omitempty"`
	// BreakerOpen says that only one attempt per retry interval is made.
	BreakerOpen bool `json:"breakerOpen,omitempty"`
}

// about gathers what is told of a recipient.
func about(r *recipient.Recipient, st Status, k Kind) About {
	a := About{Recipient: r.ID, Name: r.DisplayName, Dropped: st.Dropped, Waiting: -1}
	switch {
	case k == KindRecovered && st.Recovery != nil:
		a.Since, a.Until, a.Reason, a.Code = st.Recovery.Since, st.Recovery.Until, st.Recovery.Reason, st.Recovery.Code
	case k == KindFailing:
		a.Since, a.Reason, a.Code, a.Detail, a.Alert, a.BreakerOpen = st.Since, st.Reason, st.Code, st.Detail, st.Alerts+1, st.BreakerOpen
	}
	return a
}

// target is where a recipient's deliveries go, as far as several recipients may share it.
func target(r *recipient.Recipient) string {
	if r.HTTP == nil {
		return "the SMTP relay"
	}
	u, err := url.Parse(r.HTTP.URL)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// cause is what recipients must share to be told of in one mail: the kind of news, the target, the class of the failure and
// the contacts.
func cause(r *recipient.Recipient, st Status, k Kind) string {
	reason, code := st.Reason, st.Code
	if k == KindRecovered && st.Recovery != nil {
		reason, code = st.Recovery.Reason, st.Recovery.Code
	}
	if k == KindDropped {
		return string(k) + " " + r.ID
	}
	contacts := make([]string, 0, len(r.Contact.Addresses))
	for _, a := range r.Contact.Addresses {
		contacts = append(contacts, recipient.SameAddress(a))
	}
	slices.Sort(contacts)
	return strings.Join(append([]string{string(k), target(r), class(reason, code)}, contacts...), "\n")
}

// class joins the reasons that one broken thing shows in turn: a host that is away is refused, times out or is cut off.
func class(r delivery.Reason, code int) string {
	switch r {
	case delivery.ReasonDNS, delivery.ReasonConnect, delivery.ReasonTimeout, delivery.ReasonConnectionCut, delivery.ReasonProtocol:
		return "unreachable"
	case delivery.ReasonHTTPStatus:
		if code >= 500 {
			return "server error"
		}
		return "refused"
	default:
		return string(r)
	}
}
