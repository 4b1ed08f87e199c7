package httpsender_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/redistest"
	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Three replicas share a recipient's limit through Redis. The limit is of an hour, so the burst is all that may leave the process, and
// nothing here depends on the clock: the others must have been put off for the limit, each at least once, and only then is counted.
func TestReplicasShareARecipientsLimit(t *testing.T) {
	const events, turns, burst = 30, 40, 4 // a tenth of the turns
	broker, redis := bustest.Start(t), redistest.Start(t)
	site := newReceiver(t, nil, func(http.ResponseWriter, *http.Request) {})
	stored := httpRecipient("limited", []string{joined().Type}, &outboundv1.HttpRecipient{
		Url: site.URL, RateLimit: &outboundv1.RateLimit{Limit: turns, Period: durationpb.New(time.Hour)},
	})
	var replicas []replica
	seen := make(chan delivery.Report, 3*events)
	for range 3 {
		limiter, err := throttle.NewRedis(throttle.RedisOptions{Address: redis.Address, Replicas: 3, Timeout: waittest.Limit},
			slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = limiter.Close() })
		r := startReplica(t, broker.Conn(), limiter, stored)
		replicas = append(replicas, r)
		gather(t, r, seen)
	}
	conn := broker.Conn()
	publisher := bus.NewPublisher(conn)
	defer publisher.Close()
	for i := range events {
		e, faults := event.Decode([]byte(strings.Replace(string(joined().Raw), "e-1", fmt.Sprint("e-", i), 1)))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if _, err := publisher.Accept(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	sent, putOff := map[uint64]int{}, map[uint64]int{}
	for len(sent)+len(putOff) < events {
		switch r := <-seen; {
		case r.Verdict.Kind == delivery.Delivered:
			sent[r.Sequence]++
			delete(putOff, r.Sequence)
		case r.Verdict.Reason == reasons.RateLimit && r.Verdict.Kind == delivery.Postpone:
			putOff[r.Sequence]++
		default:
			t.Errorf("got %+v", r.Verdict)
		}
	}
	for _, r := range replicas {
		r.stop()
	}
	if len(sent) != burst || site.requests.Load() != burst {
		t.Errorf("%d events were sent in %d requests, want the burst of %d", len(sent), site.requests.Load(), burst)
	}
}

// gather hands on what a replica reports until the test ends.
func gather(t *testing.T, r replica, into chan<- delivery.Report) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case report := <-r.seen.reports:
				into <- report
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
}
