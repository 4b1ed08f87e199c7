package event

import "time"

// IntakeRecord is a line of history: what was decided of an event at intake.
type IntakeRecord struct {
	// Accepted says which of the two.
	Accepted bool `json:"accepted"`
	// Appliance as far as it is known: from the subject or the token, else from the event.
	Appliance string `json:"appliance,omitempty"`
	// EventID within the appliance, if it could be read.
	EventID     string     `json:"eventId,omitempty"`
	Type        string     `json:"type,omitempty"`
	Session     string     `json:"session,omitempty"`
	ExternalKey string     `json:"externalKey,omitempty"`
	EventTime   *time.Time `json:"eventTime,omitempty"`
	// Time of the decision.
	Time time.Time `json:"time"`
	// Sequence in EVENTS, if accepted.
	Sequence uint64 `json:"sequence,omitempty"`
	// Violations, if rejected.
	Violations Violations `json:"violations,omitempty"`
	// Raw is what was sent, at most MaxRawKept bytes (base64 in JSON), if rejected.
	Raw []byte `json:"raw,omitempty"`
	// Via is how it came: "nats" or "http"; empty if that is not known.
	Via string `json:"via"`
	// Recovered says that the record was made later of the stored event, because the process that accepted it ended before it had
	// written one.
	Recovered bool `json:"recovered,omitempty"`
}

// MaxRawKept is how much of a rejected event is kept, in bytes.
const MaxRawKept = 16 << 10

// JSON is the record as it is stored: what encoding/json makes of it.
func (r *IntakeRecord) JSON() ([]byte, error) {
	l := NewLine(384)
	l.Flag("accepted", r.Accepted)
	l.TextIf("appliance", r.Appliance)
	l.TextIf("eventId", r.EventID)
	l.TextIf("type", r.Type)
	l.TextIf("session", r.Session)
	l.TextIf("externalKey", r.ExternalKey)
	l.TimeIf("eventTime", r.EventTime)
	l.Time("time", r.Time)
	l.UintIf("sequence", r.Sequence)
	if len(r.Violations) > 0 {
		l.Any("violations", r.Violations)
	}
	if len(r.Raw) > 0 {
		l.Any("raw", r.Raw)
	}
	l.Text("via", r.Via)
	l.FlagIf("recovered", r.Recovered)
	return l.End()
}
