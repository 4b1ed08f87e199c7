package deliverylog

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasonclass"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
)

// RecordHeader is what a record shows without being read: its subject and its header. Records of older versions tell less in their
// headers: the fields that stand there are empty then.
type RecordHeader struct {
	Sequence uint64
	// Subject is where it stands, Digest what its writer has stored as its digest; empty: nothing.
	Subject, Digest string
	// Stored is when the record was, a moment after what it tells of.
	Stored time.Time
	// Intake says that it is the record of a decision on an event, which Accepted tells; else it is one of an attempt.
	Intake, Accepted bool
	// Appliance and EventID are the event's.
	Appliance, EventID string
	// Recipient, State and ReplayID are empty in an intake record.
	Recipient string
	State     delivery.State
	ReplayID  string
	// Type, Session and Key are of the event, as subjects have them: Session is NoSession without one, Key is what KeyToken
	// makes of the external key. In an intake record the header tells them.
	Type, Session, Key string
	// Channel, Reason and Class stand in the header.
	Channel string
	Reason  reasons.Reason
	Class   reasonclass.Class
	// Tried says that something was sent.
	Tried bool
	// Carried says that it is a copy of an earlier record. See delivery.Record.
	Carried bool
	// Latency is the time from the acceptance of the event, or of its replay, to the delivery, in whole milliseconds. It stands in the
	// header of records in DELIVERED; LatencyKnown is false in others, and in those of older versions.
	Latency      time.Duration
	LatencyKnown bool
}

// headerRecord tells what of a record can be searched by beside its subject, so that it can be filed without being read: the channel,
// the class and the reason of an attempt; the type, the session and the key of a decision on an event.
const headerRecord = "Outbound-Record"

// headerUntried marks the records of deliveries that ended without an attempt. Older versions have the state at the end of the message id
// instead.
const headerUntried = "Outbound-Untried"

// headerLatency tells how many milliseconds after the acceptance of its event a delivery succeeded.
const headerLatency = "Outbound-Latency"

// setLatency tells the latency of a delivery in the header of its record.
func setLatency(h nats.Header, rec delivery.Record) {
	if rec.State != delivery.StateDelivered || rec.LastAttempt == nil || rec.Accepted.IsZero() {
		return
	}
	took := rec.LastAttempt.Add(time.Duration(rec.TookMicros) * time.Microsecond).Sub(rec.Accepted)
	h.Set(headerLatency, strconv.FormatInt(max(took.Milliseconds(), 0), 10))
}

func latencyOf(h nats.Header) (time.Duration, bool) {
	ms, err := strconv.ParseInt(h.Get(headerLatency), 10, 64)
	if err != nil || ms < 0 || ms > longestLatency.Milliseconds() {
		return 0, false
	}
	return time.Duration(ms) * time.Millisecond, true
}

// longestLatency is far more than a delivery can take.
const longestLatency = 10 * 365 * 24 * time.Hour

func attemptHeader(rec delivery.Record) string {
	return rec.Channel + "/" + string(reasonclass.Of(rec.Reason, rec.Status)) + "/" + string(rec.Reason)
}

// intakeHeader tells no type that nobody can ask for: a refused event may have any.
func intakeHeader(rec event.IntakeRecord) string {
	return askable(rec.Type) + "/" + names.Token(event.Token(rec.Session)) + "/" + KeyToken(rec.ExternalKey)
}

// longestAskable is the length in bytes of the longest type that a header tells.
const longestAskable = 256

// askable is a value that is made of what ids are made of, and a question mark for any other.
func askable(s string) string {
	unsafe := strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	})
	if unsafe || len(s) > longestAskable {
		return "?"
	}
	return s
}

// KeyToken is an external key as subjects have it: keys may be any text, so a hash stands for it.
func KeyToken(externalKey string) string { return names.HashToken(externalKey) }

// recordHeaderOf reads the subject of a record and its header. The message id of an attempt ends with its number. See AppendAttempt.
func recordHeaderOf(subject string, header nats.Header) (g RecordHeader, ok bool) {
	a, b, c := three(header.Get(headerRecord))
	if rest, is := strings.CutPrefix(subject, names.SubjectIntake+"."); is {
		t := strings.Split(rest, ".")
		if len(t) != 3 {
			return g, false
		}
		return RecordHeader{Intake: true, Appliance: t[0], Accepted: t[1] == "accepted", EventID: t[2], Type: a, Session: b, Key: c}, true
	}
	t := strings.Split(subject, ".")
	if len(t) != attemptTokens || !strings.HasPrefix(subject, names.SubjectAttempt+".") {
		return g, false
	}
	g = RecordHeader{
		Recipient: t[tokenRecipient], State: delivery.State(t[tokenState]), Type: t[tokenType], Session: t[tokenSession], Key: t[tokenKey],
		Appliance: t[tokenAppliance], Channel: a, Class: reasonclass.Class(b), Reason: reasons.Reason(c),
	}
	g.EventID, g.ReplayID, _ = strings.Cut(t[tokenEvent], "~")
	id := header.Get(names.HeaderMsgID)
	_, err := strconv.Atoi(id[strings.LastIndex(id, ":")+1:])
	g.Carried = header.Get(headerCarried) != ""
	g.Latency, g.LatencyKnown = latencyOf(header)
	g.Tried = err == nil && !g.Carried && header.Get(headerUntried) == ""
	return g, true
}

func three(s string) (a, b, c string) {
	a, rest, _ := strings.Cut(s, "/")
	b, c, _ = strings.Cut(rest, "/")
	return a, b, c
}
