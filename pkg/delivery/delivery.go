package delivery

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/lease"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Delivery is one event owed to one recipient, as a sender gets it for one attempt.
type Delivery struct {
	Recipient *recipient.Recipient
	Event     *event.Event
	// ReplayID tells a replay or test from the event's first delivery; empty for that one.
	ReplayID string
	// Test marks an event made by an operator to try a recipient.
	Test bool
	// Actor is who asked for the replay or test; empty for an event's first delivery.
	Actor string
	// Accepted is when the event (for a replay: the replay) was stored.
	Accepted time.Time
	// Number is that of the event among those that the recipient selects by type and appliance, in the order of acceptance: a replay has
	// that of the event's first delivery. 0: it has none. See package numbering.
	Number uint64
	// Attempt counts from 1.
	Attempt int
	// FirstAttempt is when attempt 1 began; zero in attempt 1.
	FirstAttempt time.Time
	// Extended is the end that somebody set by hand; zero if nobody did.
	Extended time.Time
	// Progress is what the sender left in the record of the attempt before, nil in attempt 1. See Outcome.
	Progress json.RawMessage
	// TraceParent is the W3C trace context of the event's acceptance; may be empty.
	TraceParent string
	// Lease is for how long the delivery is this sender's. A channel checks it last before something leaves, and reports FaultOverdue
	// if it is over.
	Lease lease.Lease
}

// Key identifies the delivery: `<recipient>/<event key>`, and `~<replay id>` behind it for a replay.
func (d *Delivery) Key() string { return Key(d.Recipient.ID, d.Event.Key(), d.ReplayID) }

// Key joins what identifies a delivery.
func Key(recipientID, eventKey, replayID string) string {
	if replayID == "" {
		return recipientID + "/" + eventKey
	}
	return recipientID + "/" + eventKey + "~" + replayID
}

// Expire is when the retry duration ends, or the later end that somebody set by hand.
func (d *Delivery) Expire() time.Time {
	end := d.Recipient.Expire(d.Accepted)
	if d.Extended.After(end) {
		return d.Extended
	}
	return end
}

// Outcome is what a sender saw in one attempt. Facts only; what they mean is the verdict's to say.
type Outcome struct {
	// Began is when the attempt began, Took how long it lasted.
	Began time.Time
	Took  time.Duration
	// Status is the HTTP status or SMTP code of the answer; 0 if there was none.
	Status int
	// Fault is why there was no answer, or none of use; FaultNone if there was one.
	Fault Fault
	// Detail says in words what happened, for operators. It holds no secrets, bodies or addresses of people.
	Detail string
	// Remark is said of a success too, like Detail.
	Remark string
	// RetryAfter is what the receiver asked for; 0 if it did not.
	RetryAfter time.Duration
	// Excerpt is the beginning of the answer, at most MaxExcerpt bytes.
	Excerpt []byte
	// Accepted says that the recipient took a part in this attempt, as where one of several addresses got the mail.
	Accepted bool
	// Progress is kept in the record and handed to the next attempt.
	Progress json.RawMessage
	// Certificate is the one that the receiver presented for itself; nil without TLS or a connection.
	Certificate *x509.Certificate
}

// MaxExcerpt is how much of an answer is kept, in bytes.
const MaxExcerpt = 16 << 10

// Fault is a class of failure below the protocol's answer.
type Fault int

// The faults.
const (
	FaultNone Fault = iota + 1
	FaultDNS
	FaultEgress
	FaultConnect
	FaultTLS
	FaultTimeout
	FaultCut
	FaultProtocol
	FaultAuth
	FaultRender
	FaultRelayUnset
	FaultShutdown
	// FaultProxy is one of the outbound proxy, not of the receiver.
	FaultProxy
	// FaultConnectTimeout is that no connection came about in time; FaultTimeout that there was one, and no answer.
	FaultConnectTimeout
	// FaultOverdue is that the delivery's lease was over before anything was sent: another sender may have the message.
	FaultOverdue
)

// Sender is one channel: it makes one attempt and judges what came of it.
type Sender interface {
	// Send makes one attempt and reports what it saw. It never retries and returns when ctx ends.
	Send(ctx context.Context, d *Delivery) Outcome
	// Judge says what an outcome means. It is pure.
	Judge(d *Delivery, o Outcome) Verdict
}

// ReasonOf is the one table from faults to reasons, for all channels.
func ReasonOf(f Fault) reasons.Reason {
	switch f {
	case FaultDNS:
		return reasons.DNS
	case FaultEgress:
		return reasons.Egress
	case FaultConnect:
		return reasons.Connect
	case FaultTLS:
		return reasons.TLS
	case FaultTimeout, FaultConnectTimeout:
		return reasons.Timeout
	case FaultProxy:
		return reasons.Proxy
	case FaultCut:
		return reasons.ConnectionCut
	case FaultAuth:
		return reasons.Auth
	case FaultRender:
		return reasons.Render
	case FaultRelayUnset:
		return reasons.RelayUnset
	case FaultShutdown:
		return reasons.Shutdown
	case FaultOverdue:
		return reasons.Overdue
	case FaultNone, FaultProtocol:
		return reasons.Protocol
	default:
		return reasons.Protocol
	}
}
