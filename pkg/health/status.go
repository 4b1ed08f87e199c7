// Package health knows how recipients stand: whether what is sent to them arrives, since when it does not, and who is to be
// told of that by mail, and when.
package health

import (
	"crypto/x509"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Condition says whether a recipient's last attempt succeeded.
type Condition string

// The healths.
const (
	OK      Condition = "OK"
	Failing Condition = "FAILING"
)

// Status is how one recipient stands, as all senders of a channel keep it together. It is written when it changes, never for
// each delivery: what it tells of the last attempt may be some seconds old.
type Status struct {
	Health Condition `json:"health"`
	// Since is when the health began: for FAILING, the first failed attempt since the last success.
	Since time.Time `json:"since"`
	// Reason, Code and Detail tell of the last failure that was noted.
	Reason reasons.Reason `json:"reason,omitempty"`
	Code   int            `json:"code,omitempty"`
	Detail string         `json:"detail,omitempty"`
	// LastFailure and LastDelivered are the last that were noted.
	LastFailure   time.Time `json:"lastFailure,omitzero"`
	LastDelivered time.Time `json:"lastDelivered,omitzero"`
	// NextAttempt is when the delivery that failed last is tried again.
	NextAttempt time.Time `json:"nextAttempt,omitzero"`
	BreakerOpen bool      `json:"breakerOpen,omitempty"`
	// BreakerSince is since when the breaker is open, in the sender where it opened first. NextProbe is when the next probe was due when
	// the last one failed.
	BreakerSince time.Time `json:"breakerSince,omitzero"`
	NextProbe    time.Time `json:"nextProbe,omitzero"`
	// LastAlert is when the contacts were last told, and Alerts how often since it began to fail.
	LastAlert time.Time `json:"lastAlert,omitzero"`
	Alerts    int       `json:"alerts,omitempty"`
	// Dropped are the deliveries given up that the contacts have not been told of.
	Dropped *Dropped `json:"dropped,omitempty"`
	// LastDropped is when a delivery was last given up.
	LastDropped time.Time `json:"lastDropped,omitzero"`
	// Recovery is a failure that contacts were told of and that has ended, until they are told of its end.
	Recovery *Recovery `json:"recovery,omitempty"`
	// Claim is held by the sender that is telling the contacts.
	Claim *Claim `json:"claim,omitempty"`
	// Certificate is what the receiver presented.
	Certificate *PeerCertificate `json:"certificate,omitempty"`
}

// Dropped are deliveries that were given up: their retry duration ended, or nothing could have come of another try.
type Dropped struct {
	Count  int            `json:"count"`
	First  time.Time      `json:"first"`
	Last   time.Time      `json:"last"`
	Reason reasons.Reason `json:"reason"`
	Detail string         `json:"detail,omitempty"`
}

// Recovery is a failure that has ended.
type Recovery struct {
	Since  time.Time      `json:"since"`
	Until  time.Time      `json:"until"`
	Reason reasons.Reason `json:"reason"`
	Code   int            `json:"code,omitempty"`
}

// Claim marks a mail that a sender is about to hand over. It is written before and removed after, so that no other sender
// tells of the same, and so that one that takes over from a dead sender uses the same message id.
type Claim struct {
	ID     string    `json:"id"`
	Kind   Kind      `json:"kind"`
	Holder string    `json:"holder"`
	At     time.Time `json:"at"`
}

// seen is what this process has seen of a recipient.
type seen struct {
	success time.Time
	// first and last failure since the last success.
	firstFailure, lastFailure time.Time
	reason                    reasons.Reason
	code                      int
	detail                    string
	next                      time.Time
	breakerOpen               bool
	breakerSince, nextProbe   time.Time
	// dropped is what is not written yet.
	dropped Dropped
	// leaf is the certificate that was presented last to a revision of the recipient; certificate describes it.
	leaf        *x509.Certificate
	revision    uint64
	certificate PeerCertificate
}

// note takes in one report. It says nothing of what was put off or was not wanted.
func (s *seen) note(r delivery.Report, at time.Time) {
	s.present(r, at)
	switch {
	case r.Verdict.Kind == delivery.Delivered:
		s.success, s.firstFailure, s.lastFailure, s.breakerOpen = at, time.Time{}, time.Time{}, false
		s.breakerSince, s.nextProbe = time.Time{}, time.Time{}
		return
	case r.Verdict.Kind == delivery.Retry:
	case r.State == delivery.StateExpired || r.State == delivery.StateRejected:
		s.drop(r, at)
		if r.Verdict.Reason == reasons.Unreadable {
			return
		}
	default:
		return
	}
	if s.firstFailure.IsZero() {
		s.firstFailure = at
	}
	s.lastFailure, s.next, s.breakerOpen, s.breakerSince, s.nextProbe = at, r.Next, r.BreakerOpen, r.BreakerSince, r.NextProbe
	if r.Verdict.Reason == reasons.Expired && s.reason != "" {
		return // the reason of the attempts before says more
	}
	s.reason, s.code, s.detail = r.Verdict.Reason, r.Outcome.Status, r.Verdict.Detail
	if s.detail == "" {
		s.detail = r.Outcome.Detail
	}
}

// present notes the certificate of the receiver, which is described once.
func (s *seen) present(r delivery.Report, at time.Time) {
	leaf, to := r.Outcome.Certificate, r.Delivery.Recipient
	if leaf == nil {
		return
	}
	if s.leaf != leaf || s.revision != to.Revision {
		s.leaf, s.revision, s.certificate = leaf, to.Revision, *CertificateOf(leaf, to.Target().Destination(), at)
	}
	s.certificate.Seen = at
}

func (s *seen) drop(r delivery.Report, at time.Time) {
	if s.dropped.Count == 0 {
		s.dropped.First = at
	}
	s.dropped.Count++
	s.dropped.Last, s.dropped.Reason, s.dropped.Detail = at, r.Verdict.Reason, r.Verdict.Detail
}

// merge brings what one process saw into what all know. It is pure, and repeating it changes nothing. Times decide: a success
// ends a failure that began before it, and a failure before the last known success is old news. refresh is how much newer a
// failure must be to be worth writing when the health stays.
func merge(old Status, s seen, refresh time.Duration) (Status, bool) {
	st, changed := old, false
	if st.Health == Failing && s.success.After(st.Since) {
		st, changed = recovered(st, s.success), true
	}
	if at := s.lastFailure; !at.IsZero() {
		switch {
		case st.Health != Failing && at.After(st.LastDelivered):
			since := s.firstFailure
			if !since.After(st.LastDelivered) {
				since = at
			}
			if s.success.After(st.LastDelivered) {
				st.LastDelivered = s.success
			}
			st.Health, st.Since, st.Alerts = Failing, since, 0
			st, changed = failed(st, s), true
		case st.Health == Failing && at.After(st.LastFailure) && (at.Sub(st.LastFailure) >= refresh || s.breakerOpen != st.BreakerOpen):
			st, changed = failed(st, s), true
		}
	}
	if d := s.dropped; d.Count > 0 {
		if st.Health == "" {
			st.Health, st.Since = OK, d.Last
		}
		if st.Dropped != nil {
			d.Count, d.First = d.Count+st.Dropped.Count, st.Dropped.First
		}
		st.Dropped, st.LastDropped, changed = &d, d.Last, true
	}
	if c := s.certificate; s.leaf != nil && c.replaces(st.Certificate) {
		if st.Health == "" {
			st.Health, st.Since = OK, c.Seen
		}
		st.Certificate, changed = &c, true
	}
	return st, changed
}

func failed(st Status, s seen) Status {
	since := s.breakerSince
	if st.BreakerOpen && s.breakerOpen && !st.BreakerSince.IsZero() && st.BreakerSince.Before(since) {
		since = st.BreakerSince // of another sender, or of one that was restarted
	}
	st.LastFailure, st.Reason, st.Code, st.Detail, st.NextAttempt = s.lastFailure, s.reason, s.code, s.detail, s.next
	st.BreakerOpen, st.BreakerSince, st.NextProbe = s.breakerOpen, since, s.nextProbe
	return st
}

// recovered ends a failure. Whoever was told of it, or is being told, is told of its end.
func recovered(st Status, at time.Time) Status {
	if st.Alerts > 0 || st.Claim != nil && st.Claim.Kind == KindFailing {
		st.Recovery = &Recovery{Since: st.Since, Until: at, Reason: st.Reason, Code: st.Code}
		st.Claim = nil
	}
	return Status{
		Health: OK, Since: at, LastFailure: st.LastFailure, LastDelivered: at, LastAlert: st.LastAlert, Dropped: st.Dropped,
		LastDropped: st.LastDropped, Recovery: st.Recovery, Claim: st.Claim, Certificate: st.Certificate,
	}
}

// due says what the contacts are to be told next, and when.
func due(st Status, c recipient.Contact) (kind Kind, at time.Time, ok bool) {
	switch {
	case len(c.Addresses) == 0:
		return "", time.Time{}, false
	case st.Recovery != nil:
		return KindRecovered, st.Recovery.Until, true
	case st.Health == Failing && st.Alerts == 0:
		return KindFailing, st.Since.Add(c.AlertAfter), true
	case st.Health == Failing:
		return KindFailing, st.LastAlert.Add(c.ResendEvery), c.ResendEvery > 0
	case st.Dropped != nil:
		return KindDropped, droppedDue(st, c), true
	default:
		return "", time.Time{}, false
	}
}

// droppedDue is when a recipient that works otherwise is told of for what was given up.
func droppedDue(st Status, c recipient.Contact) time.Time {
	again := c.ResendEvery
	if again == 0 {
		again = recipient.DefaultResendEvery
	}
	at := st.Dropped.First.Add(c.AlertAfter)
	if next := st.LastAlert.Add(again); !st.LastAlert.IsZero() && next.After(at) {
		return next
	}
	return at
}

// notified is the status once the contacts have been told.
func notified(st Status, m Kind, at time.Time) Status {
	st.Claim, st.Dropped = nil, nil
	switch m {
	case KindFailing:
		st.LastAlert = at
		st.Alerts++
	case KindRecovered:
		st.Recovery = nil
	case KindDropped:
		st.LastAlert = at
	default:
	}
	return st
}
