package pull

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// watchAgain is the pause before the marks are watched again.
const watchAgain = 500 * time.Millisecond

// Marks knows up to where receivers have acknowledged what they have pulled.
type Marks struct {
	through sync.Map
}

// Through is the sequence of EVENTS up to which a recipient has acknowledged; 0: it has not.
func (m *Marks) Through(recipientID string) uint64 {
	through, _ := m.through.Load(recipientID)
	sequence, _ := through.(uint64)
	return sequence
}

// Follow keeps to the marks of the recipients of a channel until ctx ends.
func (m *Marks) Follow(ctx context.Context, conn *bus.Conn, ch recipient.Channel, log *slog.Logger) {
	for ctx.Err() == nil {
		err := control.NewPulledMarks(conn).Watch(ctx, ch, func(id string, mark control.PulledMark) {
			m.through.Store(id, mark.Sequence)
		})
		if err != nil && ctx.Err() == nil && conn.Connected() {
			log.Warn("watching what receivers have acknowledged failed, retrying", telemetry.KeyError, err.Error())
		}
		pause.For(ctx, watchAgain)
	}
}
