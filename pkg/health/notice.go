package health

import (
	"slices"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
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
	// KindDaily tells once a day that mail works and how deliveries went.
	KindDaily Kind = "daily"
	// KindSilent tells that an appliance publishes nothing for too long, KindSpeaking that it does again.
	KindSilent     Kind = "silent"
	KindHeardAgain Kind = "speaking"
	// KindStorage tells that a stream which refuses when full is nearly full, KindStorageFreed that it has space again.
	KindStorage      Kind = "filling"
	KindStorageFreed Kind = "room"
)

// Notice is a mail to be sent to one address: about one recipient, about several that fail for one cause, or about what its kind
// says.
type Notice struct {
	// ID makes a repeat harmless: it is the message id. Thread joins the mails about one failure.
	ID     string `json:"id"`
	Thread string `json:"thread"`
	Kind   Kind   `json:"kind"`
	// Channel is that of the recipients it tells of.
	Channel recipient.Channel `json:"channel,omitempty"`
	// To is an address of a person, Admin says that it is one of the admin contacts.
	To    string `json:"to"`
	Admin bool   `json:"admin,omitempty"`
	// At is when it was decided.
	At time.Time `json:"at"`
	// Target is the host that fails, or the relay.
	Target string  `json:"target,omitempty"`
	About  []About `json:"about,omitempty"`
	// Daily, Silence and Filling are what notices of these kinds tell instead of About.
	Daily   *Daily      `json:"daily,omitempty"`
	Silence *Silence    `json:"silence,omitempty"`
	Filling *StorageUse `json:"filling,omitempty"`
}

// About is what a notice tells of one recipient.
type About struct {
	Recipient string         `json:"recipient"`
	Name      string         `json:"name"`
	Since     time.Time      `json:"since,omitzero"`
	Until     time.Time      `json:"until,omitzero"`
	Reason    reasons.Reason `json:"reason,omitempty"`
	Code      int            `json:"code,omitempty"`
	Detail    string         `json:"detail,omitempty"`
	// Alert counts the mails about this failure from 1.
	Alert int `json:"alert,omitempty"`
	// Waiting is how many events wait; below 0: unknown.
	Waiting int `json:"waiting"`
	// DropAt is when the oldest of them is given up; zero if none waits or it is unknown.
	DropAt time.Time `json:"dropAt,omitzero"`
	// Expiring is about how many of them expire before ExpiringBefore if nothing changes; 0: none, or it is not known.
	Expiring       int       `json:"expiring,omitempty"`
	ExpiringBefore time.Time `json:"expiringBefore,omitzero"`
	Dropped        *Dropped  `json:"dropped,omitempty"`
	// BreakerOpen says that only one attempt per retry interval is made.
	BreakerOpen bool `json:"breakerOpen,omitempty"`
	// BreakerSince is since when that is so, ProbeEvery the retry interval.
	BreakerSince time.Time     `json:"breakerSince,omitzero"`
	ProbeEvery   time.Duration `json:"probeEvery,omitempty"`
}

// about gathers what is told of a recipient.
func about(r *recipient.Recipient, st Status, m Kind) About {
	a := About{Recipient: r.ID, Name: r.DisplayName, Dropped: st.Dropped, Waiting: -1}
	switch {
	case m == KindRecovered && st.Recovery != nil:
		a.Since, a.Until, a.Reason, a.Code = st.Recovery.Since, st.Recovery.Until, st.Recovery.Reason, st.Recovery.Code
	case m == KindFailing:
		a.Since, a.Reason, a.Code, a.Detail, a.Alert, a.BreakerOpen = st.Since, st.Reason, st.Code, st.Detail, st.Alerts+1, st.BreakerOpen
		if st.BreakerOpen {
			a.BreakerSince, a.ProbeEvery = st.BreakerSince, r.Retry.Interval
		}
	}
	return a
}

// cause is what recipients must share to be told of in one mail: the kind of news, the target, the class of the failure and
// the contacts.
func cause(mb member, m Kind) string {
	what := class(mb.e.Status.Reason, mb.e.Status.Code)
	switch m {
	case KindDropped:
		return string(m) + " " + mb.r.ID
	case KindRecovered:
		what = "" // while a target comes back it may fail in another way for some
	default:
	}
	contacts := make([]string, 0, len(mb.contact.Addresses))
	for _, a := range mb.contact.Addresses {
		contacts = append(contacts, recipient.SameAddress(a))
	}
	slices.Sort(contacts)
	return strings.Join(append([]string{string(m), mb.r.Target().Destination(), what}, contacts...), "\n")
}

// ofRelay reports whether a failure is one of the target that all recipients of the channel share, such as the relay.
func ofRelay(ch recipient.Channel, r reasons.Reason) bool {
	switch class(r, 0) {
	case "unreachable", string(reasons.TLS), string(reasons.Auth), string(reasons.RelayUnset):
		d, _ := recipient.Describe(ch)
		return d.SharedTarget
	default:
		return false
	}
}

// OfRelay reports whether a notice tells of a failure of the relay by which it is to be sent itself. That it can be sent shows
// that the failure may be over.
func (n Notice) OfRelay() bool {
	return n.Kind == KindFailing && slices.ContainsFunc(n.About, func(a About) bool { return ofRelay(n.Channel, a.Reason) })
}

// Current leaves out of a notice what is not so any more, or what a later notice tells better, as the statuses of its recipients
// have it; ok is false if nothing is left to tell. Mails may wait for long where the relay was away.
func (n Notice) Current(of func(id string) Status) (now Notice, ok bool) {
	if n.Channel == "" || len(n.About) == 0 {
		return n, true
	}
	now = n
	now.About = slices.DeleteFunc(slices.Clone(n.About), func(a About) bool {
		st := of(a.Recipient)
		switch n.Kind {
		case KindFailing:
			return st.Health != Failing || !st.Since.Equal(a.Since) || st.Alerts > a.Alert
		case KindRecovered:
			return st.Health == Failing && st.Since.After(a.Until) && st.Alerts > 0
		default:
			return false
		}
	})
	return now, len(now.About) > 0
}

// class joins the reasons that one broken thing shows in turn: a host that is away is refused, times out or is cut off.
func class(r reasons.Reason, code int) string {
	switch r {
	case reasons.DNS, reasons.Connect, reasons.Timeout, reasons.ConnectionCut, reasons.Protocol:
		return "unreachable"
	case reasons.HTTPStatus:
		if code >= 500 {
			return "server error"
		}
		return "refused"
	default:
		return string(r)
	}
}
