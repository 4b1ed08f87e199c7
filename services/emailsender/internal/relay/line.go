package relay

import (
	"fmt"
	"strings"

	"github.com/outbound-events/outbound/pkg/delivery"
)

// maxLine is how long a line may be, in bytes.
const maxLine = 300

// Line says in one line what is wrong with a relay, and what to look at. It holds no secrets and no addresses of people.
func (f *Failure) Line(r Relay) string {
	line := strings.Join(strings.Fields(f.words(r.address())), " ")
	if len(line) > maxLine {
		line = strings.ToValidUTF8(line[:maxLine], "") + "…"
	}
	return line
}

func (f *Failure) words(where string) string {
	cause := ""
	if f.Cause != nil {
		cause = withoutAddresses(innermost(f.Cause).Error())
	}
	if f.Step == StepToken || f.Step == StepTurn {
		return cause
	}
	switch f.Fault {
	case delivery.FaultNone:
		return fmt.Sprintf("%s responded with %d to %s: %s", where, f.Code, f.Step, f.Reply)
	case delivery.FaultDNS:
		return fmt.Sprintf("the host name of %s is not found: check host", where)
	case delivery.FaultConnect:
		return fmt.Sprintf("can't connect to %s (%s): check host, port and firewall", where, cause)
	case delivery.FaultTimeout, delivery.FaultConnectTimeout:
		return fmt.Sprintf("%s did not respond in time at %s: check port and encryption, or the relay itself", where, f.Step)
	case delivery.FaultTLS:
		return fmt.Sprintf("TLS with %s failed: %s: check encryption and caCertificatePem", where, cause)
	case delivery.FaultAuth:
		if f.Code == 0 {
			return fmt.Sprintf("authentication at %s failed: %s", where, cause)
		}
		return fmt.Sprintf("%s refused authentication: it responded with %d to %s: check auth, username and password", where, f.Code, f.Step)
	case delivery.FaultCut:
		return fmt.Sprintf("%s closed the connection at %s", where, f.Step)
	case delivery.FaultProtocol, delivery.FaultEgress, delivery.FaultRender, delivery.FaultRelayUnset, delivery.FaultShutdown,
		delivery.FaultProxy, delivery.FaultOverdue:
		return fmt.Sprintf("%s sent an invalid response at %s (%s): check that an SMTP server listens on this port with this encryption",
			where, f.Step, cause)
	default:
		return fmt.Sprintf("%s failed at %s: %s", where, f.Step, cause)
	}
}
