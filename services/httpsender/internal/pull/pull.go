// Package pull answers receivers that fetch their deliveries instead of waiting for them.
package pull

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/bus/eventnumbers"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

const (
	// atOnce is how many deliveries are looked up together, lookups how many questions to the log may be under way, readAhead how many
	// events are read with one request.
	atOnce    = 100
	lookups   = 32
	readAhead = 16
	// maxPage is how many bytes the bodies of one answer have at most, compressed, unless it is a single one: with their base64 and the
	// headers they must fit into a message of the broker, of which 512 KiB are required.
	maxPage = 256 << 10
	// maxBodies is how many bytes they have as they are.
	maxBodies = 4 << 20
)

// Deps are what an answerer needs, all required.
type Deps struct {
	Bus     *bus.Conn
	Log     *deliverylog.Log
	Numbers *eventnumbers.Numbers
	// Matches judges filters. See delivery.EngineOptions.
	Matches func(*recipient.Recipient, *event.Event) (bool, error)
	// Render writes the request of a delivery, as it would be sent now: the headers that are ours, and the body.
	Render func(*delivery.Delivery) (header map[string]string, body []byte, err error)
	// Observer is told of deliveries that end by an acknowledgement.
	Observer delivery.Observer
}

// Answerer answers for the HTTP recipients.
type Answerer struct{ Deps }

// New makes an answerer.
func New(d Deps) *Answerer { return &Answerer{d} }

// item is one numbered delivery.
type item struct {
	number uint64
	event  eventlog.StoredEvent
	// newest is its newest record, which stands at a sequence of HISTORY; 0: it has none.
	newest delivery.Record
	at     uint64
}

// message is the item's as a sender is handed it out.
func (x *item) message() *delivery.Message {
	return &delivery.Message{Event: x.event.Event, Sequence: x.event.Sequence, Stored: x.event.Time}
}

// Pull returns the deliveries of a recipient behind a number, in the order of their numbers.
func (a *Answerer) Pull(ctx context.Context, r *recipient.Recipient, q control.PullQuestion) (control.PullAnswer, error) {
	cursor, last, err := a.cursor(ctx, r)
	if err != nil {
		return control.PullAnswer{}, err
	}
	out := control.PullAnswer{Cursor: cursor, Last: last, Deliveries: []control.PulledDelivery{}}
	after, pending := cursor, q.After == nil
	if !pending {
		after = *q.After
	}
	if after > last {
		return out, nil
	}
	for size, plain := 0, 0; ; {
		items, next, err := a.batch(ctx, r, after, min(atOnce, max(q.Limit-len(out.Deliveries), 1)))
		if err != nil || next == after {
			return out, err
		}
		for _, x := range items {
			final := x.at != 0 && x.newest.State.Final()
			if pending && final {
				if len(out.Deliveries) == 0 {
					out.Cursor = max(out.Cursor, x.number)
				}
				continue
			}
			d, length, err := a.pulled(r, &x)
			if err != nil {
				return out, err
			}
			if len(out.Deliveries) > 0 && (size+len(d.Body) > maxPage || plain+length > maxBodies) {
				out.More = true
				return out, nil
			}
			size, plain = size+len(d.Body), plain+length
			out.Deliveries = append(out.Deliveries, d)
			out.Last = max(out.Last, x.number)
		}
		after = next
		if len(out.Deliveries) >= q.Limit {
			out.More = out.Last > after
			return out, nil
		}
	}
}

// pulled is an item as it is answered, and how long its body is before it is compressed.
func (a *Answerer) pulled(r *recipient.Recipient, x *item) (d control.PulledDelivery, length int, err error) {
	e := x.event
	d = control.PulledDelivery{
		Number: x.number, EventID: e.ID, Appliance: e.Appliance, Type: e.Type, Accepted: e.Time, State: string(delivery.StateWaiting),
	}
	if x.at != 0 {
		d.State, d.Reason, d.Detail = string(x.newest.State), string(x.newest.Reason), x.newest.Detail
	} else if v, state, unwanted := x.message().Unwanted(r, a.Matches); unwanted {
		d.State, d.Reason, d.Detail = string(state), string(v.Reason), v.Detail
	}
	switch delivery.State(d.State) {
	case delivery.StateSkipped, delivery.StateCancelled:
		d.Note = "it is not meant for the receiver: see state and reason"
		return d, 0, nil
	default:
	}
	header, body, err := a.Render(&delivery.Delivery{
		Recipient: r, Event: e.Event, Accepted: e.Time, Attempt: x.newest.Attempt + 1, Number: x.number,
	})
	if err != nil {
		d.Note = "the request can't be created: " + err.Error()
		return d, 0, nil //nolint:nilerr // whoever pulls is told
	}
	if d.Header = header; len(body) == 0 {
		return d, 0, nil
	}
	d.Body, err = compress(body)
	return d, len(body), err
}

func compress(body []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(body)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("compress a body: %w", err)
	}
	return b.Bytes(), nil
}

// cursor is the number up to which everything has ended, as far as is known without looking at single deliveries, and the last number.
func (a *Answerer) cursor(ctx context.Context, r *recipient.Recipient) (cursor, last uint64, err error) {
	queue, err := control.New(a.Bus).Backlog(ctx, r.Channel(), r.ID)
	if err != nil {
		return 0, 0, fmt.Errorf("read the queue of recipient %s: %w", r.ID, err)
	}
	mark, err := control.NewPulledMarks(a.Bus).Get(ctx, r)
	if err != nil {
		return 0, 0, fmt.Errorf("read what recipient %s has acknowledged: %w", r.ID, err)
	}
	// An event that was stored a moment ago may not be in the queue yet: what counts is what was handed out.
	settled := queue.AckFloor
	if queue.Total() == 0 {
		settled = queue.Given
	}
	// What was accepted by now is counted first.
	end, err := eventlog.New(a.Bus).LastSequence(ctx)
	if err != nil {
		return 0, 0, err
	}
	if _, err := a.Numbers.Number(ctx, r.ID, end); err != nil {
		return 0, 0, err
	}
	cursor, last, err = a.Numbers.Last(ctx, r.ID, settled)
	return max(cursor, mark.Number), last, err
}

// batch reads the next deliveries of a recipient behind a number, at most limit, and what the log has of them. Those whose events are gone
// are left out. next is the last number that was looked at; after: there are no more.
func (a *Answerer) batch(ctx context.Context, r *recipient.Recipient, after uint64, limit int) (items []item, next uint64, err error) {
	events, next := eventlog.New(a.Bus), after
	ahead := map[uint64]eventlog.StoredEvent{}
	for range limit {
		sequence, number, err := a.Numbers.Next(ctx, r.ID, next)
		if err != nil {
			return nil, 0, err
		}
		if sequence == 0 {
			break
		}
		next = number
		e, have := ahead[sequence]
		if !have {
			found, _, err := events.EventsFrom(ctx, "", sequence, readAhead)
			if err != nil {
				return nil, 0, fmt.Errorf("read the event at sequence %d: %w", sequence, err)
			}
			clear(ahead)
			for _, x := range found {
				ahead[x.Sequence] = x
			}
			if e, have = ahead[sequence]; !have {
				continue
			}
		}
		items = append(items, item{number: number, event: e})
	}
	g, looking := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for i := range items {
		g.Go(func() error { return a.look(looking, r, &items[i]) })
	}
	return items, next, g.Wait()
}

// look looks up the newest record of an item's delivery.
func (a *Answerer) look(ctx context.Context, r *recipient.Recipient, x *item) (err error) {
	x.newest, x.at, err = a.Log.Latest(ctx, r.ID, x.event.Event, "")
	if err != nil {
		return fmt.Errorf("read the delivery log: %w", err)
	}
	return nil
}
