package deliveries

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

const (
	// tailEvery is the minimum interval between two batches.
	tailEvery = 250 * time.Millisecond
	// tailOverlap is how far before the load of a page its tail begins. It covers records made meanwhile and clock differences.
	tailOverlap = 2 * time.Second
	// tailAgain is the delay before a tail reconnects to a service.
	tailAgain = 2 * time.Second
)

// batch is an update of a page: the latest record of each delivery, newest first.
type batch struct {
	Rows []row
	// Count is the number of live records, Missed the number of records that were left out.
	Count, Missed int64
}

// tail streams the deliveries that match the filter of a page as they are recorded.
func tail(r *web.Request) error {
	form, asked, err := readFilter(r.URL.Query())
	if err != nil {
		return err
	}
	if form.Bad() {
		return web.Fail(400, "Invalid filter", form.Faults[0].Field+": "+form.Faults[0].Text)
	}
	since, ok := web.ParseInstant(r.URL.Query().Get("since"))
	if !ok {
		since = time.Now()
	}
	types := web.Labels(web.TypeChoices(r.Context(), r.API))
	return r.Stream(func(s *web.Stream) error {
		ctx, cancel := context.WithCancel(r.Context())
		var listening sync.WaitGroup
		defer listening.Wait()
		defer cancel()
		updates := make(chan tailUpdate)
		listening.Go(func() { listen(ctx, r.API.Deliveries, asked, updates) })
		g := outgoing{catchUp: func(from time.Time) []*outboundv1.Delivery { return recorded(ctx, r.API.Deliveries, asked, from) }, until: since}
		_ = g.send(ctx, s, updates, types)
		return nil
	})
}

// tailUpdate is a response of the service, or the error that ended the stream.
type tailUpdate struct {
	answer *outboundv1.TailDeliveriesResponse
	err    error
}

// listen forwards the responses of the service until ctx ends. It reconnects when the stream ends.
func listen(ctx context.Context, c outboundv1.DeliveryServiceClient, filter *outboundv1.ListDeliveriesRequest, out chan<- tailUpdate) {
	for ctx.Err() == nil {
		stream, err := c.TailDeliveries(ctx, &outboundv1.TailDeliveriesRequest{Filter: filter})
		for err == nil {
			var answer *outboundv1.TailDeliveriesResponse
			if answer, err = stream.Recv(); err == nil {
				err = forward(ctx, out, tailUpdate{answer: answer})
			}
		}
		if forward(ctx, out, tailUpdate{err: err}) != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(tailAgain):
		}
	}
}

func forward(ctx context.Context, out chan<- tailUpdate, h tailUpdate) error {
	select {
	case out <- h:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// recorded returns the deliveries of a filter recorded since a time, oldest first, up to the row limit of a page. It returns none while
// the service is unavailable.
func recorded(ctx context.Context, c outboundv1.DeliveryServiceClient, filter *outboundv1.ListDeliveriesRequest,
	since time.Time) []*outboundv1.Delivery {
	asked := proto.CloneOf(filter)
	asked.PageSize, asked.PageToken = rowsMost, ""
	if asked.StartTime == nil || asked.GetStartTime().AsTime().Before(since) {
		asked.StartTime = timestamppb.New(since)
	}
	answer, err := c.ListDeliveries(ctx, asked)
	if err != nil {
		return nil
	}
	out := answer.GetDeliveries()
	slices.Reverse(out)
	return out
}

// send sends the updates in batches. It returns an error when the reader has disconnected.
func (g *outgoing) send(ctx context.Context, s *web.Stream, in <-chan tailUpdate, types map[string]string) error {
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	connected := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case h := <-in:
			if h.err != nil || !connected {
				state := "up"
				if connected = h.err == nil; !connected {
					state = "down"
				}
				if err := s.SendText("service", state); err != nil {
					return err
				}
				if connected {
					// Also send what was recorded while the stream was disconnected.
					g.deliveries = append(g.deliveries, g.catchUp(g.until.Add(-tailOverlap))...)
				}
			}
			if h.err == nil {
				g.until = time.Now()
			}
			g.add(h.answer)
		case <-tick.C:
			if b := g.take(types); b != nil {
				if err := s.Send("rows", "list", "batch", *b); err != nil {
					return err
				}
			}
		}
	}
}

// outgoing holds the updates since the last batch.
type outgoing struct {
	deliveries    []*outboundv1.Delivery
	count, missed int64
	// catchUp returns the deliveries recorded since a time; until is when the page was last up to date.
	catchUp func(since time.Time) []*outboundv1.Delivery
	until   time.Time
}

func (g *outgoing) add(m *outboundv1.TailDeliveriesResponse) {
	g.deliveries = append(g.deliveries, m.GetDeliveries()...)
	g.count += int64(len(m.GetDeliveries()))
	g.missed += m.GetMissed()
	// Keep no more than a page can show. A delivery may have several records here, so keep four per row.
	if most := 4 * rowsMost; len(g.deliveries) > most {
		g.deliveries = append([]*outboundv1.Delivery(nil), g.deliveries[len(g.deliveries)-most:]...)
	}
}

// take returns a batch with the last record of each delivery, up to the row limit of a page, and resets the counters.
func (g *outgoing) take(types map[string]string) *batch {
	if len(g.deliveries) == 0 && g.missed == 0 {
		return nil
	}
	b := &batch{Count: g.count, Missed: g.missed}
	seen := map[string]bool{}
	for i := len(g.deliveries) - 1; i >= 0 && len(b.Rows) < rowsMost; i-- {
		one := rows(g.deliveries[i:i+1], types)[0]
		if !seen[one.ID()] {
			seen[one.ID()] = true
			b.Rows = append(b.Rows, one)
		}
	}
	g.deliveries, g.count, g.missed = nil, 0, 0
	return b
}
