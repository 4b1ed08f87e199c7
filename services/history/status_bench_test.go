package history_test

import (
	"fmt"
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

// BenchmarkStatusOfAThousandRecipients asks for the status while each recipient has a queue, failures and deliveries. still: nothing
// moves between two questions; moving: a queue has moved before each.
func BenchmarkStatusOfAThousandRecipients(b *testing.B) {
	const recipients = 1_000
	all := make([]*outboundv1.Recipient, recipients)
	for i := range all {
		all[i] = httpRecipient(fmt.Sprintf("r%d", i), "support_conference_end", "support_conference_begin")
	}
	h := newFixture(b, history.EmbeddedAlways, all...)
	e1, e2 := h.accept("a1", "e-1"), h.accept("a1", "e-2")
	for i := range all {
		id := fmt.Sprintf("r%d", i)
		h.attempted(e1, id, "", 1, delivery.StateDelivered)
		h.attempted(e2, id, "", 1, delivery.StateRetrying)
	}
	status := h.running(nil)
	ask := func() *outboundv1.Status {
		s, err := status.GetStatus(b.Context(), &outboundv1.GetStatusRequest{})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	h.eventually("all attempts are counted", func() bool {
		s := ask()
		n := 0
		for _, r := range s.GetRecipients() {
			for _, x := range r.GetActivity() {
				n += int(x.GetDelivered() + x.GetFailed())
			}
		}
		return n == 2*recipients && len(s.GetRecipients()) == recipients
	})
	b.Run("still", func(b *testing.B) {
		for b.Loop() {
			ask()
		}
	})
	n := 2
	b.Run("moving", func(b *testing.B) {
		for b.Loop() {
			n++
			h.accept("a1", fmt.Sprintf("e-%d", n))
			ask()
		}
	})
}
