package setup

import (
	"context"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// ClockReport is where a process says how far its clock is off.
type ClockReport struct {
	// Name is the process's.
	Name      string
	Notices   *notice.Board
	Telemetry *telemetry.Telemetry
}

// WatchClock reports how far the clock of this process is from the broker's, until ctx ends: as a metric, and as a notice if it is off.
func WatchClock(ctx context.Context, c *bus.Conn, r ClockReport) {
	offset := r.Telemetry.Gauge("clock_offset_seconds", "How far the clock of this process is ahead of the broker's; negative: behind.").With()
	control.New(c).WatchClock(ctx, control.ClockWatcher{
		Name: r.Name, Observe: offset.Set,
		Notify: func(text string) { r.Notices.Set("clock", text) },
	})
}
