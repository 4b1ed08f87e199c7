package delivery

import "github.com/outbound-events/outbound/pkg/recipient"

// Emptied is the record of a delivery that ends because its recipient's queue is emptied up to a sequence or its recipient deleted:
// without another attempt, whoever has the message in hand. newest is the delivery's newest record, if it has one. It is false if the
// delivery does not end.
func Emptied(r *recipient.Recipient, m Message, newest Record, has bool) (Record, bool) {
	v := emptied(r, m.Sequence)
	if v == nil {
		return Record{}, false
	}
	t := &task{Message: m, d: m.delivery(r)}
	if has {
		t.resumed(newest)
		t.d.adopt(newest)
	}
	t.d.Attempt = t.made
	rec := newRecord(r.Channel(), t, result{verdict: *v})
	if has {
		rec.Expire = newest.Expire
	}
	return rec, true
}
