package recipients_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// thousand is a system with a thousand recipients, the last eight of which fail.
func thousand() *fixture {
	const all, bad = 1000, 8
	h := newFixture()
	s := &outboundv1.Status{}
	for i := range all {
		id := fmt.Sprintf("r-%03d", i)
		r := httpRecipient(id, "Number "+id, true)
		r.EventTypes = []string{"begin", "end", "own"}
		h.recipients[id] = r
		h.listed = append(h.listed, r)
		state := &outboundv1.RecipientStatus{RecipientId: id, QueuedEvents: int64(i), OldestQueuedTime: timestamppb.Now()}
		for range 24 {
			state.Activity = append(state.Activity, &outboundv1.Activity{StartTime: timestamppb.Now(), Delivered: 10, Failed: 1})
		}
		if i >= all-bad {
			state.Health, state.LastError = outboundv1.RecipientHealth_FAILING, "http_status 500: it is broken"
		}
		s.Recipients = append(s.Recipients, state)
	}
	h.status = s
	return h
}

// How long it takes is the benchmark's to say.
func TestAThousandRecipientsAreShown(t *testing.T) {
	page := thousand().open(t).As("viewer").Get("/")
	if page.Status != http.StatusOK || !strings.HasPrefix(rowsOf(page.Body), "r-992 r-993 r-994 r-995 r-996 r-997 r-998 r-999 r-000 ") ||
		!strings.Contains(page.Body, "<strong>8 recipients failing</strong>, of 1\u202f000.") {
		t.Fatalf("%d: the page begins with %.80s", page.Status, rowsOf(page.Body))
	}
}

func BenchmarkOverviewOfAThousand(b *testing.B) {
	who := thousand().open(b).As("viewer")
	for b.Loop() {
		who.Get("/")
	}
}
