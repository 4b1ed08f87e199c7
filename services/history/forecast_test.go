package history_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/health"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

func TestTheFirstExpiryOfAFailingRecipientIsToldAhead(t *testing.T) {
	const end = "support_conference_end"
	lasting := func(id string, d time.Duration) *outboundv1.Recipient {
		r := httpRecipient(id, end)
		r.GetHttp().RetryDuration = durationpb.New(d)
		return r
	}
	all := map[string]time.Duration{"bad": 6 * time.Hour, "later": 20 * time.Hour, "good": 6 * time.Hour}
	h := newFixture(t, history.EmbeddedAlways, lasting("bad", all["bad"]), lasting("later", all["later"]), lasting("good", all["good"]))
	h.accept("a1", "e-1")
	h.accept("a1", "e-2")
	for _, id := range []string{"bad", "later"} {
		h.stands(id, health.Status{Health: health.Failing, Since: time.Now(), Reason: reasons.Connect}, 0)
	}
	s, err := h.status.GetStatus(t.Context(), &outboundv1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.GetRecipients() {
		id, at := r.GetRecipientId(), r.GetNextExpireTime()
		if id == "good" {
			if at != nil {
				t.Errorf("good: %v", at)
			}
			continue
		}
		n, before := r.GetExpiringDeliveries(), r.GetExpiringBeforeTime().AsTime()
		left := time.Until(before)
		if id == "bad" && (n != 2 || left > 12*time.Hour || left < 10*time.Hour) || id == "later" && n != 0 {
			t.Errorf("%s: %d expire before %v", id, n, before)
		}
		if want := r.GetOldestQueuedTime().AsTime().Add(all[id]); at == nil || !at.AsTime().Equal(want) {
			t.Errorf("%s: %v, want %v", id, at.AsTime(), want)
		}
	}
	notices := strings.Join(s.GetNotices(), "\n")
	_, told, _ := strings.Cut(notices, "Deliveries expire unless their recipients work again: ")
	told, _, _ = strings.Cut(told, "\n")
	if !strings.HasPrefix(told, "The bad (bad) from ") || !strings.Contains(told, " UTC on, 2 waiting (2 expire before ") ||
		strings.Contains(told, "later") {
		t.Errorf("%q is told in\n%s", told, notices)
	}
}
