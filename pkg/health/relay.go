package health

import "time"

// RelayOK is the line of a relay that takes mail.
const RelayOK = "OK"

// Relay is how the SMTP relay stands, as the email senders saw it last.
type Relay struct {
	// Line is RelayOK, or what is wrong, in a line. It holds no secrets and no addresses of people.
	Line string `json:"line"`
	// Etag says which settings were tried.
	Etag string `json:"etag,omitempty"`
	// Checked is when it was last looked at, by a probe or a mail; Accepted when it last took a mail.
	Checked  time.Time `json:"checked"`
	Accepted time.Time `json:"accepted,omitzero"`
	// Since is since when it fails, while it does.
	Since time.Time `json:"since,omitzero"`
	// Probing is until when one of the senders probes it, so that the others need not.
	Probing time.Time `json:"probing,omitzero"`
	// ProbingEtag says which settings it probes; empty: unknown.
	ProbingEtag string `json:"probingEtag,omitempty"`
	// Certificate is what the relay presented.
	Certificate *PeerCertificate `json:"certificate,omitempty"`
}

// RelayAttempts is what a sender saw of the relay.
type RelayAttempts struct {
	At time.Time
	// Line is RelayOK, or what was wrong.
	Line string
	Etag string
	// Accepted says that it took a mail.
	Accepted bool
	// Certificate is what it presented, if that is known.
	Certificate *PeerCertificate
}

// Seen is how a relay stands after a sight. A sight that is older than the last changes nothing but when a mail was taken.
func (r Relay) Seen(s RelayAttempts) Relay {
	if s.Accepted && s.At.After(r.Accepted) {
		r.Accepted = s.At
	}
	if s.At.Before(r.Checked) {
		return r
	}
	if s.Certificate != nil || r.Etag != s.Etag {
		r.Certificate = s.Certificate
	}
	switch {
	case s.Line == RelayOK:
		r.Since = time.Time{}
	case r.Since.IsZero() || r.Etag != s.Etag:
		r.Since = s.At
	}
	r.Line, r.Etag, r.Checked, r.Probing, r.ProbingEtag = s.Line, s.Etag, s.At, time.Time{}, ""
	return r
}

// ProbeDue reports whether a sender is to probe the relay: nobody has looked for so long, or not since the settings changed, and
// nobody is about to. Who probes the relay of earlier settings holds nobody up.
func (r Relay) ProbeDue(now time.Time, every time.Duration, etag string) bool {
	if now.Before(r.Probing) && (r.ProbingEtag == "" || r.ProbingEtag == etag) {
		return false
	}
	return r.Etag != etag || r.Line == "" || now.Sub(r.Checked) >= every
}

// Claimed is the status while a sender probes the relay of some settings, until it is done or a time is over.
func (r Relay) Claimed(etag string, until time.Time) Relay {
	r.Probing, r.ProbingEtag = until, etag
	return r
}
