package embed

import "github.com/nats-io/jwt/v2"

// Limits are how much of the broker one appliance may use. 0: the default.
type Limits struct {
	// Connections is how many it may have open; a further one is refused with "maximum account active connections exceeded".
	Connections int
	// Subscriptions is how many each of them may have; a further one is refused with "maximum subscriptions exceeded".
	Subscriptions int
}

// The defaults of Limits.
const (
	defaultConnections   = 1000
	defaultSubscriptions = 1000
)

// claims are the limits of an appliance's account as nats-server takes them.
func (o Options) claims(id string) *jwt.AccountClaims {
	c := jwt.NewAccountClaims(accountOf(id))
	c.Name = accountOf(id)
	c.Limits.Conn, c.Limits.Subs = defaultConnections, defaultSubscriptions
	if o.Limits.Connections > 0 {
		c.Limits.Conn = int64(o.Limits.Connections)
	}
	if o.Limits.Subscriptions > 0 {
		c.Limits.Subs = int64(o.Limits.Subscriptions)
	}
	return c
}
