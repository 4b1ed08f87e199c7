package history

// Broker is the kind of broker that keeps the streams, and how durably.
type Broker int

// The brokers.
const (
	// ExternalBroker is a nats-server that the operator runs; Outbound cannot ask it how it syncs.
	ExternalBroker Broker = iota + 1
	// EmbeddedAlways runs in this process and syncs each write.
	EmbeddedAlways
	// EmbeddedInterval runs in this process and syncs now and then.
	EmbeddedInterval
)

// durabilityNotice says what a broker may lose; empty: nothing, or an operator confirmed that it syncs.
func durabilityNotice(b Broker, syncConfirmed bool) string {
	switch {
	case b == EmbeddedInterval:
		return "The broker syncs its files at intervals: accepted events may be lost if the host fails. Start with --sync always to prevent this."
	case b == ExternalBroker && !syncConfirmed:
		return "The broker is external: the durability of accepted events depends on its sync_interval. Confirm that nats-server runs with " +
			"sync_interval: always, then set syncConfirmed in the options of the history service."
	default:
		return ""
	}
}
