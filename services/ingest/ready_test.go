package ingest_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// Who reports ready answers requests: the broker knows its subscription by then.
func TestReadyMeansThatRequestsAreAnswered(t *testing.T) {
	h := open(t, defaults(), "a-1")
	nc := h.appliance("a-1")
	for round := range 50 {
		h.stop()
		h.stop = h.background(h.service.Run)
		for h.service.Ready(t.Context()) != nil {
			runtime.Gosched()
		}
		if _, err := nc.Request(bus.IngestSubjectOf("a-1", kind), eventJSON("a-1", fmt.Sprint("e-", round)), waittest.Limit); err != nil {
			t.Fatalf("round %d: a request right after ready: %v", round, err)
		}
	}
}
