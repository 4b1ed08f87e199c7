package emailsender

import (
	"encoding/json"
	"fmt"
	"strings"

	"crypto/sha256"
	"encoding/hex"

	"github.com/outbound-events/outbound/pkg/delivery"
)

// progress is what became of the addresses of a delivery so far. It stands in history, so it names addresses by hash alone.
type progress struct {
	// Done are the addresses the relay accepted the mail for.
	Done []string `json:"done,omitempty"`
	// Refused are the addresses it refused for good, with its code.
	Refused map[string]int `json:"refused,omitempty"`
}

// readProgress reads what an earlier attempt left. What can't be read counts as nothing done: a second mail is better than
// none.
func readProgress(raw json.RawMessage) progress {
	var p progress
	if len(raw) > 0 && json.Unmarshal(raw, &p) != nil {
		p = progress{}
	}
	if p.Refused == nil {
		p.Refused = map[string]int{}
	}
	return p
}

// write is the progress as it is kept.
func (p progress) write() json.RawMessage {
	raw, err := json.Marshal(p)
	if err != nil { // impossible: texts and numbers
		return nil
	}
	return raw
}

// addressHash names an address of a recipient in its records.
func addressHash(recipientID, address string) string {
	h := sha256.Sum256([]byte(recipientID + "/" + strings.ToLower(address)))
	return hex.EncodeToString(h[:8])
}

// tally is how the addresses that a recipient has now stand.
type tally struct {
	all, done, refused int
	// code is the relay's for one that was refused.
	code int
	left []string
}

// standingOf compares the progress with the recipient's addresses, which may have changed since.
func (p progress) standingOf(d *delivery.Delivery) tally {
	done := make(map[string]bool, len(p.Done))
	for _, h := range p.Done {
		done[h] = true
	}
	var s tally
	for _, a := range d.Recipient.Email.Addresses {
		s.all++
		h := addressHash(d.Recipient.ID, a)
		code, refused := p.Refused[h]
		switch {
		case done[h]:
			s.done++
		case refused:
			s.refused++
			s.code = code
		default:
			s.left = append(s.left, a)
		}
	}
	return s
}

// String says how the addresses stand, for operators: figures, no addresses.
func (s tally) String() string {
	text := fmt.Sprintf("%d of %s accepted", s.done, addresses(s.all))
	if s.refused > 0 {
		text += fmt.Sprintf(", %d refused for good (%d)", s.refused, s.code)
	}
	if n := len(s.left); n > 0 {
		text += fmt.Sprintf(", %d to be tried again", n)
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
// against an address, 5xx or not, because the operator can mend it.
func judge(d *delivery.Delivery, o delivery.Outcome) delivery.Verdict {
	s := readProgress(o.Progress).standingOf(d)
	detail := o.Detail
	if detail == "" {
		detail = s.String()
	}
	verdict := func(kind delivery.VerdictKind, reason delivery.Reason) delivery.Verdict {
		return delivery.Verdict{Kind: kind, Reason: reason, Detail: detail}
	}
	switch {
	case s.all == 0:
		return delivery.Verdict{Kind: delivery.Drop, Reason: delivery.ReasonSMTPRefused, Detail: "the recipient has no addresses"}
	case len(s.left) == 0 && s.refused == 0:
		return verdict(delivery.Delivered, delivery.ReasonOK)
	case len(s.left) == 0 && s.done > 0:
		return verdict(delivery.Delivered, delivery.ReasonPartlyDelivered)
	case len(s.left) == 0:
		return verdict(delivery.Drop, delivery.ReasonSMTPRefused)
	case o.Fault == delivery.FaultShutdown:
		return verdict(delivery.Postpone, delivery.ReasonShutdown)
	case o.Fault != delivery.FaultNone:
		return verdict(delivery.Retry, delivery.ReasonOf(o.Fault))
	case o.Status >= 500:
		return verdict(delivery.Retry, delivery.ReasonSMTPRefused)
	case s.done > 0:
		return verdict(delivery.Retry, delivery.ReasonPartlyDelivered)
	default:
		return verdict(delivery.Retry, delivery.ReasonSMTPDeferred)
	}
}
