package delivery

import (
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// CancelledBacklog is the record of a delivery that ends because its message keeps EVENTS from being purged: without another attempt,
// whoever has the message in hand. newest is the delivery's newest record, or nil.
func CancelledBacklog(r *recipient.Recipient, m Message, newest *Record) Record {
	t := &task{Message: m, d: m.delivery(r)}
	if newest != nil {
		t.resumed(*newest)
		t.d.adopt(*newest)
	}
	t.d.Attempt = t.made
	return newRecord(r.Channel(), t, result{verdict: Verdict{Kind: Drop, Reason: reasons.Backlog}})
}
