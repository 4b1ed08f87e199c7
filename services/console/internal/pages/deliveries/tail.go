package deliveries

import (
	"context"
	"sync"
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

const (
	// tailEvery is the least time between two batches: four a second are as many as anybody can read.
	tailEvery = 250 * time.Millisecond
	// tailAgain is how long a tail waits before it asks a service again that was away.
	tailAgain = 2 * time.Second
)

// batch is what a page is told at once: each delivery as it is now, the newest first.
type batch struct {
	Rows []row
	// Count is how many records there were, Missed how many there were beyond them that could not be told.
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
	types := web.Labels(web.TypeChoices(r.Context(), r.API))
	return r.Stream(func(s *web.Stream) error {
		ctx, cancel := context.WithCancel(r.Context())
		var listening sync.WaitGroup
		defer listening.Wait()
		defer cancel()
		heard := make(chan heard)
		listening.Go(func() { listen(ctx, r.API.Deliveries, asked, heard) })
		_ = tell(ctx, s, heard, types)
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

// tell sends what was heard in batches. Its error says that the reader has gone.
func tell(ctx context.Context, s *web.Stream, in <-chan heard, types map[string]string) error {
	var g gathering
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

// gathering is what was heard since the last batch.
type gathering struct {
	deliveries    []*outboundv1.Delivery
	count, missed int64
}

func (g *gathering) add(m *outboundv1.TailDeliveriesResponse) {
	g.deliveries = append(g.deliveries, m.GetDeliveries()...)
	g.count += int64(len(m.GetDeliveries()))
	g.missed += m.GetMissed()
	// What a page would drop at once is not kept for it. A delivery may have several records here, so there is room for those.
	if most := 4 * rowsMost; len(g.deliveries) > most {
		g.deliveries = append([]*outboundv1.Delivery(nil), g.deliveries[len(g.deliveries)-most:]...)
	}
}

// take makes a batch of what was heard: of each delivery its last record, at most as many as a page keeps.
func (g *gathering) take(types map[string]string) *batch {
	if g.count == 0 && g.missed == 0 {
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
	*g = gathering{}
	return b
}
