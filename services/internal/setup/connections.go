package setup

import (
	"crypto/tls"
	"log/slog"
	"net"

	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// LimitConnections bounds the connections of a listener and logs those that are refused. answer is what they are told; empty: nothing.
func LimitConnections(l net.Listener, o process.ConnectionLimits, answer string, log *slog.Logger) net.Listener {
	return process.LimitConnections(l, o, answer, func(address string, count int) {
		log.Warn("connections refused: too many are open, see the options connections and connectionsPerAddress",
			telemetry.KeyClient, address, logkey.Refused, count)
	})
}

// Refusal is what an HTTP client is told whose connection is refused. With TLS it is nothing: no handshake has been made.
func Refusal(c *tls.Config) string {
	if c != nil {
		return ""
	}
	return process.TooManyConnections
}
