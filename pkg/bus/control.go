package bus

// Control asks the broker about recipients' consumers and streams, and other processes through the broker.
type Control struct {
	conn *Conn
}

// NewControl is the control of the broker that a connection leads to.
func NewControl(c *Conn) Control { return Control{conn: c} }
