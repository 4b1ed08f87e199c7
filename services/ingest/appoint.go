package ingest

import (
	"fmt"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/settings"
)

// appoint gives an event its appliance: who signed in or whom the subject names, else its source. A source that is another appliance's
// id is refused, because receivers would take the event for that one's.
func appoint(s submission, e *event.Event, known *settings.Settings) event.Violations {
	if s.appliance == "" {
		if e.Source != "" && e.Appliance == "" {
			return event.Violations{{Field: "source", Reason: event.ReasonUnknownSource, Description: "is not an appliance's id, and the token " +
				"belongs to none: use an appliance's token, name the appliance in appliance_id, or set source to its id"}}
		}
		return nil
	}
	if !event.ValidAppliance(s.appliance) {
		e.Appliance = ""
		return event.Violations{{Field: "appliance_id", Reason: event.ReasonUnsafe,
			Description: "is not an appliance's id: use 1 to 64 letters, digits, _ and -"}}
	}
	if s.named != "" && s.named != s.appliance {
		v := wrongAppliance(s)
		v.Field = "appliance_id"
		return event.Violations{v}
	}
	other := e.Appliance
	e.Appliance = s.appliance
	if _, is := known.Appliances[other]; is && other != s.appliance {
		return event.Violations{wrongAppliance(s)}
	}
	return nil
}

func wrongAppliance(s submission) event.Violation {
	if s.bound {
		return event.Violation{Field: "source", Reason: event.ReasonNotYours,
			Description: fmt.Sprintf("is another appliance and the token belongs to %q: an appliance can publish only its own events", s.appliance)}
	}
	return event.Violation{Field: "source", Reason: event.ReasonSubjectMismatch,
		Description: fmt.Sprintf("is another appliance than the one that the subject or the request names, %q: publish under the "+
			"appliance's own id", s.appliance)}
}
