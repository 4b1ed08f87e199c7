package storecheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// ledger is what the log tells of events that are gone.
type ledger struct {
	lost []Range
	// accepted are the acceptances of lost events by their sequence.
	accepted map[uint64]event.IntakeRecord
	// newest is the newest record of each delivery that is open, or that is of a lost event.
	newest map[pair]newest
}

// pair is a delivery: a recipient and a message of EVENTS.
type pair struct {
	recipient string
	sequence  uint64
}

type newest struct {
	at  uint64
	rec delivery.Record
}

func newLedger(lost []Range) *ledger {
	return &ledger{lost: lost, accepted: map[uint64]event.IntakeRecord{}, newest: map[pair]newest{}}
}

func (l *ledger) isLost(sequence uint64) bool {
	return slices.ContainsFunc(l.lost, func(r Range) bool { return sequence >= r.First && sequence <= r.Last })
}

// note takes a record of the log, in the log's order.
func (l *ledger) note(r record) {
	if strings.HasPrefix(r.subject, names.SubjectIntake+".") {
		var rec event.IntakeRecord
		if l.isLost(r.Sequence) && json.Unmarshal(r.raw, &rec) == nil && rec.Accepted {
			l.accepted[r.Sequence] = rec
		}
		return
	}
	var rec delivery.Record
	if json.Unmarshal(r.raw, &rec) != nil {
		return
	}
	key := pair{rec.Recipient, rec.Sequence}
	if rec.State != delivery.StateRetrying && !l.isLost(rec.Sequence) {
		delete(l.newest, key)
		return
	}
	l.newest[key] = newest{at: r.at, rec: rec}
}

// keepGone forgets open deliveries whose event is still stored.
func (l *ledger) keepGone(ctx context.Context, c *wire.Conn) error {
	var sequences []uint64
	for key := range l.newest {
		if !l.isLost(key.sequence) {
			sequences = append(sequences, key.sequence)
		}
	}
	slices.Sort(sequences)
	stored := map[uint64]bool{}
	for _, s := range slices.Compact(sequences) {
		ms, err := c.Direct(ctx, names.StreamEvents, wire.DirectRequest{Sequence: s})
		if err != nil {
			return fmt.Errorf("look up event %d: %w", s, err)
		}
		stored[s] = len(ms) == 1 && wire.StoredSequence(ms[0]) == s
	}
	for key := range l.newest {
		if stored[key.sequence] {
			delete(l.newest, key)
		}
	}
	return nil
}

// due is a delivery to be ended, and the sequence of its newest record; 0: it has none.
type due struct {
	rec   delivery.Record
	after uint64
}

// owed are the deliveries of lost events that have no final state: those in RETRYING, and those without a record of recipients that want
// the event and have not settled it.
func (l *ledger) owed(recipients []*recipient.Recipient, floors map[string]uint64) (out []due) {
	for _, n := range l.newest {
		if n.rec.State == delivery.StateRetrying {
			out = append(out, due{rec: ended(n.rec), after: n.at})
		}
	}
	for sequence, a := range l.accepted {
		for _, r := range recipients {
			if _, recorded := l.newest[pair{r.ID, sequence}]; recorded || !wants(r, a, floors) {
				continue
			}
			out = append(out, due{rec: ended(delivery.Record{
				Recipient: r.ID, Channel: string(r.Channel()), EventID: a.EventID, Appliance: a.Appliance, Type: a.Type, Session: a.Session,
				ExternalKey: a.ExternalKey, Sequence: sequence, Accepted: a.Time, Expire: a.Time,
			})})
		}
	}
	slices.SortFunc(out, func(a, b due) int { return int(a.rec.Sequence) - int(b.rec.Sequence) })
	return out
}

// wants reports whether a recipient was to get an event and has not settled it.
func wants(r *recipient.Recipient, a event.IntakeRecord, floors map[string]uint64) bool {
	if a.Sequence < r.StartSequence || !r.WantsType(a.Type) || !r.WantsAppliance(a.Appliance) {
		return false
	}
	floor, ok := floors[names.ConsumerName(r.Channel(), r.ID)]
	return !ok || floor < a.Sequence
}

// lostDetail says in the record why a delivery was ended.
const lostDetail = "the broker's store has lost the event"

// ended is a delivery's record with its final state.
func ended(rec delivery.Record) delivery.Record {
	rec.State, rec.Reason, rec.Detail = delivery.StateCancelled, reasons.EventLost, lostDetail
	rec.LastAttempt, rec.NextAttempt, rec.Carried, rec.CancelAsked = nil, nil, nil, false
	rec.Status, rec.TookMicros, rec.Excerpt, rec.Progress = 0, 0, nil, nil
	return rec
}

// endTimeout bounds the record of one delivery.
const endTimeout = 10 * time.Second

// end records the end of a delivery, unless somebody else has recorded something meanwhile.
func (d due) end(ctx context.Context, log *deliverylog.Log) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	err := log.AppendChange(ctx, d.rec, d.after)
	if errors.Is(err, wire.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}
