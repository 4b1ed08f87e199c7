package bus

// EventLog reads EVENTS: accepted events, replays and tests that are still stored.
type EventLog struct {
	conn *Conn
}

// NewEventLog reads through a connection.
func NewEventLog(c *Conn) *EventLog { return &EventLog{conn: c} }
