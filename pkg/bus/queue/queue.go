package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Queue hands out deliveries from the recipients' durable consumers on EVENTS.
type Queue struct {
	conn    *wire.Conn
	decoded *decoder
}

// New makes a queue. It keeps the last decoded events, for an event goes to many recipients.
func New(c *wire.Conn) *Queue { return &Queue{conn: c, decoded: &decoder{}} }

// Open opens a recipient's consumer. It fails while the consumer is not there.
func (q *Queue) Open(ctx context.Context, ch recipient.Channel, id string) (delivery.Puller, error) {
	p, err := open(ctx, q.conn, names.StreamEvents, names.ConsumerName(ch, id))
	if err != nil {
		return nil, err
	}
	return &puller{q: q, requests: p}, nil
}

// puller takes deliveries.
type puller struct {
	q *Queue
	*requests
}

// Pull asks for at most n messages. See delivery.Puller.
func (p *puller) Pull(ctx context.Context, n int, wait time.Duration, take func(delivery.Message)) error {
	return p.pull(ctx, n, wait, func(m *nats.Msg) { take(p.q.message(m)) })
}

// open opens a durable consumer that is there.
func open(ctx context.Context, c *wire.Conn, stream, name string) (*requests, error) {
	if _, err := c.JS.Consumer(ctx, stream, name); err != nil {
		return nil, fmt.Errorf("open consumer %s: %w", name, err)
	}
	p := &requests{conn: c, next: "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + name, inbox: c.NC.NewInbox(),
		in: make(chan *nats.Msg, 4*recipient.MaxInFlight), closed: make(chan struct{})}
	sub, err := c.NC.Subscribe(p.inbox+".*", func(m *nats.Msg) { p.in <- m })
	if err != nil {
		return nil, fmt.Errorf("open consumer %s: %w", name, err)
	}
	sub.SetClosedHandler(func(string) { close(p.closed) })
	p.sub = sub
	return p, nil
}

// requests asks one consumer for messages by pull requests, one at a time, over one inbox. The client library's Consume and
// Messages stand still for half a minute now and then when few messages are asked for, and its Fetch subscribes anew for
// each request.
type requests struct {
	conn    *wire.Conn
	next    string
	inbox   string
	sub     *nats.Subscription
	in      chan *nats.Msg
	closed  chan struct{}
	request uint64
}

// errConsumerGone says that the consumer was deleted or the broker lost it.
var errConsumerGone = errors.New("the consumer is gone")

// pullGrace is how long an answer may be late before the request is taken for lost.
const pullGrace = 2 * time.Second

// pull asks for at most n messages and gives each to take. See delivery.Puller.
func (p *requests) pull(ctx context.Context, n int, wait time.Duration, take func(*nats.Msg)) error {
	p.request++
	reply := p.inbox + "." + strconv.FormatUint(p.request, 10)
	body := fmt.Appendf(nil, `{"batch":%d,"expires":%d}`, n, wait.Nanoseconds())
	if err := p.conn.NC.PublishRequest(p.next, reply, body); err != nil {
		return fmt.Errorf("fetch messages: %w", err)
	}
	lost := time.NewTimer(wait + pullGrace)
	defer lost.Stop()
	for n > 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-lost.C:
			return nil
		case m := <-p.in:
			status := m.Header.Get("Status")
			switch {
			case status == "" || m.Reply != "":
				take(m)
				n--
			case m.Subject != reply || status == "100":
				// About an earlier request, or a heartbeat.
			case status == "409" && strings.Contains(m.Header.Get("Description"), "Deleted"), status == "503":
				return errConsumerGone
			default:
				return nil
			}
		}
	}
	return nil
}

// Close ends the subscription and puts back what came after the last Pull.
func (p *requests) Close() {
	if err := p.sub.Drain(); err != nil {
		return
	}
	wait := pullGrace
	if !p.conn.Connected() { // nothing more comes
		wait = 0
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	for open := true; open; {
		select {
		case m := <-p.in:
			giveBack(m)
		case <-p.closed:
			open = false
		case <-p.conn.Silent():
			_ = p.sub.Unsubscribe()
			open = false
		case <-late.C:
			_ = p.sub.Unsubscribe()
			open = false
		}
	}
	for {
		select {
		case m := <-p.in:
			giveBack(m)
		default:
			return
		}
	}
}

// putBack is the wait of a message that came too late to be taken. A delay is kept by a broker that is restarted meanwhile, as
// when a whole installation stops; once it is over, the message would wait for its ack wait instead.
const putBack = 2 * time.Second

func giveBack(m *nats.Msg) {
	if m.Reply != "" {
		_ = (&settler{m: m}).NakWithDelay(putBack)
	}
}

func (q *Queue) message(m *nats.Msg) delivery.Message {
	out := delivery.Message{
		ReplayID: m.Header.Get(names.HeaderReplay), Test: m.Header.Get(names.HeaderTest) != "", Actor: m.Header.Get(names.HeaderActor),
		Expedited: m.Header.Get(names.HeaderExpedite) != "", TraceParent: m.Header.Get(wire.HeaderTraceParent), Settler: &settler{m: m},
	}
	meta, err := m.Metadata()
	if err != nil {
		out.Unreadable = fmt.Errorf("read the message's metadata: %w", err)
		return out
	}
	out.Sequence, out.HandedOut, out.Stored = meta.Sequence.Stream, meta.NumDelivered, meta.Timestamp
	out.Event, out.Unreadable = q.decoded.decode(meta.Sequence.Stream, meta.Timestamp, m)
	return out
}

// decoder keeps the last decoded events by stream sequence.
type decoder struct {
	slots [1024]atomic.Pointer[decodedEvent]
}

type decodedEvent struct {
	sequence uint64
	stored   time.Time
	event    *event.Event
}

func (d *decoder) decode(sequence uint64, stored time.Time, m *nats.Msg) (*event.Event, error) {
	slot := &d.slots[sequence%uint64(len(d.slots))]
	// A sequence may be used again after the broker lost its end, so the time counts too.
	if c := slot.Load(); c != nil && c.sequence == sequence && c.stored.Equal(stored) {
		return c.event, nil
	}
	e, violations := wire.Event(m)
	if len(violations) > 0 {
		return nil, fmt.Errorf("decode event at sequence %d: %w", sequence, violations)
	}
	slot.Store(&decodedEvent{sequence: sequence, stored: stored, event: e})
	return e, nil
}
