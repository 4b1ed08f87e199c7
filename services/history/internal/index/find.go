package index

import (
	"sort"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/event"
)

// Attempts finds records of attempts in part of the log that may match a filter, newest first: at most most of them. It leaves out a
// record of a delivery that will be retried if another record of the delivery followed it by part.Until. The index has no event ids, so
// it finds the records of all events. reached is the sequence from which on all have been found. ok is false if the index does not
// hold the record before part.Before.
func (x *Index) Attempts(f deliverylog.AttemptFilter, part deliverylog.Range, most int) (found []uint64, reached uint64, ok bool) {
	want := row{
		recipient: x.hash(f.Recipient), kind: x.hash(f.Type), session: x.hash(event.Token(f.Session)), key: x.hash(keyOf(f.ExternalKey)),
		appliance: x.hash(f.Appliance), replayed: x.hash(f.ReplayID),
	}
	x.mu.RLock()
	want.channel, want.class, want.reason = x.known(f.Channel), x.known(string(f.Class)), x.known(string(f.Reason))
	states := make([]bool, unknownWord+1)
	states[0] = true // an unknown state may be any
	for _, s := range f.AllStates() {
		states[x.known(string(s))] = true
	}
	x.mu.RUnlock()
	every := len(f.AllStates()) == 0
	return x.scan(part.From, part.Before, most, func(r *row) bool {
		return r.state != refused && r.state != accepted && (every || states[r.state]) && (r.next == 0 || r.next > part.Until) &&
			same(want.recipient, r.recipient) && same(want.kind, r.kind) && same(want.session, r.session) && same(want.key, r.key) &&
			same(want.appliance, r.appliance) && (want.replayed == 0 || want.replayed == r.replayed) &&
			same(want.channel, r.channel) && same(want.class, r.class) && same(want.reason, r.reason)
	})
}

// Intakes finds records of intake decisions that may match a filter, as Attempts does.
func (x *Index) Intakes(f deliverylog.IntakeFilter, from, before uint64, most int) (found []uint64, reached uint64, ok bool) {
	want := row{
		kind: x.hash(f.Type), session: x.hash(event.Token(f.Session)), key: x.hash(keyOf(f.ExternalKey)), appliance: x.hash(f.Appliance),
	}
	both := f.Accepted == f.Rejected
	return x.scan(from, before, most, func(r *row) bool {
		return (r.state == accepted && (both || f.Accepted) || r.state == refused && (both || f.Rejected)) &&
			same(want.kind, r.kind) && same(want.session, r.session) && same(want.key, r.key) && same(want.appliance, r.appliance)
	})
}

func keyOf(externalKey string) string {
	if externalKey == "" {
		return ""
	}
	return deliverylog.KeyToken(externalKey)
}

// same reports whether a value may be the wanted one: any is if none is wanted, and an unknown value may be any.
func same[T uint8 | uint32](want, have T) bool { return want == 0 || have == 0 || want == have }

// known is the number of a word; 0 if none is wanted.
func (x *Index) known(s string) uint8 {
	if s == "" {
		return 0
	}
	if n, ok := x.words[s]; ok {
		return n
	}
	return unknownWord
}

// Followed reports whether another record of the delivery followed the one at a sequence, after which the delivery was to be retried.
// False: none did, or the index does not hold the record.
func (x *Index) Followed(sequence uint64) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n := sort.Search(len(x.chunks), func(i int) bool { return x.chunks[i][0].sequence > sequence })
	if n == 0 {
		return false
	}
	rows := x.chunks[n-1]
	i := sort.Search(len(rows), func(i int) bool { return rows[i].sequence >= sequence })
	return i < len(rows) && rows[i].sequence == sequence && rows[i].next > 0
}
