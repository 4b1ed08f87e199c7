package delivery

import (
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Emptied is the record of a delivery that ends because its recipient's queue is emptied up to a sequence or its recipient deleted:
// without another attempt, whoever has the message in hand. newest is the delivery's newest record, if it has one. It is false if the
// delivery does not end.
func Emptied(r *recipient.Recipient, m Message, newest Record, has bool) (Record, bool) {
	v := emptied(r, m.Sequence)
	if v == nil {
		return Record{}, false
	}
	return untried(r, m, newest, has, *v), true
}

// untried is the record of a delivery that ends without another attempt.
func untried(r *recipient.Recipient, m Message, newest Record, has bool, v Verdict) Record {
	t := &task{Message: m, d: m.delivery(r)}
	if has {
		t.resumed(newest)
		t.d.adopt(newest)
	}
	t.d.Attempt = t.made
	rec := newRecord(r.Channel(), t, result{verdict: v})
	if has {
		rec.Expire = newest.Expire
	}
	return rec
}

// Unwanted says why a recipient, as it is now, is not to get an event that waits for it, and the state that the delivery will come to. It
// is false if the recipient is to get it.
func (m *Message) Unwanted(r *recipient.Recipient, matches func(*recipient.Recipient, *event.Event) (bool, error)) (
	v *Verdict, state State, unwanted bool,
) {
	v = match(r, *m)
	if v == nil || v.Kind == Postpone {
		v = filtered(r, m.Event, matches)
	}
	if v == nil {
		return nil, "", false
	}
	return v, stateOf(*v), true
}

// Acknowledged is the record of a delivery whose receiver has pulled and acknowledged it, so that no attempt is made any more. newest is
// the delivery's newest record, if it has one; one that has none and that the recipient is not to get ends with unwanted, if that is set.
func (m Message) Acknowledged(r *recipient.Recipient, number uint64, newest *Record, unwanted *Verdict, actor string) Record {
	m.Actor = actor
	var rec Record
	switch {
	case newest != nil:
		rec = untried(r, m, *newest, true, pulled())
	case unwanted != nil:
		rec = untried(r, m, Record{}, false, *unwanted)
	default:
		rec = untried(r, m, Record{}, false, pulled())
	}
	rec.Number = number
	return rec
}

func pulled() Verdict {
	return Verdict{Kind: Delivered, Reason: reasons.Pulled, Detail: "pulled and acknowledged by the receiver"}
}
