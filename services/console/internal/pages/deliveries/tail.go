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
	// tailEvery is the least time between two batches: four a second are as many as anybody can read.
	tailEvery = 250 * time.Millisecond
	// tailOverlap is how far before a page was made its tail begins: what was recorded meanwhile is told, and clocks may differ.
	tailOverlap = 2 * time.Second
	// tailAgain is how long a tail waits before it asks a service again that was away.
	tailAgain = 2 * time.Second
)

// batch is what a page is told at once: each delivery as it is now, the newest first.
type batch struct {
	Rows []row
	// Count is how many records were told live, Missed how many there were beyond them that could not be told.
	Count, Missed int64
}

// tail tells a page of deliveries that match its filter as they are recorded.
func tail(r *web.Request) error {
	form, asked, err := readFilter(r.URL.Query())
	if err != nil {
		return err
	}
	if form.Bad() {
		return web.Fail(400, "That is no filter", form.Faults[0].Field+": "+form.Faults[0].Text)
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
		heard := make(chan heard)
		listening.Go(func() { listen(ctx, r.API.Deliveries, asked, heard) })
		g := outgoing{catchUp: func(from time.Time) []*outboundv1.Delivery { return recorded(ctx, r.API.Deliveries, asked, from) }, until: since}
		_ = g.send(ctx, s, heard, types)
		return nil
	})
}

// heard is what a service told, or that it went away.
type heard struct {
	answer *outboundv1.TailDeliveriesResponse
	err    error
}

// listen passes on what the service tells, until ctx ends. It begins anew when the service was away.
func listen(ctx context.Context, c outboundv1.DeliveryServiceClient, filter *outboundv1.ListDeliveriesRequest, out chan<- heard) {
	for ctx.Err() == nil {
		stream, err := c.TailDeliveries(ctx, &outboundv1.TailDeliveriesRequest{Filter: filter})
		for err == nil {
			var answer *outboundv1.TailDeliveriesResponse
			if answer, err = stream.Recv(); err == nil {
				err = pass(ctx, out, heard{answer: answer})
			}
		}
		if pass(ctx, out, heard{err: err}) != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(tailAgain):
		}
	}
}

func pass(ctx context.Context, out chan<- heard, h heard) error {
	select {
	case out <- h:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// recorded are the deliveries of a filter that were recorded since a time, oldest first, at most as many as a page keeps. While the
// service can't tell there are none.
func recorded(ctx context.Context, c outboundv1.DeliveryServiceClient, filter *outboundv1.ListDeliveriesRequest, since time.Time) []*outboundv1.Delivery {
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

// send sends what was heard in batches. Its error says that the reader has gone.
func (g *outgoing) send(ctx context.Context, s *web.Stream, in <-chan heard, types map[string]string) error {
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	here := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case h := <-in:
			if h.err != nil || !here {
				word := "here"
				if here = h.err == nil; !here {
					word = "away"
				}
				if err := s.SendText("service", word); err != nil {
					return err
				}
				if here {
					// What was recorded while nobody listened is told, too.
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

// outgoing is what was heard since the last batch.
type outgoing struct {
	deliveries    []*outboundv1.Delivery
	count, missed int64
	// catchUp tells what was recorded since a time; until is when the page was last up to date.
	catchUp func(since time.Time) []*outboundv1.Delivery
	until   time.Time
}

func (g *outgoing) add(m *outboundv1.TailDeliveriesResponse) {
	g.deliveries = append(g.deliveries, m.GetDeliveries()...)
	g.count += int64(len(m.GetDeliveries()))
	g.missed += m.GetMissed()
	// What a page would drop at once is not kept for it. A delivery may have several records here, so there is room for those.
	if most := 4 * rowsMost; len(g.deliveries) > most {
		g.deliveries = append([]*outboundv1.Delivery(nil), g.deliveries[len(g.deliveries)-most:]...)
	}
}

// take makes a batch of what was heard: of each delivery its last record, at most as many as a page keeps.
func (g *outgoing) take(types map[string]string) *batch {
	if len(g.deliveries) == 0 && g.missed == 0 {
		return nil
	}
	b := &batch{Count: g.count, Missed: g.missed}
	told := map[string]bool{}
	for i := len(g.deliveries) - 1; i >= 0 && len(b.Rows) < rowsMost; i-- {
		one := rows(g.deliveries[i:i+1], types)[0]
		if !told[one.ID()] {
			told[one.ID()] = true
			b.Rows = append(b.Rows, one)
		}
	}
	g.deliveries, g.count, g.missed = nil, 0, 0
	return b
}
