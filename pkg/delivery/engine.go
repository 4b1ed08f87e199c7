package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/pushback"
	"github.com/outbound-events/outbound/pkg/delivery/slots"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// EngineOptions are what an engine works with. Sender, Recipients, Queue, Log, Observer and Since are required.
type EngineOptions struct {
	Channel    recipient.Channel
	Sender     Sender
	Recipients Directory
	Queue      Queue
	Log        Log
	Observer   Observer
	// Logger takes what is to be said besides the attempts, which Observer sees. Nil: nothing is logged.
	Logger *slog.Logger
	// Since is when the present connection to the broker began, by the broker's clock: older messages are looked up in the log before they are
	// sent, because a killed broker forgets the last acknowledgements.
	Since func() time.Time
	// Now is the broker's clock, by which messages are stamped and all senders go: what is due, or over, is judged by it, and records have its
	// time. Unset: time.Now.
	Now func() time.Time
	// Matches says whether an event passes a recipient's filter. An error says why the filter can't tell: the event is not sent.
	// It is asked only of recipients that have a filter; unset, those get nothing.
	Matches func(r *recipient.Recipient, e *event.Event) (bool, error)
	// Numbers, if set, numbers deliveries. No delivery is sent before its number is known.
	Numbers Numbers
	// Pulled, if set, is the sequence of EVENTS up to which a recipient has acknowledged what it has pulled: up to there each delivery is
	// looked up in the log before it is sent.
	Pulled func(recipientID string) uint64
	// Freshness, if set, tells how recent Recipients is: no delivery ends for what its recipient selects until that is known as of the
	// event's acceptance.
	Freshness Freshness
	// Turn, if set, is asked before each attempt to a recipient with a rate limit: it takes a turn and answers 0, or takes none
	// and answers how long to wait before asking again.
	Turn func(ctx context.Context, r *recipient.Recipient) time.Duration
	// Drain, if set, is asked the same before each attempt of what a maintenance window held, with a rate per second.
	Drain func(ctx context.Context, r *recipient.Recipient, rate int) time.Duration
	// Pauses, if set, keeps the pauses that recipients ask for. Unset: this process keeps to them alone, while it runs.
	Pauses pushback.Store
	// Storable, if set, says why no record can be stored now: then nothing is pulled and nothing is sent, for each attempt without a record
	// is made again.
	Storable func() error
	// Slots is how many attempts run at once in this process. No recipient holds more than a quarter of them.
	Slots int
	// Window is how many attempts may be judged but not recorded yet. With Slots it bounds what a killed sender repeats.
	Window int
	// TouchEvery is how often the queue is told that an attempt is under way, well within its ack wait; 0: never, for attempts are shorter.
	// The settlers of the queue are then to be Touchers.
	TouchEvery time.Duration
	// Grace is how long attempts under way may go on once Run's context ends.
	Grace time.Duration
	// Silent, if set, is closed when the process ends and the broker answers nothing: attempts under way are cut then, for what
	// comes of them can't be recorded.
	Silent <-chan struct{}
}

// DefaultSlots, DefaultWindow and DefaultGrace are what the fields of EngineOptions are if zero.
const (
	DefaultSlots  = 256
	DefaultWindow = 2_000
	DefaultGrace  = 20 * time.Second
)

// pullWait is how long one request for messages stays open. A consumer that is resumed hears of it with the next one.
const pullWait = 2 * time.Second

// shutdownWait is the delay of a message that a stop puts back. A broker that is restarted meanwhile keeps a delay; once it is
// over, the message would wait for its ack wait instead.
const shutdownWait = 2 * time.Second

// startWait is how long a message that was taken may wait for a slot of the process before it is put back.
const startWait = 5 * time.Second

// Engine takes deliveries of one channel from the queue and brings each to a recorded end. There is one recipient worker a recipient:
// its own puller, its own slots; a recipient worker never waits for another but for the slots of the process, which are shared fairly.
type Engine struct {
	o      EngineOptions
	slots  *slots.Pool
	window chan struct{}
	holder *holder
	pauses *pushback.Shared
	steps  []step

	mu      sync.Mutex
	workers map[string]*recipientWorker
	// changed is signalled when recipient workers are to be compared with the recipients.
	changed chan struct{}

	work sync.WaitGroup // recipient workers, their attempts and records
}

// NewEngine makes an engine; Run starts it.
func NewEngine(o EngineOptions) (*Engine, error) {
	if o.Sender == nil || o.Recipients == nil || o.Queue == nil || o.Log == nil || o.Observer == nil || o.Since == nil {
		return nil, errors.New("an engine needs a sender, recipients, a queue, a log, an observer and the age of its connection")
	}
	if o.Slots <= 0 {
		o.Slots = DefaultSlots
	}
	if o.Window <= 0 {
		o.Window = DefaultWindow
	}
	if o.Grace <= 0 {
		o.Grace = DefaultGrace
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &Engine{
		o: o, slots: slots.New(o.Slots), window: make(chan struct{}, o.Window), workers: map[string]*recipientWorker{},
		changed: make(chan struct{}, 1),
	}
	e.holder = newHolder(e)
	e.pauses = pushback.NewShared(o.Pauses, o.Channel, o.Now, cmp.Or(o.Logger, slog.New(slog.DiscardHandler)))
	e.steps = e.pipeline()
	return e, nil
}

// recordsWait is how long records may be on their way after the attempts have ended within Grace.
const recordsWait = 5 * time.Second

// Run delivers until ctx ends. Then it takes nothing more, lets attempts under way finish within Grace, waits until they
// are recorded and settled, and returns nil. Records that have no answer by then are left to the log, which is closed next.
func (e *Engine) Run(ctx context.Context) error {
	send, cancelSend := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelSend()
	asleep, err := e.o.Queue.Expedited(e.o.Channel, e.expedite)
	if err != nil {
		return fmt.Errorf("subscribe to requests for immediate attempts: %w", err)
	}
	defer asleep()
	e.o.Recipients.OnChange(e.compareSoon)
	var holding sync.WaitGroup
	if e.o.Freshness != nil {
		holding.Go(func() { e.holder.run(ctx) })
	}
	holding.Go(followPauses(ctx, e))
	e.reconcile(ctx, send)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-e.changed:
			e.reconcile(ctx, send)
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.work.Wait()
		holding.Wait()
	}()
	e.awaitEnd(ended, cancelSend)
	return nil
}

// pausesWait is how long the pauses of recipients are waited for before anything is sent.
const pausesWait = 5 * time.Second

// followPauses returns what follows the pauses of recipients, once those that there are are known.
func followPauses(ctx context.Context, e *Engine) func() {
	complete, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		e.pauses.Run(ctx, func() { close(complete) }, func(id string) {
			e.mu.Lock()
			defer e.mu.Unlock()
			r, ok := e.o.Recipients.Recipient(id)
			if w := e.workers[id]; w != nil && ok {
				w.adopt(r)
			}
		})
	}()
	t := time.NewTimer(pausesWait)
	defer t.Stop()
	select {
	case <-complete:
	case <-t.C:
	case <-ctx.Done():
	}
	return func() { <-ended }
}

// awaitEnd waits until all work has ended and is recorded. It cuts attempts after Grace, or as soon as the broker is silent.
func (e *Engine) awaitEnd(ended <-chan struct{}, cut func()) {
	attempts := time.NewTimer(e.o.Grace)
	defer attempts.Stop()
	records := time.NewTimer(e.o.Grace + recordsWait)
	defer records.Stop()
	for silent := e.o.Silent; ; {
		select {
		case <-ended:
			return
		case <-silent:
			silent = nil
			cut()
		case <-attempts.C:
			cut()
		case <-records.C:
			return
		}
	}
}

// compareSoon has recipient workers compared with the recipients.
func (e *Engine) compareSoon() {
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// reconcile opens a recipient worker for each recipient that has none, changes those whose recipient has changed, and closes those
// whose recipient
// is gone.
func (e *Engine) reconcile(ctx, send context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	want := map[string]*recipient.Recipient{}
	for _, r := range e.o.Recipients.Recipients() {
		if r.Channel() == e.o.Channel {
			want[r.ID] = r
		}
	}
	for id, w := range e.workers {
		if r, ok := want[id]; ok {
			w.inHand.Resize(e.width(r))
			w.revise(r.Revision)
		} else {
			w.stop()
		}
	}
	for id, r := range want {
		// A recipient worker that was closed is there until it has nothing in hand: another one beside it might send the same.
		if _, ok := e.workers[id]; ok || ctx.Err() != nil {
			continue
		}
		w := newRecipientWorker(ctx, send, e, r)
		w.adopt(r)
		e.workers[id] = w
		e.work.Add(1)
		go w.run()
	}
}

// closed forgets a recipient worker that has ended. Its recipient may have come back meanwhile.
func (e *Engine) closed(w *recipientWorker) {
	e.mu.Lock()
	delete(e.workers, w.id)
	e.mu.Unlock()
	e.compareSoon()
}

// width is how many attempts a recipient may have at once.
func (e *Engine) width(r *recipient.Recipient) int {
	if r.Order == recipient.Strict {
		return 1
	}
	n := r.MaxInFlight
	if n <= 0 {
		n = recipient.DefaultMaxInFlight
	}
	return max(1, min(n, e.o.Slots/4))
}
