package lookup

import (
	"strings"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
)

// ValidID reports whether a value consists of the letters of ids, and of those in extra. Ids are parts of the subjects that are searched.
func ValidID(value, extra string) bool {
	for _, r := range value {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
		if !letter && !strings.ContainsRune(extra, r) {
			return false
		}
	}
	return true
}

// InvalidID is the violation of a field whose value is not a valid id.
func InvalidID(field string) rpc.Violation {
	return rpc.Violation{
		Field: field, Reason: event.ReasonUnsafe, Description: "is not a valid id: use letters, digits, _ and -",
	}
}

// InvalidKey is the violation of a field whose value is not an event's key.
func InvalidKey(field string) rpc.Violation {
	return rpc.Violation{Field: field, Reason: event.ReasonUnsafe, Description: "is not an event key: use <appliance>~<event id>"}
}

// AttemptID is the event id in the log of a delivery: that of a replay ends in a tilde and the id of the replay.
func AttemptID(eventID, replayID string) string {
	if replayID == "" {
		return eventID
	}
	return eventID + "~" + replayID
}

// Attempted reports whether a record tells of an attempt, or of one that an open breaker prevented. Neither skips nor cancellations
// say anything of the receiver.
func Attempted(r delivery.Record) bool { return r.Attempt > 0 || r.State == delivery.StateExpired }
