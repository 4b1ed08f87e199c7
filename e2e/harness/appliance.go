package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Event is an event on the wire: a CloudEvent 1.0.
type Event struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Time            string `json:"time,omitempty"`
	Subject         string `json:"subject,omitempty"`
	DataContentType string `json:"datacontenttype,omitempty"`
	Data            Object `json:"data"`
}

// NewEvent is an event that happened now.
func NewEvent(appliance, id, eventType string, data Object) Event {
	return Event{
		SpecVersion: "1.0", ID: id, Source: appliance, Type: eventType, Time: time.Now().UTC().Format(time.RFC3339),
		Subject: "4d3f6a1b9c8e7d2f4d3f6a1b9c8e7d2f", DataContentType: "application/json", Data: data,
	}
}

// Key is the event's key: the eventId of the API and the webhook-id on the wire.
func (e Event) Key() string { return e.Source + "~" + e.ID }

// Reply is what intake answers to an accepted event.
type Reply struct {
	EventID   string      `json:"eventId"`
	Sequence  json.Number `json:"sequence"`
	Duplicate bool        `json:"duplicate"`
}

// Appliance publishes as a real one does: requests from a stock NATS client with its default inbox, or POST with its token.
type Appliance struct {
	ID, User, Password, Token string
	nc                        *nats.Conn
	rest                      *Client
}

// Dial connects to the broker with a stock client.
func (h *System) Dial(user, password string, opts ...nats.Option) (*nats.Conn, error) {
	opts = append(opts, h.login(user, password))
	if h.secure != nil {
		opts = append(opts, nats.Secure(h.secure))
	}
	nc, err := nats.Connect("nats://"+h.nats, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to the broker as %s: %w", user, err)
	}
	return nc, nil
}

// Refusal is a publish that intake refused.
type Refusal struct {
	Code string
	Body []byte
}

// Error is the refusal in words.
func (r *Refusal) Error() string { return fmt.Sprintf("refused with %s: %s", r.Code, r.Body) }

// Request hands in raw bytes over NATS on the subject of an event type and returns the reply, accepted or not.
func (a *Appliance) Request(ctx context.Context, eventType string, raw []byte) (*nats.Msg, error) {
	return a.nc.RequestWithContext(ctx, "outbound.ingest."+a.ID+"."+eventType, raw)
}

// Publish hands in an event over NATS.
func (a *Appliance) Publish(ctx context.Context, e Event) (Reply, error) {
	raw, err := json.Marshal(e)
	if err != nil {
		return Reply{}, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	m, err := a.Request(ctx, e.Type, raw)
	if err != nil {
		return Reply{}, fmt.Errorf("request for event %s: %w", e.ID, err)
	}
	if code := m.Header.Get("Nats-Service-Error-Code"); code != "" {
		return Reply{}, &Refusal{Code: code, Body: m.Data}
	}
	return readReply(m.Data)
}

// Post hands in an event over HTTP with the appliance's token.
func (a *Appliance) Post(e Event) (Reply, error) {
	answer, err := a.rest.CallAs("application/cloudevents+json", http.MethodPost, "/v1/events", e)
	if err != nil {
		return Reply{}, fmt.Errorf("post event %s: %w", e.ID, err)
	}
	if answer.Status != http.StatusOK {
		return Reply{}, &Refusal{Code: fmt.Sprint(answer.Status), Body: answer.Body}
	}
	return readReply(answer.Body)
}

// PostRaw hands in raw bytes over HTTP.
func (a *Appliance) PostRaw(raw []byte) (Answer, error) {
	return a.rest.CallAs("application/cloudevents+json", http.MethodPost, "/v1/events", raw)
}

func readReply(body []byte) (Reply, error) {
	var r Reply
	if err := json.Unmarshal(body, &r); err != nil {
		return Reply{}, fmt.Errorf("read the reply %q: %w", body, err)
	}
	if r.EventID == "" {
		return Reply{}, fmt.Errorf("read the reply %q: it names no event", body)
	}
	return r, nil
}

// Flood is many events on their way.
type Flood struct {
	// Accepted counts the events that intake has accepted so far, Repeats the publishes made again because their result was
	// unknown, Refused those of them that were refused as unavailable, Known events that intake knew at the first try,
	// Unclear those that it knew at a later one.
	Accepted, Repeats, Refused, Known, Unclear atomic.Int64
	keys                                       []string
	wg                                         sync.WaitGroup
	stop                                       context.CancelFunc
	mu                                         sync.Mutex
	err                                        error
	// last is when an event was accepted, longest the longest time between two such events.
	last    time.Time
	longest time.Duration
}

// publishing hands in one event.
type publishing func(ctx context.Context, e Event) (Reply, error)

// Flood publishes n events of a type from as many publishers, and repeats each whose result is unknown, with the same id,
// until intake accepts it. It does not wait.
func (a *Appliance) Flood(ctx context.Context, n, publishers int, eventType string) *Flood {
	f := &Flood{stop: func() {}}
	jobs := make(chan Event)
	for range publishers {
		f.wg.Go(func() { f.work(ctx, jobs, a.Publish) })
	}
	for i := range n {
		f.keys = append(f.keys, a.ID+"~"+floodID(i))
	}
	f.wg.Go(func() {
		defer close(jobs)
		for i := range n {
			jobs <- a.floodEvent(i, eventType)
		}
	})
	return f
}

// endlessPause is the least time between two events of an endless flood.
const endlessPause = 5 * time.Millisecond

// Endless is a flood that goes on until End: so many publishers over NATS, and as many over HTTP.
func (a *Appliance) Endless(ctx context.Context, publishers int, eventType string) *Flood {
	on, stop := context.WithCancel(ctx)
	f := &Flood{stop: stop}
	jobs := make(chan Event)
	post := func(_ context.Context, e Event) (Reply, error) { return a.Post(e) }
	for range publishers {
		f.wg.Go(func() { f.work(ctx, jobs, a.Publish) })
		f.wg.Go(func() { f.work(ctx, jobs, post) })
	}
	f.wg.Go(func() {
		defer close(jobs)
		pause := time.NewTicker(endlessPause)
		defer pause.Stop()
		for i := 0; ; i++ {
			select {
			case <-on.Done():
				return
			case <-pause.C:
			}
			e := a.floodEvent(i, eventType)
			f.keys = append(f.keys, e.Key())
			jobs <- e
		}
	})
	return f
}

// End has an endless flood begin no further events.
func (f *Flood) End() { f.stop() }

func floodID(i int) string { return fmt.Sprintf("flood-%05d", i) }

func (a *Appliance) floodEvent(i int, eventType string) Event {
	return NewEvent(a.ID, floodID(i), eventType, Object{"external_key": fmt.Sprint("INC-", i), "note": fmt.Sprint("number ", i)})
}

// work publishes what comes, until nothing does.
func (f *Flood) work(ctx context.Context, jobs <-chan Event, by publishing) {
	for e := range jobs {
		if err := f.publish(ctx, by, e); err != nil {
			f.fail(err)
		}
	}
}

func (f *Flood) publish(ctx context.Context, by publishing, e Event) error {
	for try := 0; ; try++ {
		one, cancel := context.WithTimeout(ctx, 5*time.Second)
		r, err := by(one, e)
		cancel()
		var refused *Refusal
		switch {
		case err == nil && r.EventID != e.Key():
			return fmt.Errorf("publish %s: was answered as %s", e.Key(), r.EventID)
		case err == nil:
			f.accepted()
			if r.Duplicate && try == 0 {
				f.Known.Add(1)
			} else if r.Duplicate {
				f.Unclear.Add(1)
			}
			return nil
		case ctx.Err() != nil, errors.As(err, &refused) && refused.Code != "503" && refused.Code != "14":
			return fmt.Errorf("publish %s: %w", e.Key(), err)
		case refused != nil:
			f.Refused.Add(1)
		}
		f.Repeats.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (f *Flood) accepted() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if !f.last.IsZero() {
		f.longest = max(f.longest, now.Sub(f.last))
	}
	f.last = now
	f.Accepted.Add(1)
}

// Gap is the longest time between two accepted events, of those accepted since the last call.
func (f *Flood) Gap() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	gap := f.longest
	f.longest = 0
	return gap
}

func (f *Flood) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = errors.Join(f.err, err)
}

// Wait waits until every event is accepted and returns their keys.
func (f *Flood) Wait(t T) []string {
	t.Helper()
	f.wg.Wait()
	if f.err != nil {
		t.Fatalf("publish: %v", f.err)
	}
	if int(f.Accepted.Load()) != len(f.keys) {
		t.Fatalf("publish: %d of %d were accepted", f.Accepted.Load(), len(f.keys))
	}
	return f.keys
}
