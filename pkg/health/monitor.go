package health

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// ErrConflict says that another sender changed a status meanwhile.
var ErrConflict = errors.New("the status was changed concurrently")

// Entry is a status with the revision that a change of it must name.
type Entry struct {
	Recipient string
	Status    Status
	Revision  uint64
	// Gone says that the status was removed.
	Gone bool
}

// Backlog is what waits for a recipient.
type Backlog struct {
	Waiting int
	// Oldest is when the first of it was accepted; zero if nothing waits or it can't be told.
	Oldest time.Time
}

// Store keeps statuses and takes notices. It is the broker, behind pkg/bus.
type Store interface {
	// Watch tells every status of a channel and then each change, until the connection breaks or ctx ends. begin is called first.
	Watch(ctx context.Context, ch recipient.Channel, begin func(), tell func(Entry)) error
	// Get reads one status; a revision of 0 if there is none.
	Get(ctx context.Context, ch recipient.Channel, id string) (Entry, error)
	// Put writes a status whose last revision is the one named, 0 for a new one: else ErrConflict.
	Put(ctx context.Context, ch recipient.Channel, id string, s Status, revision uint64) (uint64, error)
	// Remove removes a status whose last revision is the one named.
	Remove(ctx context.Context, ch recipient.Channel, id string, revision uint64) error
	// Backlog looks a recipient's queue up.
	Backlog(ctx context.Context, ch recipient.Channel, id string) (Backlog, error)
	// QueuedUntil counts what of a recipient's queue was accepted at or before a time.
	QueuedUntil(ctx context.Context, ch recipient.Channel, id string, until time.Time) (int, error)
	// Notify stores a notice; a repeat of its id is harmless.
	Notify(ctx context.Context, n Notice) error
}

// Options are what a keeper works with. All but Fallback, Logger and Tick are required.
type Options struct {
	Channel    recipient.Channel
	Recipients delivery.Directory
	Store      Store
	// Observer is told everything that the keeper's own is told.
	Observer delivery.Observer
	// Holder tells this process from others.
	Holder string
	// Logger takes what is to be said. Nil: nothing is logged.
	Logger *slog.Logger
	// Fallback is who is told of recipients without contacts of their own, and when. Nil: nobody.
	Fallback func() recipient.Contact
	// Tick is the pause between two looks at what is due. Default 1 s.
	Tick time.Duration
	// Silent, if set, is closed when the process ends and the store answers nothing: the last write is not waited for then.
	Silent <-chan struct{}
	// Now is the clock that all senders share: the broker's. Unset: time.Now.
	Now func() time.Time
}

// What hangs on the tick: a failing recipient's details are written again after refreshTicks, a claim whose holder is dead is
// taken over after claimTicks, the status of a recipient that nobody knows any more is removed after orphanTicks.
const (
	defaultTick  = time.Second
	refreshTicks = 5
	claimTicks   = 10
	orphanTicks  = 60
)

// storeWait bounds each call to the store.
const storeWait = 5 * time.Second

// Monitor keeps the statuses of a channel's recipients, together with the keepers in the other senders of the channel, and has
// contacts notified. What it sees it gathers in memory: deliveries never wait for it.
type Monitor struct {
	o       Options
	tracker *tracker

	mu    sync.Mutex
	known map[string]Entry
	// unknown is since when a recipient with a status is not in the directory.
	unknown map[string]time.Time
}

// NewMonitor makes a keeper; Run starts it.
func NewMonitor(o Options) (*Monitor, error) {
	if o.Recipients == nil || o.Store == nil || o.Observer == nil || o.Holder == "" || o.Channel == "" {
		return nil, errors.New("a monitor needs a channel, recipients, a store, an observer and a name")
	}
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	if o.Tick <= 0 {
		o.Tick = defaultTick
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Monitor{o: o, tracker: newTracker(o.Observer, o.Now), known: map[string]Entry{}, unknown: map[string]time.Time{}}, nil
}

// Start makes a keeper and runs it beyond the end of ctx, until stop is called: an engine that ends with ctx still has
// something to tell then. stop writes what was seen a last time.
func Start(ctx context.Context, o Options) (observer delivery.Observer, stop func(), err error) {
	m, err := NewMonitor(o)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { _ = m.Run(ctx) })
	return m.Observer(), func() {
		cancel()
		running.Wait()
	}, nil
}

// Observer is what the engine is to tell of each attempt.
func (m *Monitor) Observer() delivery.Observer { return m.tracker }

// Run keeps statuses until ctx ends, writes what it has seen a last time, and returns nil.
func (m *Monitor) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	watching.Go(func() { m.watch(ctx) })
	defer watching.Wait()
	tick := time.NewTicker(m.o.Tick)
	defer tick.Stop()
	soon := time.NewTicker(max(m.o.Tick/10, time.Millisecond))
	defer soon.Stop()
	for {
		select {
		case <-ctx.Done():
			m.last(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			m.flush(ctx)
			m.alert(ctx, m.o.Now())
			m.tidy(ctx, m.o.Now())
		case <-soon.C:
			// A change of health is written at once, but not more often than ten times a tick.
			select {
			case <-m.tracker.changed:
				m.flush(ctx)
			default:
			}
		}
	}
}

// last writes what was seen, unless the store is silent.
func (m *Monitor) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		select {
		case <-m.o.Silent:
			cancel()
		case <-ctx.Done():
		}
	})
	m.flush(ctx)
}

// watch follows the store; after a break it begins anew.
func (m *Monitor) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := m.o.Store.Watch(ctx, m.o.Channel, m.forget, m.learn)
		if err != nil && ctx.Err() == nil {
			m.o.Logger.Debug("watch of statuses failed, retrying", logkey.Error, err.Error())
		}
		pause.For(ctx, m.o.Tick)
	}
}

func (m *Monitor) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = map[string]Entry{}
}

func (m *Monitor) learn(e Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch have, ok := m.known[e.Recipient]; {
	case ok && have.Revision > e.Revision:
	case e.Gone:
		delete(m.known, e.Recipient)
	default:
		m.known[e.Recipient] = e
	}
}

func (m *Monitor) entry(id string) Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[id]
}

// put writes a status and remembers it. On a conflict the newer one is read, for the next try.
func (m *Monitor) put(ctx context.Context, id string, st Status, revision uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	rev, err := m.o.Store.Put(ctx, m.o.Channel, id, st, revision)
	if errors.Is(err, ErrConflict) {
		if e, again := m.o.Store.Get(ctx, m.o.Channel, id); again == nil && e.Revision > 0 {
			m.learn(e)
		}
	}
	if err == nil {
		m.learn(Entry{Recipient: id, Status: st, Revision: rev})
	}
	return rev, err
}

// putAgain is how often a change is tried against others' changes before it waits for the next tick.
const putAgain = 5

// flush writes the changes that this process has seen.
func (m *Monitor) flush(ctx context.Context) {
	for id, s := range m.tracker.all() {
		r, ok := m.o.Recipients.Recipient(id)
		if !ok || aside(r) {
			continue
		}
		for range putAgain {
			e := m.entry(id)
			st, changed := merge(e.Status, s, refreshTicks*m.o.Tick)
			if !changed {
				break
			}
			_, err := m.put(ctx, id, st, e.Revision)
			if err == nil {
				m.tracker.written(id, s.dropped.Count)
			}
			if !errors.Is(err, ErrConflict) {
				m.complain(id, err)
				break
			}
		}
	}
}

func (m *Monitor) complain(id string, err error) {
	if err != nil {
		m.o.Logger.Warn("status not stored, retrying", logkey.Recipient, id, logkey.Error, err.Error())
	}
}

// aside reports whether somebody has set a recipient aside, so that nobody needs to be told of it.
func aside(r *recipient.Recipient) bool { return !r.Enabled || r.Deleting }

// tidy ends the failures of recipients that were set aside, and removes the statuses of those that are gone.
func (m *Monitor) tidy(ctx context.Context, now time.Time) {
	m.mu.Lock()
	all := make([]Entry, 0, len(m.known))
	for _, e := range m.known {
		all = append(all, e)
	}
	m.mu.Unlock()
	for _, e := range all {
		r, ok := m.o.Recipients.Recipient(e.Recipient)
		switch {
		case ok && !aside(r):
			delete(m.unknown, e.Recipient)
			continue
		case ok && !r.Deleting:
			if e.Status.Health == Failing || e.Status.Dropped != nil || e.Status.Recovery != nil {
				st := Status{Health: OK, Since: now, LastDelivered: now, LastFailure: e.Status.LastFailure, LastAlert: e.Status.LastAlert,
					LastDropped: e.Status.LastDropped, Certificate: e.Status.Certificate}
				if _, err := m.put(ctx, e.Recipient, st, e.Revision); !errors.Is(err, ErrConflict) {
					m.complain(e.Recipient, err)
				}
			}
		case ok, m.orphan(e.Recipient, now):
			m.remove(ctx, e)
		}
	}
	m.tracker.keep(func(id string) bool { r, ok := m.o.Recipients.Recipient(id); return ok && !aside(r) })
}

// orphan reports whether a recipient has been unknown for long enough.
func (m *Monitor) orphan(id string, now time.Time) bool {
	since, ok := m.unknown[id]
	if !ok {
		m.unknown[id] = now
	}
	return ok && now.Sub(since) >= orphanTicks*m.o.Tick
}

func (m *Monitor) remove(ctx context.Context, e Entry) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	if err := m.o.Store.Remove(ctx, m.o.Channel, e.Recipient, e.Revision); err != nil {
		return // it was changed meanwhile, or is tried again
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, e.Recipient)
	delete(m.unknown, e.Recipient)
}
