package config_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// selections are what EVENTS says that recipients select, in its order: the recipient's id, "ended" or its types.
func (h *fixture) selections() (out [][]string) {
	h.t.Helper()
	js, err := h.bus.IntakeConn().JetStream()
	if err != nil {
		h.t.Fatal(err)
	}
	last := h.lastSequence()
	for q := uint64(1); q <= last; q++ {
		m, err := js.GetMsg(bus.StreamEvents, q)
		if err != nil {
			continue // removed by the test
		}
		var c struct {
			Recipient string
			Selection struct{ Types []string }
			Ended     bool
		}
		text := m.Header.Get("Outbound-Selection")
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			h.t.Fatal(err)
		}
		if c.Ended {
			c.Selection.Types = []string{"ended"}
		}
		out = append(out, slices.Concat([]string{c.Recipient}, c.Selection.Types))
	}
	return out
}

// TestWhatIsCountedIsAPartOfWhatIsHandedOut changes the event types of a recipient: those that go are no longer counted before the
// consumer loses them, those that come are counted after it has them.
func TestWhatIsCountedIsAPartOfWhatIsHandedOut(t *testing.T) {
	h := start(t)
	const begins, ends, joins = "support_conference_begin", "support_conference_end", "support_conference_member_added"
	r := h.create(httpRecipient("R"))
	r.EventTypes = []string{joins, ends}
	if err := h.tryUpdate(h.ctx(), r, "event_types"); err != nil {
		t.Fatal(err)
	}
	r = h.stored("r").GetRecipient()
	r.DisplayName, r.Etag = "Renamed", "" // selects the same
	if err := h.tryUpdate(h.ctx(), r, "display_name"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.admin.DeleteRecipient(h.ctx(), &outboundv1.DeleteRecipientRequest{Id: "r"}); err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"r", begins, ends}, {"r", ends}, {"r", ends, joins}, {"r", "ended"}}
	h.eventually("the recipient has ended", func() bool { return len(h.selections()) >= len(want) })
	if diff := cmp.Diff(want, h.selections()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestARecipientOfAnEarlierReleaseIsCounted has a config service start where EVENTS does not say what a recipient selects.
func TestARecipientOfAnEarlierReleaseIsCounted(t *testing.T) {
	h := start(t)
	h.create(httpRecipient("R"))
	h.stop()
	js, err := h.bus.IntakeConn().JetStream()
	if err == nil {
		err = js.PurgeStream(bus.StreamEvents, &nats.StreamPurgeRequest{Subject: "outbound.replay.~"})
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := h.selections(); len(got) != 0 {
		t.Fatalf("EVENTS says %v", got)
	}
	h.run(eager)
	h.eventually("what it selects is stored", func() bool { return len(h.selections()) == 1 })
	h.passed()
	if got := h.selections(); got[0][0] != "r" || len(got) != 3 { // with the beginning and the end of the one that has passed
		t.Errorf("EVENTS says %v", got)
	}
}
