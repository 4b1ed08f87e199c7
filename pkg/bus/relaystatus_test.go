package bus_test

import (
	"errors"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/health"
)

func TestOneOfTwoWritersTellsHowTheRelayStands(t *testing.T) {
	s := control.NewHealthStore(bustest.Start(t).Conn())
	none, revision, err := s.Relay(t.Context())
	if err != nil || revision != 0 || none.Line != "" {
		t.Fatalf("before anybody told: %+v, %d, %v", none, revision, err)
	}
	told := health.Relay{Line: health.RelayOK, Etag: "1", Checked: time.Now().UTC()}
	if err := s.PutRelay(t.Context(), told, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.PutRelay(t.Context(), told, 0); !errors.Is(err, health.ErrConflict) {
		t.Errorf("a second first one: %v", err)
	}
	got, revision, err := s.Relay(t.Context())
	if err != nil || got != told {
		t.Errorf("read %+v, %v", got, err)
	}
	told.Line = "no"
	if err := s.PutRelay(t.Context(), told, revision); err != nil {
		t.Fatal(err)
	}
	if err := s.PutRelay(t.Context(), told, revision); !errors.Is(err, health.ErrConflict) {
		t.Errorf("over a revision that is gone: %v", err)
	}
}
