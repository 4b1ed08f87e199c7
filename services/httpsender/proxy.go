package httpsender

import (
	"net/http"

	"github.com/outbound-events/outbound/pkg/delivery"
)

// refusedByProxy notes an answer that is the outbound proxy's own. For a target with https the dialer has told it apart already; for
// one with http the proxy answers in the receiver's place, and 407 is the one status that no receiver sends.
func (c *client) refusedByProxy(resp *http.Response, o *delivery.Outcome) bool {
	if c.options.Proxy == nil || c.URL.Scheme != "http" || resp.StatusCode != http.StatusProxyAuthRequired {
		return false
	}
	_ = resp.Body.Close() // what else the proxy says is of no interest
	o.Fault, o.Detail = delivery.FaultProxy, "the outbound proxy refused the user or password (HTTP 407): check proxy.user and proxy.passwordFile"
	return true
}
