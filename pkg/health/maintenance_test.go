package health_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
)

func TestNobodyIsToldWithinAMaintenanceWindow(t *testing.T) {
	r := desk("desk", "a.example", 0)
	r.Enabled = true
	window := maintenance.Window{Zone: time.UTC, Start: time.Now().Add(-time.Hour), End: time.Now().Add(time.Hour)}
	r.Maintenance = maintenance.New([]maintenance.Window{window})
	w := newFixture(t, r)
	a := w.sender("a", nil)
	a.fails(r)
	w.until("it fails", func() bool { return w.status(r).Health == health.Failing })
	w.pass(a, after)
	w.want()
	// Once the window is removed, it is told of.
	now := *r
	now.Maintenance = nil
	w.dir.set(&now)
	w.until("it is told of", func() bool { return len(w.got()) > 0 })
	w.want(health.KindFailing)
}
