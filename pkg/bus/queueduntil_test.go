package bus_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// What was accepted before a time and has not ended is counted, whether it was handed out or not; what the recipient does not get is not.
func TestAQueueIsCountedUpToATime(t *testing.T) {
	c := bustest.Start(t).Conn()
	r := &recipient.Recipient{ID: "r1", Enabled: true, EventTypes: []string{"support_conference_begin"}, HTTP: &recipient.HTTPTarget{},
		StartSequence: 1}
	other := &recipient.Recipient{ID: "r2", Enabled: true, EventTypes: []string{"support_conference_end"}, HTTP: &recipient.HTTPTarget{},
		StartSequence: 1}
	for _, x := range []*recipient.Recipient{r, other} {
		if err := control.New(c).EnsureConsumer(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	p := bus.NewPublisher(c)
	defer p.Close()
	for i := range 5 {
		if _, err := p.Accept(t.Context(), newEvent(t, fmt.Sprint("early-", i))); err != nil {
			t.Fatal(err)
		}
	}
	pull, err := queue.New(c).Open(t.Context(), recipient.HTTP, "r1")
	if err != nil {
		t.Fatal(err)
	}
	defer pull.Close()
	var last time.Time
	taken := 0
	if err := pull.Pull(t.Context(), 5, waittest.Limit, func(m delivery.Message) {
		last = m.Stored
		if taken++; taken <= 2 {
			_ = m.Settler.Ack()
		}
	}); err != nil || taken != 5 {
		t.Fatalf("%d taken: %v", taken, err)
	}
	for i := range 4 {
		if _, err := p.Accept(t.Context(), newEvent(t, fmt.Sprint("late-", i))); err != nil {
			t.Fatal(err)
		}
	}
	for name, x := range map[string]struct {
		id    string
		until time.Time
		want  uint64
	}{
		"before all":          {"r1", last.Add(-time.Hour), 0},
		"up to the fifth":     {"r1", last, 3},
		"all":                 {"r1", last.Add(time.Hour), 7},
		"another type's":      {"r2", last.Add(time.Hour), 0},
		"another type's, all": {"r2", last, 0},
	} {
		waittest.Until(t, fmt.Sprintf("%s: %d", name, x.want), func() bool { // an acknowledgement takes a moment
			n, err := control.New(c).QueuedUntil(t.Context(), recipient.HTTP, x.id, x.until)
			if err != nil {
				t.Fatal(err)
			}
			return n == x.want
		})
	}
}
