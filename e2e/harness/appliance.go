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
	// unknown, Known events that intake knew at the first try,
	// Unclear those that it knew at a later one.
	Accepted, Repeats, Known, Unclear atomic.Int64
	keys                              []string
	wg                                sync.WaitGroup
	mu                                sync.Mutex
	err                               error
}

// Flood publishes n events of a type from as many publishers, and repeats each whose result is unknown, with the same id,
// until intake accepts it. It does not wait.
func (a *Appliance) Flood(ctx context.Context, n, publishers int, eventType string) *Flood {
	f := &Flood{}
	jobs := make(chan Event)
	for range publishers {
		f.wg.Go(func() {
			for e := range jobs {
				if err := f.publish(ctx, a, e); err != nil {
					f.fail(err)
				}
			}
		})
	}
	for i := range n {
		f.keys = append(f.keys, a.ID+"~"+floodID(i))
	}
	f.wg.Go(func() {
		defer close(jobs)
		for i := range n {
			jobs <- NewEvent(a.ID, floodID(i), eventType, Object{"external_key": fmt.Sprint("INC-", i), "note": fmt.Sprint("number ", i)})
		}
	})
	return f
}

func floodID(i int) string { return fmt.Sprintf("flood-%05d", i) }

func (f *Flood) publish(ctx context.Context, a *Appliance, e Event) error {
	for try := 0; ; try++ {
		one, cancel := context.WithTimeout(ctx, 5*time.Second)
		r, err := a.Publish(one, e)
		cancel()
		var refused *Refusal
		switch {
		case err == nil && r.EventID != e.Key():
			return fmt.Errorf("publish %s: was answered as %s", e.Key(), r.EventID)
		case err == nil:
			f.Accepted.Add(1)
			if r.Duplicate && try == 0 {
				f.Known.Add(1)
			} else if r.Duplicate {
				f.Unclear.Add(1)
			}
			return nil
		case ctx.Err() != nil, errors.As(err, &refused) && refused.Code != "503" && refused.Code != "14":
			return fmt.Errorf("publish %s: %w", e.Key(), err)
		}
		f.Repeats.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
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
