package emailsender

import (
	"fmt"
	"strings"

	"github.com/outbound-events/outbound/pkg/delivery"
)

// tally counts the states of a recipient's current addresses, which may have changed since the last attempt.
type tally struct {
	all, done int
	// refused and deferred name them by their places in the recipient's list, with the relay's codes.
	refused, deferred []string
	left              []string
}

func tallyOf(d *delivery.Delivery, progress delivery.Addresses) tally {
	var s tally
	for i, a := range progress.Of(d.Recipient.ID, d.Recipient.Email.Addresses) {
		s.all++
		which := fmt.Sprintf("address %d: %d", i+1, a.Code)
		if len(d.Recipient.Email.Addresses) == 1 {
			which = fmt.Sprint(a.Code)
		}
		switch a.State {
		case delivery.AddressAccepted:
			s.done++
		case delivery.AddressRefused:
			s.refused = append(s.refused, which)
		case delivery.AddressDeferred:
			s.deferred = append(s.deferred, which)
			s.left = append(s.left, a.Address)
		case delivery.AddressWaiting:
			s.left = append(s.left, a.Address)
		default: // impossible: there are no others
			s.left = append(s.left, a.Address)
		}
	}
	return s
}

// String describes the state of the addresses for operators, by number and without the addresses themselves.
func (s tally) String() string {
	text := fmt.Sprintf("%d of %s accepted", s.done, addresses(s.all))
	if n := len(s.refused); n > 0 {
		text += fmt.Sprintf(", %d permanently refused (%s)", n, strings.Join(s.refused, ", "))
	}
	if n := len(s.left); n > 0 {
		text += fmt.Sprintf(", %d will be retried", n)
	}
	if len(s.deferred) > 0 {
		text += " (" + strings.Join(s.deferred, ", ") + ")"
	}
	return text
}

func addresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}

// judge says what an outcome means: the one table from SMTP replies and faults to verdicts. An address is done or refused for
// good by itself; the delivery goes on while one of them is neither. What is wrong between us and the relay is never held
// against an address, 5xx or not, because the operator can mend it. Where our own limits were in the way, the attempt counts if
// the relay was asked about an address before.
func judge(d *delivery.Delivery, o delivery.Outcome) delivery.Verdict {
	s := tallyOf(d, delivery.ReadAddresses(o.Progress))
	detail := o.Detail
	if detail == "" {
		detail = s.String()
	}
	verdict := func(kind delivery.VerdictKind, reason delivery.Reason) delivery.Verdict {
		return delivery.Verdict{Kind: kind, Reason: reason, Detail: detail, After: o.RetryAfter}
	}
	switch {
	case s.all == 0:
		return delivery.Verdict{Kind: delivery.Drop, Reason: delivery.ReasonSMTPRefused, Detail: "the recipient has no addresses"}
	case len(s.left) == 0 && len(s.refused) == 0:
		return verdict(delivery.Delivered, delivery.ReasonOK)
	case len(s.left) == 0 && s.done > 0:
		return verdict(delivery.Delivered, delivery.ReasonPartlyDelivered)
	case len(s.left) == 0:
		return verdict(delivery.Drop, delivery.ReasonSMTPRefused)
	case o.Fault == delivery.FaultShutdown:
		return verdict(delivery.Postpone, delivery.ReasonShutdown)
	case o.Fault != delivery.FaultNone:
		return verdict(delivery.Retry, delivery.ReasonOf(o.Fault))
	case o.RetryAfter > 0 && o.Status == 0:
		return verdict(delivery.Postpone, delivery.ReasonRateLimit)
	case o.RetryAfter > 0 && s.done > 0:
		return verdict(delivery.Retry, delivery.ReasonPartlyDelivered)
	case o.RetryAfter > 0:
		return verdict(delivery.Retry, delivery.ReasonRateLimit)
	case o.Status >= 500:
		return verdict(delivery.Retry, delivery.ReasonSMTPRefused)
	case s.done > 0:
		return verdict(delivery.Retry, delivery.ReasonPartlyDelivered)
	default:
		return verdict(delivery.Retry, delivery.ReasonSMTPDeferred)
	}
}
