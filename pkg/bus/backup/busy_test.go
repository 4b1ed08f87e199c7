package backup_test

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bustest"
)

// TestNothingIsLostWhileEventsAreStored backs up under load. Each message up to the end of the backup is in it.
func TestNothingIsLostWhileEventsAreStored(t *testing.T) {
	from, to := bustest.Start(t).Conn(), bustest.Start(t).Conn()
	fill(t, from)
	ctx, cancel := context.WithCancel(t.Context())
	stored := make(chan int)
	go func() {
		n := 0
		for ctx.Err() == nil {
			m := nats.NewMsg("outbound.events.a1.t")
			m.Data = []byte(event(n))
			if _, err := from.JS.PublishMsg(ctx, m); err == nil {
				n++
			}
		}
		stored <- n
	}()
	path, m := take(t, from, true)
	cancel()
	n := <-stored
	if _, err := restore(t, to, path); err != nil {
		t.Fatal(err)
	}
	s := info(t, to, bus.StreamEvents).State
	if s.LastSeq != m.EventsSequence || s.Msgs != m.EventsSequence || m.EventsSequence < 300 {
		t.Errorf("the backup is as of %d, restored are %+v, stored were 300 and %d", m.EventsSequence, s, n)
	}
	raw, err := json.Marshal(m)
	if err != nil || bytes.Contains(raw, []byte("relay")) {
		t.Errorf("the manifest: %s, %v", raw, err)
	}
}
