package eventnumbers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/numbering"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

const (
	// againAfter is the pause before what failed is tried again.
	againAfter = 500 * time.Millisecond
	// soonAgain is the pause before it begins anew on another connection, or behind another sender's checkpoint.
	soonAgain = 20 * time.Millisecond
	// giveUpAfter is how long deliveries wait for numbers that can't be counted. Then they go out without one.
	giveUpAfter = time.Minute
)

// Numbers follows EVENTS and tells the numbers of a channel's recipients.
type Numbers struct {
	conn    *wire.Conn
	channel recipient.Channel
	// needed reports whether there is anybody to count for.
	needed func() bool
	// changed is signalled when needed may have changed.
	changed chan struct{}
	// demand is signalled when somebody waits for what is not counted yet.
	demand chan struct{}
	// below are sequences in front of what is remembered that somebody asks for.
	below chan uint64

	mu      sync.Mutex
	counter *numbering.Counter
	// news is closed when there is another counter, or when one has been told what stands in front of what it remembers.
	news chan struct{}
	// failing is since when nothing can be counted; zero while it can. over says that this is so long that nobody waits any more.
	failing time.Time
	over    bool
	giveUp  time.Duration
}

// NewNumbers counts for a channel, while needed says that there is a recipient. Run does.
func NewNumbers(c *wire.Conn, ch recipient.Channel, needed func() bool) *Numbers {
	return &Numbers{
		conn: c, channel: ch, needed: needed, changed: make(chan struct{}, 1), demand: make(chan struct{}, 1), below: make(chan uint64, 1),
		news: make(chan struct{}), giveUp: giveUpAfter,
	}
}

// Changed says that there may be the first recipient.
func (n *Numbers) Changed() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// Run counts until ctx ends. The broker may come and go meanwhile.
func (n *Numbers) Run(ctx context.Context) {
	for said := ""; ctx.Err() == nil; {
		if !n.needed() {
			select {
			case <-ctx.Done():
			case <-n.changed:
			}
			continue
		}
		err := n.follow(ctx)
		n.tell(nil)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errAgain) {
			pause.For(ctx, soonAgain)
			continue
		}
		if n.fail() {
			n.conn.Logger.Warn("deliveries are sent without a number until they can be counted again", telemetry.KeyError, err.Error())
		}
		if text := fmt.Sprint(err); text != said {
			n.conn.Logger.Warn("counting the numbers of deliveries failed, retrying", telemetry.KeyError, text)
			said = text
		}
		pause.For(ctx, againAfter)
	}
}

// Number is the number of the message at a sequence of EVENTS for a recipient; 0: it has none. It waits until it is counted, or until
// ctx ends.
func (n *Numbers) Number(ctx context.Context, recipientID string, sequence uint64) (uint64, error) {
	for {
		c, news := n.now()
		number, answer := uint64(0), numbering.Answer(0)
		if c != nil {
			number, answer = c.Number(recipientID, sequence)
		}
		if answer == numbering.Known || n.givenUp() {
			return number, nil
		}
		var counted <-chan struct{}
		switch answer {
		case numbering.Behind:
			counted = c.Counted(sequence)
			n.ask()
		case numbering.Below:
			n.read(sequence)
		default: // there is no counter now
		}
		select {
		case <-counted:
			continue
		case <-news:
		case <-ctx.Done():
		}
		if counted != nil {
			c.Forget(sequence, counted)
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("wait for the number of the delivery at sequence %d: %w", sequence, ctx.Err())
		}
	}
}

// Offer tells of a message that was handed out. Most are counted by that, in the order of the stream, and need not be read again. What
// was stored before the connection began is left out: a broker that was killed may have lost it and used its sequence again.
func (n *Numbers) Offer(m delivery.Message) {
	if m.Event == nil || m.ReplayID != "" || !m.Stored.After(n.conn.Since()) {
		return
	}
	if c, _ := n.now(); c != nil {
		c.Offer(m.Sequence, m.Event.Appliance, m.Event.Type)
	}
}

func (n *Numbers) ask() {
	select {
	case n.demand <- struct{}{}:
	default:
	}
}

// read has what stands in front of what is remembered be read from a sequence on. If something is read already, it is asked for again
// when that is done.
func (n *Numbers) read(sequence uint64) {
	select {
	case n.below <- sequence:
	default:
	}
}

func (n *Numbers) now() (*numbering.Counter, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counter, n.news
}

// tell has those who wait look again: c is the counter from now on.
func (n *Numbers) tell(c *numbering.Counter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counter = c
	close(n.news)
	n.news = make(chan struct{})
}

// fail notes that nothing can be counted, and reports whether deliveries wait for that no longer from now on; succeed notes that it can.
func (n *Numbers) fail() (over bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.conn.Connected() { // nothing is handed out either
		n.failing, n.over = time.Time{}, false
		return false
	}
	if n.failing.IsZero() {
		n.failing = time.Now()
	}
	over = !n.over && time.Since(n.failing) > n.giveUp
	n.over = n.over || over
	return over
}

func (n *Numbers) succeed() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failing, n.over = time.Time{}, false
}

// givenUp reports whether nothing could be counted for so long that deliveries go out without a number.
func (n *Numbers) givenUp() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.over
}
