package storecheck

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Repairer makes a store usable that has lost something, and gives each delivery that was lost with it a final state.
type Repairer struct {
	Conn    *wire.Conn
	Keeper  Keeper
	Streams wire.StreamOptions
	// Recipients reads the recipients that the store holds.
	Recipients func(context.Context) ([]*recipient.Recipient, error)
}

// Result is what a repair did.
type Result struct {
	// Recreated are the streams that were made again, empty.
	Recreated []string
	// LostEvents is how many messages of EVENTS are gone at most, and Known of how many of them the log knows the acceptance.
	LostEvents, Known uint64
	// Cancelled is how many deliveries were ended because their event is gone, by recipient.
	Cancelled map[string]int
	// Text is all of it in words.
	Text string
}

// Repair does what findings ask for. What was found is the argument, because files that are mended show nothing of it any more.
func (r *Repairer) Repair(ctx context.Context, found []Finding) (Result, error) {
	out := Result{Cancelled: map[string]int{}}
	known, err := r.Keeper.Load(ctx)
	if err != nil {
		return out, err
	}
	have, err := states(ctx, r.Conn)
	if err != nil {
		return out, err
	}
	last, err := lastEvent(ctx, r.Conn, have)
	if err != nil {
		return out, err
	}
	if known != nil {
		last = max(last, known.Streams[names.StreamEvents].Last)
	}
	floors, err := r.floors(ctx, have, found)
	if err != nil {
		return out, err
	}
	for _, name := range wire.StreamNames() {
		if _, there := have[name]; !there {
			out.Recreated = append(out.Recreated, name)
		}
	}
	if err := r.Conn.CreateStreams(ctx, r.Streams); err != nil {
		return out, err
	}
	if err := r.advance(ctx, last, known); err != nil {
		return out, err
	}
	if err := r.endLost(ctx, lostEvents(found), floors, &out); err != nil {
		return out, err
	}
	out.Text = out.words(found)
	return out, r.note(ctx, known, out)
}

// lostEvents are the sequences of EVENTS that are gone.
func lostEvents(found []Finding) (out []Range) {
	for _, f := range found {
		if f.Stream == names.StreamEvents {
			out = append(out, f.Lost...)
		}
	}
	return out
}

// advance has EVENTS go on behind every sequence that was in use, and buckets that were made again behind their last revision: who has seen
// a sequence takes a new message with it for the old one.
func (r *Repairer) advance(ctx context.Context, last uint64, known *Inventory) error {
	have, err := states(ctx, r.Conn)
	if err != nil {
		return err
	}
	for _, name := range wire.StreamNames() {
		to := last
		if name != names.StreamEvents {
			to = 0
			if known != nil {
				to = known.Streams[name].Last
			}
		}
		s := have[name]
		switch {
		case s.Last >= to:
		case name == names.StreamAudit, name == names.StreamCheckpoints:
			// Nothing removes sequences from them. Entries of AUDIT go on with the number that is noted.
		case s.Messages == 0:
			if err := r.begin(ctx, name, to+1); err != nil {
				return err
			}
		case name == names.StreamEvents:
			if err := r.fill(ctx, to-s.Last); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin has an empty stream begin with a sequence.
func (r *Repairer) begin(ctx context.Context, name string, sequence uint64) error {
	s, err := r.Conn.JS.Stream(ctx, name)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSequence(sequence))
	}
	if err != nil {
		return fmt.Errorf("have %s begin with %d: %w", name, sequence, err)
	}
	return nil
}

// fill adds messages to EVENTS that no consumer gets: no recipient has the name. They age out.
func (r *Repairer) fill(ctx context.Context, n uint64) error {
	for range n {
		m := nats.NewMsg(names.SubjectReplay + "." + names.Token(""))
		if _, err := r.Conn.JS.PublishMsg(ctx, m); err != nil {
			return fmt.Errorf("have %s go on behind its last sequence: %w", names.StreamEvents, err)
		}
	}
	return nil
}

// floors are the sequences up to which consumers have settled everything, if the log cannot be relied on for that: a delivery is recorded
// before it is settled. They are read before EVENTS goes on behind the lost sequences, because consumers go on with it.
func (r *Repairer) floors(ctx context.Context, have map[string]state, found []Finding) (map[string]uint64, error) {
	_, there := have[names.StreamEvents]
	if !there || !slices.ContainsFunc(found, func(f Finding) bool { return f.Stream == names.StreamHistory }) {
		return nil, nil
	}
	return control.New(r.Conn).Settled(ctx)
}

// endLost records CANCELLED for the deliveries of events that are gone.
func (r *Repairer) endLost(ctx context.Context, lost []Range, floors map[string]uint64, out *Result) error {
	for _, l := range lost {
		out.LostEvents += l.Len()
	}
	recipients, err := r.Recipients(ctx)
	if err != nil {
		return fmt.Errorf("read the recipients: %w", err)
	}
	l := newLedger(lost)
	if err := eachRecord(ctx, r.Conn, 1, l.note); err != nil {
		return err
	}
	if err := l.keepGone(ctx, r.Conn); err != nil {
		return err
	}
	out.Known = uint64(len(l.accepted))
	log := deliverylog.New(r.Conn)
	defer log.Close()
	for _, d := range l.owed(recipients, floors) {
		ended, err := d.end(ctx, log)
		if err != nil {
			return err
		}
		if ended {
			out.Cancelled[d.rec.Recipient]++
		}
	}
	return nil
}

// words tell what was lost.
func (o Result) words(found []Finding) string {
	var parts []string
	for _, f := range found {
		parts = append(parts, f.Text)
	}
	if len(o.Recreated) > 0 {
		parts = append(parts, "made again, empty: "+strings.Join(o.Recreated, ", "))
	}
	if o.LostEvents > 0 {
		parts = append(parts, fmt.Sprintf("of up to %d lost events the log knows %d", o.LostEvents, o.Known))
	}
	total := 0
	for _, n := range o.Cancelled {
		total += n
	}
	parts = append(parts, fmt.Sprintf("%d deliveries were ended as CANCELLED (event_lost)", total))
	return strings.Join(parts, "; ")
}

// note writes the inventory as the store is now, with the repair.
func (r *Repairer) note(ctx context.Context, known *Inventory, out Result) error {
	have, err := states(ctx, r.Conn)
	if err != nil {
		return err
	}
	next := Inventory{Streams: map[string]Mark{}}
	if known != nil {
		next.Repairs = slices.Clone(known.Repairs)
	}
	for name, s := range have {
		s.Holes = uint64(max(s.deleted, 0))
		next.Streams[name] = s.Mark
	}
	next.Repairs = append(next.Repairs, Done{Time: time.Now().UTC(), Text: out.Text})
	return r.Keeper.Save(ctx, next)
}

// Acknowledge marks all repairs as read.
func Acknowledge(ctx context.Context, k Keeper) (int, error) {
	known, err := k.Load(ctx)
	if err != nil || known == nil {
		return 0, err
	}
	n := 0
	for i := range known.Repairs {
		if !known.Repairs[i].Acknowledged {
			known.Repairs[i].Acknowledged = true
			n++
		}
	}
	return n, k.Save(ctx, *known)
}
