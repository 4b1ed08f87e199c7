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

// ValidKey reports whether the parts of an event's key can be parts of a subject: an appliance's id and the token of an event's id.
func ValidKey(appliance, id string) bool {
	return ValidID(appliance, "") && (id == "" || event.ValidToken(id))
}

// EventKey is what a caller asked for as a key or a bare id of an event: an id as it was sent is replaced by its token.
func EventKey(asked string) string {
	appliance, id, isKey := event.SplitKey(asked)
	if isKey && ValidKey(appliance, id) {
		return asked
	}
	if before, after, found := strings.Cut(asked, "~"); found && ValidID(before, "") && before != "" && after != "" {
		return event.Key(before, event.Token(after))
	}
	if event.ValidToken(asked) {
		return asked
	}
	return event.Token(asked)
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
