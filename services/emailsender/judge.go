package emailsender

import (
	"fmt"
	"strings"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/addresses"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
)

// tally counts the states of a recipient's current addresses, which may have changed since the last attempt.
type tally struct {
	all, done int
	// refused and deferred name them by their places in the recipient's list, with the relay's codes.
	refused, deferred []string
	left              []string
}

func tallyOf(d *delivery.Delivery, progress addresses.List) tally {
	var s tally
	for i, a := range progress.Of(d.Recipient.ID, d.Recipient.Email.Addresses) {
		s.all++
		which := fmt.Sprintf("address %d: %d", i+1, a.Code)
		if len(d.Recipient.Email.Addresses) == 1 {
			which = fmt.Sprint(a.Code)
		}
		switch a.State {
		case addresses.Accepted:
			s.done++
		case addresses.Refused:
			s.refused = append(s.refused, which)
		case addresses.Deferred:
			s.deferred = append(s.deferred, which)
			s.left = append(s.left, a.Address)
		case addresses.Waiting:
			s.left = append(s.left, a.Address)
		default: // impossible: there are no others
			s.left = append(s.left, a.Address)
		}
	}
	return s
}

// String describes the state of the addresses for operators, by number and without the addresses themselves.
func (s tally) String() string {
	text := fmt.Sprintf("%d of %s accepted", s.done, countAddresses(s.all))
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

func countAddresses(n int) string {
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
	s := tallyOf(d, addresses.Read(o.Progress))
	detail := o.Detail
	if detail == "" {
		detail = s.String()
	}
	verdict := func(kind delivery.VerdictKind, reason reasons.Reason) delivery.Verdict {
		return delivery.Verdict{Kind: kind, Reason: reason, Detail: detail, After: o.RetryAfter}
	}
	switch {
	case s.all == 0:
		return delivery.Verdict{Kind: delivery.Drop, Reason: reasons.SMTPRefused, Detail: "the recipient has no addresses"}
	case len(s.left) == 0 && len(s.refused) == 0:
		return verdict(delivery.Delivered, reasons.OK)
	case len(s.left) == 0 && s.done > 0:
		return verdict(delivery.Delivered, reasons.PartlyDelivered)
	case len(s.left) == 0:
		return verdict(delivery.Drop, reasons.SMTPRefused)
	case o.Fault == delivery.FaultShutdown:
		return verdict(delivery.Postpone, reasons.Shutdown)
	case o.Fault == delivery.FaultOverdue:
		return verdict(delivery.Postpone, reasons.Overdue)
	case o.Fault != delivery.FaultNone:
		return verdict(delivery.Retry, delivery.ReasonOf(o.Fault))
	case o.RetryAfter > 0 && o.Status == 0:
		return verdict(delivery.Postpone, reasons.RateLimit)
	case o.RetryAfter > 0 && s.done > 0:
		return verdict(delivery.Retry, reasons.PartlyDelivered)
	case o.RetryAfter > 0:
		return verdict(delivery.Retry, reasons.RateLimit)
	case o.Status >= 500:
		return verdict(delivery.Retry, reasons.SMTPRefused)
	case s.done > 0:
		return verdict(delivery.Retry, reasons.PartlyDelivered)
	default:
		return verdict(delivery.Retry, reasons.SMTPDeferred)
	}
}
