package control

import "github.com/outbound-events/outbound/pkg/bus/internal/wire"

// Client asks the broker about recipients' consumers and streams, and other processes through the broker.
type Client struct {
	conn *wire.Conn
}

// New is the control of the broker that a connection leads to.
func New(c *wire.Conn) Client { return Client{conn: c} }
