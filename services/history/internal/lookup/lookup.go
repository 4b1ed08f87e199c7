// Package lookup finds events by their ids in the streams.
package lookup

import (
	"context"
	"errors"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/event"
)

// Finder finds events by their ids.
type Finder struct {
	Bus    *bus.Conn
	Log    *deliverylog.Log
	Config *configclient.Client
}

// Intake finds the acceptance of an event. Without an appliance it asks for every known one; an id that several have is not
// found.
func (f *Finder) Intake(ctx context.Context, appliance, id string) (rec event.IntakeRecord, ok bool, err error) {
	if appliance != "" {
		return f.Log.Intake(ctx, appliance, id)
	}
	if err := AwaitConfig(ctx, f.Config); err != nil {
		return rec, false, err
	}
	for known := range f.Config.Settings().Appliances {
		r, found, err := f.Log.Intake(ctx, known, id)
		if err != nil {
			return rec, false, err
		}
		if found && ok {
			return event.IntakeRecord{}, false, nil
		}
		if found {
			rec, ok = r, true
		}
	}
	return rec, ok, nil
}

// Sequence finds where an event is stored: by its acceptance, or by a delivery if the log does not have that. 0: nowhere.
func (f *Finder) Sequence(ctx context.Context, appliance, id string) (uint64, error) {
	rec, ok, err := f.Log.Intake(ctx, appliance, id)
	if err != nil || ok {
		return rec.Sequence, err
	}
	found, err := f.Log.Attempts(ctx, deliverylog.AttemptFilter{Appliance: appliance, EventID: id}, 0, 1)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return found[0].Record.Sequence, nil
}

// StoredEvent reads an event by its sequence; nil if it is no longer stored.
func (f *Finder) StoredEvent(ctx context.Context, sequence uint64, key string) (*event.Event, error) {
	if sequence == 0 {
		return nil, nil
	}
	e, err := eventlog.New(f.Bus).StoredEvent(ctx, sequence)
	if errors.Is(err, bus.ErrNotFound) || err == nil && e.Key() != key {
		return nil, nil
	}
	return e, err
}

// Event is the event of an intake record, as far as the record tells.
func Event(r event.IntakeRecord) *event.Event {
	return &event.Event{ID: r.EventID, Appliance: r.Appliance, Type: r.Type, Session: r.Session, ExternalKey: r.ExternalKey}
}
