package httpsender_test

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// clockEvents is how many events each recipient gets in a test of clocks.
const clockEvents = 300

// clockReceiver counts what arrives, and fails the first attempts of each event.
type clockReceiver struct {
	fails int

	mu        sync.Mutex
	asked     map[string]int
	delivered map[string]int
	// misdated is how many requests have a timestamp that receivers refuse.
	misdated int
}

func (r *clockReceiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seconds, _ := strconv.ParseInt(q.Header.Get("webhook-timestamp"), 10, 64)
	if time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		r.misdated++
	}
	id := q.Header.Get("webhook-id")
	if r.asked[id]++; r.asked[id] <= r.fails {
		http.Error(w, "not yet", http.StatusServiceUnavailable)
		return
	}
	r.delivered[id]++
}

func (r *clockReceiver) done() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.delivered) == clockEvents
}

// check reports what arrived otherwise than once, or with a wrong time.
func (r *clockReceiver) check(t *testing.T, name string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, n := range r.delivered {
		if n != 1 {
			t.Errorf("%s got %s %d times", name, id, n)
		}
	}
	if r.misdated > 0 {
		t.Errorf("%s: %d requests have a timestamp that receivers refuse", name, r.misdated)
	}
}

// clockLedger counts what senders report.
type clockLedger struct {
	mu    sync.Mutex
	count map[delivery.State]int
	// misdated counts times that are not about now.
	misdated int
}

// follow counts the reports of a sender until stop is closed.
func (l *clockLedger) follow(seen ends, stop <-chan struct{}) {
	for {
		select {
		case r := <-seen.reports:
			l.mu.Lock()
			l.count[r.State]++
			for _, at := range []time.Time{r.Outcome.Began, r.Next} {
				if !at.IsZero() && time.Since(at).Abs() > 5*time.Minute {
					l.misdated++
				}
			}
			l.mu.Unlock()
		case <-stop:
			return
		}
	}
}

func (l *clockLedger) attempts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count[delivery.StateDelivered] + l.count[delivery.StateRetrying]
}

func (l *clockLedger) check(t *testing.T, name string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count[delivery.StateExpired] > 0 || l.misdated > 0 {
		t.Errorf("%s: states are %v, %d times are wrong", name, l.count, l.misdated)
	}
}

// Deliveries go by the broker's clock: whatever the clock of a sender shows, none expires before its time, none waits for hours.
func TestASenderWhoseClockIsWrongDeliversLikeTheOthers(t *testing.T) {
	for _, c := range []struct {
		name           string
		ahead, halfway time.Duration
	}{
		{"ahead", 2 * time.Hour, 2 * time.Hour},
		{"behind", -2 * time.Hour, -2 * time.Hour},
		{"set forward while it runs", 0, 2 * time.Hour},
		{"set back while it runs", 0, -2 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) { deliverWithClock(t, c.ahead, c.halfway) })
	}
}

func deliverWithClock(t *testing.T, ahead, halfway time.Duration) {
	b, clock := bustest.Start(t), bustest.NewClock(ahead)
	conn := b.Conn()
	receivers := map[string]*clockReceiver{"healthy": {}, "failing": {fails: 2}}
	var stored []*outboundv1.StoredRecipient
	for id, r := range receivers {
		r.asked, r.delivered = map[string]int{}, map[string]int{}
		stored = append(stored, httpRecipient(id, []string{"support_conference_member_added"}, &outboundv1.HttpRecipient{
			Url:           newReceiver(t, nil, r.ServeHTTP).URL,
			RetryInterval: durationpb.New(200 * time.Millisecond), RetryDuration: durationpb.New(time.Hour),
		}))
	}
	right, wrong := startReplica(t, conn, nil, stored...), startReplica(t, b.ConnAt(clock.Now), nil, stored...)
	ledgers := map[string]*clockLedger{"the sender": {}, "the sender whose clock is wrong": {}}
	stop := make(chan struct{})
	var following sync.WaitGroup
	defer following.Wait()
	defer close(stop)
	for name, seen := range map[string]ends{"the sender": right.seen, "the sender whose clock is wrong": wrong.seen} {
		ledgers[name].count = map[delivery.State]int{}
		following.Go(func() { ledgers[name].follow(seen, stop) })
	}
	publisher := bus.NewPublisher(conn)
	defer publisher.Close()
	for i := range clockEvents {
		if i == clockEvents/2 {
			clock.Set(halfway)
		}
		if _, err := publisher.Accept(t.Context(), numbered(t, i)); err != nil {
			t.Fatal(err)
		}
	}
	for name, r := range receivers {
		waittest.Until(t, "all events at the receiver "+name, r.done)
		r.check(t, name)
	}
	right.stop()
	wrong.stop()
	for name, l := range ledgers {
		l.check(t, name)
		if l.attempts() == 0 {
			t.Errorf("%s made no attempt: nothing is shown", name)
		}
	}
}

// numbered is an event of its own for each number.
func numbered(t *testing.T, i int) *event.Event {
	t.Helper()
	e, faults := event.Decode(fmt.Appendf(nil, `{"specversion":"1.0","id":"e-%d","source":"appliance-1",`+
		`"type":"support_conference_member_added","time":%q,"data":{"display_name":"Ada Lovelace"}}`, i,
		time.Now().Format(time.RFC3339Nano)))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return e
}
