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
	"github.com/outbound-events/outbound/pkg/delivery/lease"
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
	return p.pull(ctx, n, wait, func(m *nats.Msg) {
		out := p.q.message(m)
		if !p.onDisk(ctx, out.Sequence) {
			giveBack(m, p.lease())
			return
		}
		out.Lease = p.lease()
		take(out)
	})
}

// onDisk waits until an event is on disk where this process syncs. Nothing may be sent, recorded or settled of one that a power loss
// could take, for its sequence would be another event's then.
func (p *puller) onDisk(ctx context.Context, sequence uint64) bool {
	if p.conn.Disk == nil {
		return true
	}
	return p.conn.Disk.Await(ctx, names.StreamEvents, sequence) == nil
}

// open opens a durable consumer that is there.
func open(ctx context.Context, c *wire.Conn, stream, name string) (*requests, error) {
	co, err := c.JS.Consumer(ctx, stream, name)
	if err != nil {
		return nil, fmt.Errorf("open consumer %s: %w", name, err)
	}
	p := &requests{conn: c, next: "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + name, ackWait: co.CachedInfo().Config.AckWait}
	if p.inbox, err = subscribe(c); err != nil {
		return nil, fmt.Errorf("open consumer %s: %w", name, err)
	}
	return p, nil
}

// inbox is where the answers to requests come.
type inbox struct {
	conn    *wire.Conn
	subject string
	sub     *nats.Subscription
	in      chan *nats.Msg
	closed  chan struct{}
}

func subscribe(c *wire.Conn) (*inbox, error) {
	b := &inbox{conn: c, subject: c.NC.NewInbox(), in: make(chan *nats.Msg, 4*recipient.MaxInFlight), closed: make(chan struct{})}
	var err error
	if b.sub, err = c.NC.Subscribe(b.subject+".*", func(m *nats.Msg) { b.in <- m }); err != nil {
		return nil, fmt.Errorf("subscribe to an inbox: %w", err)
	}
	b.sub.SetClosedHandler(func(string) { close(b.closed) })
	return b, nil
}

// requests asks one consumer for messages by pull requests, one at a time, over one inbox. The client library's Consume and
// Messages stand still for half a minute now and then when few messages are asked for, and its Fetch subscribes anew for
// each request.
type requests struct {
	conn    *wire.Conn
	next    string
	ackWait time.Duration
	inbox   *inbox
	request uint64
	// since is when the request was sent that the messages in the inbox answer. There is never another one that is open: a message
	// does not tell which request it answers.
	since time.Time
}

// lease is that of a message that comes now: it was handed out after its request was sent.
func (p *requests) lease() lease.Lease { return lease.Lease{Since: p.since, AckWait: p.ackWait} }

// errConsumerGone says that the consumer was deleted or the broker lost it.
var errConsumerGone = errors.New("the consumer is gone")

// pullGrace is how long an answer may be late before the request is taken for lost.
const pullGrace = 2 * time.Second

// pull asks for at most n messages and gives each to take. See delivery.Puller.
func (p *requests) pull(ctx context.Context, n int, wait time.Duration, take func(*nats.Msg)) error {
	p.request++
	p.since = time.Now()
	reply := p.inbox.subject + "." + strconv.FormatUint(p.request, 10)
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
			return p.renew()
		case m := <-p.inbox.in:
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

// renew has the next request answered to an inbox of its own, because the last one may be answered yet: after a lost connection, or because
// this process was stopped for a while.
func (p *requests) renew() error {
	next, err := subscribe(p.conn)
	if err != nil {
		return fmt.Errorf("fetch messages: %w", err)
	}
	last, lease := p.inbox, p.lease()
	p.inbox = next
	last.close(lease)
	return nil
}

// Close ends the subscription and puts back what came after the last Pull.
func (p *requests) Close() { p.inbox.close(p.lease()) }

func (b *inbox) close(l lease.Lease) {
	if err := b.sub.Drain(); err != nil { // without a connection
		_ = b.sub.Unsubscribe()
		return
	}
	wait := pullGrace
	if !b.conn.Connected() { // nothing more comes
		wait = 0
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	for open := true; open; {
		select {
		case m := <-b.in:
			giveBack(m, l)
		case <-b.closed:
			open = false
		case <-b.conn.Silent():
			_ = b.sub.Unsubscribe()
			open = false
		case <-late.C:
			_ = b.sub.Unsubscribe()
			open = false
		}
	}
	for {
		select {
		case m := <-b.in:
			giveBack(m, l)
		default:
			return
		}
	}
}

// putBack is the wait of a message that came too late to be taken. A delay is kept by a broker that is restarted meanwhile, as
// when a whole installation stops; once it is over, the message would wait for its ack wait instead.
const putBack = 2 * time.Second

func giveBack(m *nats.Msg, l lease.Lease) {
	if m.Reply != "" && !l.Over() {
		_ = (&settler{m: m}).NakWithDelay(putBack)
	}
}

// headed is what the headers of a message tell.
func headed(m *nats.Msg) delivery.Message {
	return delivery.Message{
		ReplayID: m.Header.Get(names.HeaderReplay), Test: m.Header.Get(names.HeaderTest) != "", Actor: m.Header.Get(names.HeaderActor),
		Expedited: m.Header.Get(names.HeaderExpedite) != "", TraceParent: m.Header.Get(wire.HeaderTraceParent),
	}
}

func (q *Queue) message(m *nats.Msg) delivery.Message {
	out := headed(m)
	out.Settler = &settler{m: m, nc: q.conn.NC}
	meta, err := m.Metadata()
	if err != nil {
		out.Unreadable = fmt.Errorf("read the message's metadata: %w", err)
		return out
	}
	out.Sequence, out.HandedOut, out.Stored = meta.Sequence.Stream, meta.NumDelivered, meta.Timestamp
	out.Event, out.Unreadable = q.decoded.decode(meta.Sequence.Stream, meta.Timestamp, m.Data)
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

func (d *decoder) decode(sequence uint64, stored time.Time, data []byte) (*event.Event, error) {
	slot := &d.slots[sequence%uint64(len(d.slots))]
	// A sequence may be used again after the broker lost its end, so the time counts too.
	if c := slot.Load(); c != nil && c.sequence == sequence && c.stored.Equal(stored) {
		return c.event, nil
	}
	e, violations := event.Decode(data)
	if len(violations) > 0 {
		return nil, fmt.Errorf("decode event at sequence %d: %w", sequence, violations)
	}
	slot.Store(&decodedEvent{sequence: sequence, stored: stored, event: e})
	return e, nil
}
