package relay

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
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
	if f.Step == StepToken && f.Slow == 0 || f.Step == StepTurn {
		return cause
	}
	switch f.Fault {
	case delivery.FaultNone:
		return f.refusal(where)
	case delivery.FaultDNS:
		return fmt.Sprintf("the host name of %s is not found: check host", where)
	case delivery.FaultConnect:
		return fmt.Sprintf("can't connect to %s (%s): check host, port and firewall", where, cause)
	case delivery.FaultTimeout, delivery.FaultConnectTimeout:
		return f.late(where)
	case delivery.FaultTLS:
		return fmt.Sprintf("TLS with %s failed: %s%s", where, cause, f.checkTLS())
	case delivery.FaultAuth:
		if f.Code == 0 {
			return fmt.Sprintf("authentication at %s failed: %s", where, cause)
		}
		words := fmt.Sprintf("%s refused authentication: it responded with %d to %s", where, f.Code, f.Step)
		if f.Reply != "" {
			words += ": " + shortened(f.Reply)
		}
		return words + ": check auth, username and password"
	case delivery.FaultCut:
		return fmt.Sprintf("%s closed the connection at %s%s", where, f.Step, hint(where, f.Step))
	case delivery.FaultProtocol, delivery.FaultEgress, delivery.FaultRender, delivery.FaultRelayUnset, delivery.FaultShutdown,
		delivery.FaultProxy, delivery.FaultOverdue:
		return fmt.Sprintf("%s sent an invalid response at %s (%s): check that an SMTP server listens on this port with this encryption%s",
			where, f.Step, cause, hint(where, f.Step))
	default:
		return fmt.Sprintf("%s failed at %s: %s", where, f.Step, cause)
	}
}

// refusal is what the relay answered, and what to check by RFC 3463.
func (f *Failure) refusal(where string) string {
	if f.unsupported {
		return where + ": " + f.Reply
	}
	words := fmt.Sprintf("%s responded with %d to %s: %s", where, f.Code, f.Step, shortened(f.Reply))
	s, _ := statusOf(f.Reply)
	switch {
	case f.Code == codeClosing || f.Code < 500:
		return words
	case f.Step == StepMail || s.subject == subjectAddress:
		return words + ": check fromAddress, auth and what the relay lets this host send"
	case s.subject == subjectSecurity || f.Step.ofMail():
		return words + ": check auth, fromAddress, helloName and what the relay lets this host send"
	default:
		return words
	}
}

// late is that the relay takes too long.
func (f *Failure) late(where string) string {
	check := ": check port and encryption, or the relay itself"
	switch {
	case f.Step == StepToken:
		return fmt.Sprintf("%s has not responded within %s, still waiting: check oauth2.tokenUrl and the connection to it", f.Step, f.Slow)
	case f.Step == StepConnect:
		check = ": check host, port and firewall"
	case f.Step.ofMail():
		check = ": check the relay itself"
	}
	words := fmt.Sprintf("%s did not respond in time at %s", where, f.Step)
	if f.Slow > 0 {
		words = fmt.Sprintf("%s has not responded within %s at %s, still waiting", where, f.Slow, f.Step)
	}
	return words + check + hint(where, f.Step)
}

// checkTLS is what to look at where no encrypted connection comes about. Empty: the cause says it.
func (f *Failure) checkTLS() string {
	var said *explained
	if errors.As(f.Cause, &said) {
		return ""
	}
	var plain tls.RecordHeaderError
	if errors.As(f.Cause, &plain) {
		return fmt.Sprintf(": it does not speak TLS from the first byte but says %q: set encryption to STARTTLS, or check port",
			strings.TrimSpace(string(plain.RecordHeader[:])))
	}
	return ": check encryption and caCertificatePem"
}

// hint is about the port where a relay does not speak as expected when it is first spoken to.
func hint(where string, s Step) string {
	_, port, _ := net.SplitHostPort(where)
	switch {
	case port == "465" && (s == StepBanner || s == StepHello):
		return " (relays on port 465 usually expect encryption TLS)"
	case (port == "587" || port == "25") && s == StepHandshake:
		return " (relays on port " + port + " usually expect encryption STARTTLS)"
	default:
		return ""
	}
}
