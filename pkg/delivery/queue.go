package delivery

import (
	"context"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/lease"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Message is a delivery as the queue hands it out. It is settled once, by Ack, NakWithDelay or Term; unsettled, the queue hands
// it out again after its ack wait.
type Message struct {
	// Event is nil if what is stored cannot be read; Unreadable says why.
	Event      *event.Event
	Unreadable error
	// Sequence of the event's message in EVENTS.
	Sequence uint64
	// HandedOut counts from 1 and is a lower bound: a killed broker forgets.
	HandedOut uint64
	// Lease is for how long the message is this sender's.
	Lease lease.Lease
	// Stored is when the message was stored: the acceptance of the event, or of the replay.
	Stored   time.Time
	ReplayID string
	Test     bool
	// Actor is who asked for the replay or test; empty for an event's first delivery.
	Actor string
	// Expedited says that somebody waits for this replay: it is attempted though its recipient fails all the time.
	Expedited bool
	// TraceParent is the W3C trace context of the event's acceptance; may be empty.
	TraceParent string

	Settler Settler
}

// putBack has the message handed out again after a wait, unless another sender may have it by now.
func (m *Message) putBack(wait time.Duration) error {
	if m.Lease.Over() {
		return nil
	}
	return m.Settler.NakWithDelay(wait)
}

// Settler settles one message. The calls return at once; an error means that the broker will hand it out again.
type Settler interface {
	// Ack ends the message.
	Ack() error
	// NakWithDelay has it handed out again after a wait, which must be positive.
	NakWithDelay(wait time.Duration) error
	// Term ends a message that can't be read, with a reason for the broker's advisory.
	Term(reason string) error
}

// Queue opens the durable consumers of recipients.
type Queue interface {
	// Open opens a recipient's consumer. It fails while the consumer is not there.
	Open(ctx context.Context, ch recipient.Channel, id string) (Puller, error)
	// Expedited calls f for each recipient of a channel that is to be tried at once though it fails, until stop is called: the messages at
	// some sequences of EVENTS, or whatever comes if there are none. A call may be lost.
	Expedited(ch recipient.Channel, f func(id string, sequences []uint64)) (stop func(), err error)
}

// Puller takes messages of one recipient.
type Puller interface {
	// Pull asks for at most n messages and gives each to take as it comes, until n have come, wait is over or ctx ends.
	// take is called in this goroutine. An error means that the consumer is gone or the broker away.
	Pull(ctx context.Context, n int, wait time.Duration, take func(Message)) error
	// Close ends the subscription and puts back what came after the last Pull.
	Close()
}

// Log is the delivery log.
type Log interface {
	// Latest is the newest record of a delivery, and where it stands in HISTORY; 0: there is none.
	Latest(ctx context.Context, recipientID string, e *event.Event, replayID string) (rec Record, sequence uint64, err error)
	// AppendAttempt stores a record and calls done when the result is known; done must not block. ErrAlreadyRecorded: this
	// attempt has a record already, which stands. It is for a delivery that has no record by all that is known.
	AppendAttempt(rec Record, done func(error))
	// AppendAfter stores a record if the delivery's newest stands at a sequence of HISTORY, or if it has none (0), and else fails with
	// ErrConflict. See AppendAttempt.
	AppendAfter(rec Record, sequence uint64, done func(error))
}

// Numbers tells the numbers of deliveries. See package numbering.
type Numbers interface {
	// Offer tells of a message that was handed out, in the order of the queue. It returns at once.
	Offer(m Message)
	// Number is the number of the message at a sequence of EVENTS for a recipient; 0: it has none. It waits until that is known, or until
	// ctx ends, which is an error.
	Number(ctx context.Context, recipientID string, sequence uint64) (uint64, error)
}

// Directory knows the recipients as they are now.
type Directory interface {
	Recipient(id string) (*recipient.Recipient, bool)
	Recipients() []*recipient.Recipient
	// OnChange has f called after each change, never concurrently.
	OnChange(f func())
}

// Observer sees each attempt. Its calls must be quick.
type Observer interface {
	// Begin is called before an attempt; the context it returns goes to the sender.
	Begin(ctx context.Context, d *Delivery) context.Context
	// End is called after it, with the context that Begin returned.
	End(ctx context.Context, r Report)
	// Ended is called when a delivery ends without an attempt, or is put off.
	Ended(r Report)
}

// Report is what an observer is told.
type Report struct {
	Delivery *Delivery
	Channel  recipient.Channel
	Outcome  Outcome
	Verdict  Verdict
	// State is what the delivery has come to; empty if it was put off.
	State State
	// Next is when the next attempt is due; zero if there is none.
	Next time.Time
	// BreakerOpen says that the recipient fails all the time and is only probed.
	BreakerOpen bool
	// BreakerSince is since when the breaker is open, NextProbe when the next probe is due; zero while it is closed.
	BreakerSince, NextProbe time.Time
	// Sequence of the event's message in EVENTS.
	Sequence uint64
}
