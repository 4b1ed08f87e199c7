package wire

import (
	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/event"
)

// PutEvent writes an event into a message. Headers tell the appliance and the type where the event itself names others.
func PutEvent(m *nats.Msg, e *event.Event) {
	m.Data = e.Raw
	if e.Source != "" && e.Source != e.Appliance {
		m.Header.Set(names.HeaderAppliance, e.Appliance)
	}
	if e.SentType != "" && e.SentType != e.Type {
		m.Header.Set(names.HeaderType, e.Type)
	}
}

// Event reads the event of a message in EVENTS.
func Event(m *nats.Msg) (*event.Event, event.Violations) {
	return event.Stored(m.Data, m.Header.Get(names.HeaderAppliance), m.Header.Get(names.HeaderType))
}
