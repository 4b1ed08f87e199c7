package httpsender

import (
	"net/http"

	"github.com/outbound-events/outbound/pkg/delivery"
)

// refusedByProxy detects a response of the outbound proxy itself. For a target with https the dialer detects it; for
// one with http the proxy responds in place of the receiver, and 407 is the only status that no receiver sends.
func (c *client) refusedByProxy(resp *http.Response, o *delivery.Outcome) bool {
	if c.options.Proxy == nil || c.URL.Scheme != "http" || resp.StatusCode != http.StatusProxyAuthRequired {
		return false
	}
	_ = resp.Body.Close() // what else the proxy says is of no interest
	o.Fault, o.Detail = delivery.FaultProxy,
		"the outbound proxy refused the user or password (HTTP 407): check proxy.user and proxy.passwordFile"
	return true
}
