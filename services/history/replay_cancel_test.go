package history_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

// failed stores events whose deliveries to r1 have expired.
func (h *fixture) failed(n int) {
	h.t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { h.ended(h.accept("a1", fmt.Sprint("e-", i)), "r1", "", delivery.StateExpired) })
	}
	wg.Wait()
}

// cancelled cancels a replay and checks that what it says is what EVENTS holds.
func (h *fixture) cancelled(id string) *outboundv1.Replay {
	h.t.Helper()
	got, err := h.deliveries.CancelReplay(h.t.Context(), &outboundv1.CancelReplayRequest{Id: id})
	if err != nil {
		h.t.Fatal(err)
	}
	stopped := got.GetState() == outboundv1.Replay_STOPPED || got.GetState() == outboundv1.Replay_DONE
	if n := len(h.replayed(id)); !stopped || got.GetFinishTime() == nil || got.GetQueued() != int64(n) {
		h.t.Errorf("%d are queued; the replay says %v", n, got)
	}
	return got
}

// A replay says that it is cancelled once its figures are final.
func TestTheFiguresOfACancelledReplayAreFinal(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", kindEnd))
	const n, rounds = 300, 6
	h.failed(n)
	stop, other := h.runner(), h.runner()
	var told []*outboundv1.Replay
	for i := range rounds {
		r := byFilter(&outboundv1.Replay_Deliveries{})
		r.Rate = 100
		id := h.replay(r).GetId()
		// Some are cancelled at once, some at their end.
		h.replayIs(id, func(r *outboundv1.Replay) bool {
			return len(h.replayed(id)) >= i*n/rounds || r.GetState() != outboundv1.Replay_RUNNING
		})
		told = append(told, h.cancelled(id))
	}
	stop()
	other()
	some := 0
	for _, was := range told {
		now, err := h.deliveries.GetReplay(t.Context(), &outboundv1.GetReplayRequest{Id: was.GetId()})
		if err != nil || now.GetQueued() != was.GetQueued() || now.GetState() != was.GetState() ||
			now.GetQueued() != int64(len(h.replayed(was.GetId()))) {
			t.Errorf("a replay was told as %v and is %v, %v", was, now, err)
		}
		if was.GetQueued() > 0 && was.GetQueued() < n {
			some++
		}
	}
	if some == 0 {
		t.Error("no replay was cancelled on its way")
	}
}

// Nobody runs the replay that is cancelled: it was never begun, or its process has ended or died.
func TestAReplayThatNobodyRunsIsCancelledWithItsFigures(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", kindEnd))
	h.failed(200)
	waits := h.replay(byFilter(&outboundv1.Replay_Deliveries{})).GetId()
	if got := h.cancelled(waits); got.GetQueued() != 0 {
		t.Errorf("a replay that was not begun: %v", got)
	}
	r := byFilter(&outboundv1.Replay_Deliveries{})
	r.Rate = 100
	id := h.replay(r).GetId()
	stop := h.runner()
	h.replayIs(id, func(r *outboundv1.Replay) bool { return r.GetQueued() >= 50 })
	stop()
	began := time.Now()
	if got := h.cancelled(id); got.GetQueued() < 50 || got.GetQueued() >= 200 || got.GetTotal() != 200 {
		t.Errorf("a replay whose process has ended: %v", got)
	}
	t.Logf("cancelled after %v", time.Since(began))
}
