package eventnumbers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery/numbering"
	"github.com/outbound-events/outbound/pkg/recipient"
)

const (
	// few is how many messages are read with their bodies and without a consumer, which costs less if there are few.
	few = 100
	// askAtOnce is how many messages a consumer is asked for at once, askLost how long it is waited for an answer.
	askAtOnce = 2_000
	askLost   = 10 * time.Second
	// idleFor is how long the broker keeps a consumer that nobody asks any more, endWait bounds its removal.
	idleFor = time.Minute
	endWait = 500 * time.Millisecond
)

var errGap = errors.New("messages were lost in transit")

// adder is what is told of messages: a Counter, or a Lower.
type adder interface {
	Add(sequence uint64, appliance, eventType string, change *numbering.Change)
}

// tell tells of a message.
func tell(to adder, c *wire.Conn, sequence uint64, subject string, h nats.Header) {
	if subject == names.SubjectSelection {
		to.Add(sequence, "", "", changeOf(h, c))
		return
	}
	appliance, eventType := names.Published(subject)
	to.Add(sequence, appliance, eventType, nil)
}

// readFew tells of the next messages from a sequence on, and reports whether those were not all.
func readFew(ctx context.Context, c *wire.Conn, from uint64, to adder) (more bool, err error) {
	ms, err := c.Direct(ctx, names.StreamEvents, wire.DirectRequest{Sequence: max(from, 1), NextFor: ">", Batch: few})
	if err != nil {
		return false, err
	}
	for _, m := range ms {
		tell(to, c, wire.StoredSequence(m), wire.StoredSubject(m), m.Header)
	}
	return len(ms) == few, nil
}

// readMany tells of the messages from a sequence on, without reading their bodies, up to a sequence or the end of what there is. It returns
// the last sequence.
func readMany(ctx context.Context, c *wire.Conn, ch recipient.Channel, from, until uint64, to adder) (uint64, error) {
	r, err := open(ctx, c, names.CountingName(ch, nuid.Next()), from)
	if err != nil {
		return 0, err
	}
	defer r.close(ctx)
	for r.last < until {
		if got, err := r.some(ctx, to); err != nil || got < askAtOnce {
			return r.last, err
		}
	}
	return r.last, nil
}

// reader reads EVENTS without bodies, by one consumer and over one inbox: what comes late is not lost, as it would be with the requests of
// the client library, each of which has an inbox of its own.
type reader struct {
	conn  *wire.Conn
	name  string
	inbox string
	sub   *nats.Subscription
	in    chan *nats.Msg
	// count is how many messages the consumer has given, last the sequence of the last one.
	count, last uint64
}

// open makes a consumer of all messages of EVENTS from a sequence on. The caller closes it.
func open(ctx context.Context, c *wire.Conn, name string, from uint64) (*reader, error) {
	r := &reader{conn: c, name: name, inbox: c.NC.NewInbox(), in: make(chan *nats.Msg, askAtOnce+16), last: from - 1}
	_, err := c.JS.CreateConsumer(ctx, names.StreamEvents, jetstream.ConsumerConfig{
		Name: name, HeadersOnly: true, AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: idleFor,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1),
	})
	if err == nil {
		r.sub, err = c.NC.ChanSubscribe(r.inbox, r.in)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", names.StreamEvents, err)
	}
	return r, nil
}

// close removes the consumer. If that fails, the broker drops it by itself.
func (r *reader) close(ctx context.Context) {
	_ = r.sub.Unsubscribe()
	away, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
	defer cancel()
	_ = r.conn.JS.DeleteConsumer(away, names.StreamEvents, r.name)
}

// some tells of what is there, and returns how many messages that were.
func (r *reader) some(ctx context.Context, to adder) (got int, err error) {
	ctx, cancel := context.WithTimeout(ctx, askLost)
	defer cancel()
	request := fmt.Appendf(nil, `{"batch":%d,"no_wait":true}`, askAtOnce)
	if err := r.conn.NC.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+names.StreamEvents+"."+r.name, r.inbox, request); err != nil {
		return 0, fmt.Errorf("read %s: %w", names.StreamEvents, err)
	}
	for got < askAtOnce {
		select {
		case <-ctx.Done():
			return got, fmt.Errorf("read %s: %w", names.StreamEvents, ctx.Err())
		case m := <-r.in:
			switch status := m.Header.Get("Status"); {
			case status == "404", status == "408":
				return got, nil
			case status != "" && m.Reply == "":
				return got, fmt.Errorf("read %s: the broker responded with %s %s", names.StreamEvents, status, m.Header.Get("Description"))
			}
			if err := r.take(m, to); err != nil {
				return got, err
			}
			got++
		}
	}
	return got, nil
}

// take tells of a message. The consumer does not wait for acknowledgements: what got lost is found by the gap in its count.
func (r *reader) take(m *nats.Msg, to adder) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("read %s: %w", names.StreamEvents, err)
	}
	if r.count++; meta.Sequence.Consumer != r.count {
		return errGap
	}
	r.last = meta.Sequence.Stream
	tell(to, r.conn, r.last, m.Subject, m.Header)
	return nil
}
