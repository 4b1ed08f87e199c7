package pushback

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/recipient"
)

const (
	// storeWithin is how long storing or removing a pause may take. It is retried as long; what is lost costs each other sender a request.
	storeWithin = 10 * time.Second
	// storeAgain is the wait before a call that failed is made again.
	storeAgain = time.Second
)

// Shared are the pauses of one channel that all senders keep to, and that outlive them.
type Shared struct {
	store Store
	ch    recipient.Channel
	// now is the broker's clock.
	now func() time.Time
	log *slog.Logger

	mu    sync.Mutex
	known map[string]Pause
}

// NewShared makes them. Without a store this process keeps to them alone, while it runs.
func NewShared(store Store, ch recipient.Channel, now func() time.Time, log *slog.Logger) *Shared {
	return &Shared{store: store, ch: ch, now: now, log: log, known: map[string]Pause{}}
}

// Run follows the pauses until ctx ends, and calls changed for each recipient whose pause has changed. It calls complete, once, when all
// there were are known.
func (s *Shared) Run(ctx context.Context, complete func(), changed func(id string)) {
	complete = sync.OnceFunc(complete)
	if s.store == nil {
		complete()
		return
	}
	for ctx.Err() == nil {
		err := s.store.Watch(ctx, s.ch, complete, func(id string, p Pause) {
			s.set(id, p)
			changed(id)
		})
		if err != nil && ctx.Err() == nil {
			s.log.Debug("the pauses of recipients can't be followed, retrying", logkey.Error, err.Error())
		}
		pause.For(ctx, storeAgain)
	}
}

func (s *Shared) set(id string, p Pause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Until.IsZero() {
		delete(s.known, id)
	} else {
		s.known[id] = p
	}
}

// Of is how long a recipient, as it is now, is paused by what is known; 0: it is not.
func (s *Shared) Of(r *recipient.Recipient) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.known[r.ID]
	if !ok || !p.Of(r) {
		return 0
	}
	return max(0, p.Until.Sub(s.now()))
}

// Pause stores that a recipient is paused for a time, in the background; wg waits for it.
func (s *Shared) Pause(wg *sync.WaitGroup, r *recipient.Recipient, d time.Duration) {
	p := Pause{Until: s.now().Add(d), Start: r.StartSequence, Revision: r.Revision}
	s.set(r.ID, p)
	if s.store == nil {
		return
	}
	wg.Go(func() {
		s.retry("store", r.ID, func(ctx context.Context) error { return s.store.Put(ctx, s.ch, r.ID, p) })
	})
}

// Forget removes the pause of a recipient, if one is known, in the background; wg waits for it.
func (s *Shared) Forget(wg *sync.WaitGroup, id string) {
	s.mu.Lock()
	_, known := s.known[id]
	delete(s.known, id)
	s.mu.Unlock()
	if !known || s.store == nil {
		return
	}
	wg.Go(func() {
		s.retry("remove", id, func(ctx context.Context) error { return s.store.Remove(ctx, s.ch, id) })
	})
}

func (s *Shared) retry(verb, id string, call func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeWithin)
	defer cancel()
	for {
		err := call(ctx)
		if err == nil {
			return
		}
		if !pause.For(ctx, storeAgain) {
			s.log.Warn("could not "+verb+" the pause of a recipient: other senders do not know of it",
				logkey.Recipient, id, logkey.Error, err.Error())
			return
		}
	}
}
