package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// loseRecipients has the bucket of recipients gone, as a damaged disk would, and an empty one in its place.
func (h *fixture) loseRecipients() {
	h.t.Helper()
	js, err := h.bus.IntakeConn().JetStream()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := js.DeleteStream("KV_" + bus.BucketRecipients); err != nil {
		h.t.Fatal(err)
	}
	if err := h.bus.CreateStreams(h.ctx(), bustest.StreamOptions()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *fixture) fill(id string, n int) {
	h.t.Helper()
	p := bus.NewPublisher(h.bus)
	defer p.Close()
	for i := range n {
		e := event.Sample(event.Catalogue()[0], "a1", fmt.Sprint("e", i), time.Now(), nil)
		if _, err := p.Replay(h.ctx(), id, e, bus.Replay{ID: "r1"}); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *fixture) queue(id string) uint64 {
	h.t.Helper()
	q, err := control.New(h.bus).Queue(h.ctx(), recipient.HTTP, id)
	if err != nil {
		h.t.Fatal(err)
	}
	return q.Messages
}

func TestTheQueueOfALostRecipientIsKeptUntilTheRecipientReturns(t *testing.T) {
	h := start(t)
	board := notice.NewBoard(nil)
	h.notices = board
	h.create(httpRecipient("Lost"))
	h.create(httpRecipient("Empty"))
	h.fill("lost", 7)
	h.stop()
	h.loseRecipients()
	h.run(eager)
	h.eventually("the empty queue goes and the other is told of", func() bool {
		all := strings.Join(board.All(), "\n")
		return slices.Equal(h.consumers(), []string{"http-lost"}) && strings.Contains(all, "Recipient lost is missing") &&
			strings.Contains(all, "7 deliveries") && !strings.Contains(all, "mpty")
	})
	if n := h.queue("lost"); n != 7 {
		t.Fatalf("the queue has %d messages, want 7", n)
	}
	h.create(httpRecipient("Lost"))
	h.eventually("the notice ends", func() bool { return len(board.All()) == 0 })
	if n, first := h.queue("lost"), h.stored("lost").GetStartSequence(); n != 7 || first != 1 {
		t.Errorf("the queue of the recipient that returned has %d messages from %d on, want 7 from 1 on", n, first)
	}
}

func TestAQueueOutlivesARemovalThatIsOlder(t *testing.T) {
	h := start(t, eager)
	h.create(httpRecipient("Again"))
	h.delete("again")
	h.eventually("it is removed", func() bool { return len(h.consumers()) == 0 })
	h.stop()
	// A recipient of this id was made again, and the store has lost that.
	again := &recipient.Recipient{ID: "again", HTTP: &recipient.HTTPTarget{}, EventTypes: []string{"support_conference_end"}}
	// The broker removes the folder of the consumer that was removed while it makes the new one.
	h.eventually("its queue is made again", func() bool { return control.New(h.bus).EnsureConsumer(h.ctx(), again) == nil })
	h.fill("again", 3)
	h.run(eager)
	h.create(httpRecipient("Other"))
	h.eventually("a pass is done", func() bool { return slices.Contains(h.consumers(), "http-other") })
	if n := h.queue("again"); n != 3 {
		t.Errorf("the queue has %d messages, want 3", n)
	}
}

func (h *fixture) delete(id string) {
	h.t.Helper()
	if _, err := h.admin.DeleteRecipient(h.ctx(), &outboundv1.DeleteRecipientRequest{Id: id}); err != nil {
		h.t.Fatal(err)
	}
}
