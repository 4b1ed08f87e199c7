package recipients

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// pollInterval is how often queue lengths are read. A growing queue does not change the health, so WatchStatus does not report it.
const pollInterval = 3 * time.Second

// streamOverview streams the changes of the overview.
func streamOverview(r *web.Request) error {
	v := viewOf(r.URL.Query())
	return r.Stream(func(s *web.Stream) error {
		ctx, cancel := context.WithCancel(r.Context())
		changed := make(chan *outboundv1.Status)
		var watching sync.WaitGroup
		defer watching.Wait()
		defer cancel()
		watching.Go(func() { watch(ctx, r.API.Status, changed) })
		poll := time.NewTicker(pollInterval)
		defer poll.Stop()
		page := shown{order: r.URL.Query().Get("have"), rows: map[string]string{}}
		f, err := collect(ctx, r.API)
		for {
			if err == nil {
				if gone := page.send(s, newOverview(f, v)); gone != nil {
					return nil
				}
			}
			select {
			case <-ctx.Done():
				return nil
			case <-changed:
				f, err = collect(ctx, r.API)
			case <-poll.C:
				f.status, _ = r.API.Status.GetStatus(ctx, &outboundv1.GetStatusRequest{})
			}
		}
	})
}

// watch forwards each status that the service streams, until ctx ends. It reconnects when the stream ends.
func watch(ctx context.Context, c outboundv1.StatusServiceClient, changed chan<- *outboundv1.Status) {
	for ctx.Err() == nil {
		if stream, err := c.WatchStatus(ctx, &outboundv1.WatchStatusRequest{}); err == nil {
			for {
				s, err := stream.Recv()
				if err != nil {
					break
				}
				select {
				case changed <- s:
				case <-ctx.Done():
					return
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}

// shown is the content that the page of a reader shows.
type shown struct {
	head, order string
	rows        map[string]string
}

// send sends the differences from the shown content: the head, and the tables if the rows differ, else the changed cells.
func (t *shown) send(s *web.Stream, b *overview) error {
	if head := headOf(b); head != t.head {
		if err := s.Send("head", "list", "head", b); err != nil {
			return err
		}
		if err := s.Send("filters", "list", "filter-bar", b); err != nil {
			return err
		}
		t.head = head
	}
	order, cells, rows := orderOf(b), []row(nil), map[string]string{}
	for _, r := range b.Rows {
		id := r.Recipient.GetId()
		if rows[id] = r.signature(); rows[id] != t.rows[id] {
			cells = append(cells, r)
		}
	}
	before := t.order
	t.order, t.rows = order, rows
	switch {
	case before != "" && before != order:
		return s.Send("tables", "list", "tables", b)
	case len(cells) > 0:
		return s.Send("cells", "list", "cells", cells)
	default:
		return nil
	}
}

func headOf(b *overview) string {
	return fmt.Sprint(b.Known, b.Notices, b.First, b.Total, b.Failing, b.Breaker, b.Deleting, b.States, b.Channels) + encoded(b.Relay)
}

// Order returns a hash of the cells that do not depend on the status.
func (b *overview) Order() string { return orderOf(b) }

func orderOf(b *overview) string {
	out := fnv.New64a()
	_, _ = fmt.Fprint(out, b.Matching, b.View.Page)
	for _, r := range b.Rows {
		p := r.Recipient
		_, _ = fmt.Fprintf(out, "\n%s %q %q %q", p.GetId(), p.GetDisplayName(), r.Targets(), p.GetEventTypes())
	}
	return strconv.FormatUint(out.Sum64(), 36)
}

// signature encodes the live cells of a row.
func (r row) signature() string { return r.State() + encoded(r.Status) }

func encoded(m proto.Message) string {
	// Deterministic encoding is stable within a process.
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	return string(b)
}
