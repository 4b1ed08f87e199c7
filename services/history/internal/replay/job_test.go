package replay_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/replay"
)

// A process of another release reads what this one stores.
func TestTheStoredFormOfAReplayStays(t *testing.T) {
	const stored = `{"replay":{"id":"R1","deliveries":{"recipientId":"r1"},"rate":50,"state":"RUNNING","total":"7"},
		"next":12,"until":99,"behind":5,"counted":true,"owner":"P1","lease":"2026-11-21T10:00:00Z","stopAsked":"admin"}`
	r, next, again, err := replay.Reencode([]byte(stored))
	if err != nil {
		t.Fatal(err)
	}
	if r.GetId() != "R1" || r.GetState() != outboundv1.Replay_RUNNING || r.GetTotal() != 7 || next != 12 {
		t.Errorf("read %v, which goes on at %d", r, next)
	}
	var want, got any
	if err := json.Unmarshal([]byte(stored), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(again, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAReplayOfALaterReleaseIsRead(t *testing.T) {
	r, _, _, err := replay.Reencode([]byte(`{"replay":{"id":"R1","later":{}},"next":1,"until":2,"behind":0,"counted":false,"lease":"0001-01-01T00:00:00Z","more":1}`))
	if err != nil || r.GetId() != "R1" {
		t.Errorf("read %v, %v", r, err)
	}
	if _, _, _, err := replay.Reencode([]byte(`{"replay":[]}`)); err == nil {
		t.Error("what is no replay is read")
	}
}
