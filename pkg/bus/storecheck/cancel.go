package storecheck

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// CancelQueue ends what waits in the queue of a recipient that the store has lost, with a record for each delivery, and deletes the queue.
// It returns how many deliveries it ended.
func (r *Repairer) CancelQueue(ctx context.Context, id string) (n int, err error) {
	all, err := r.Recipients(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the recipients: %w", err)
	}
	for _, known := range all {
		if known.ID == id {
			return 0, fmt.Errorf("recipient %s exists: purge its queue instead (outbound recipients purge %s)", id, id)
		}
	}
	found := false
	for _, ch := range recipient.Channels() {
		co, err := r.Conn.JS.Consumer(ctx, names.StreamEvents, names.ConsumerName(ch.Name, id))
		if err != nil {
			continue
		}
		found = true
		more, err := r.cancel(ctx, ch.Name, id, co.CachedInfo())
		n += more
		if err != nil {
			return n, err
		}
		if err := control.New(r.Conn).DeleteConsumer(ctx, ch.Name, id); err != nil {
			return n, err
		}
	}
	if !found {
		return 0, fmt.Errorf("there is no queue of a recipient %s", id)
	}
	return n, nil
}

func (r *Repairer) cancel(ctx context.Context, ch recipient.Channel, id string, i *jetstream.ConsumerInfo) (n int, err error) {
	known := map[uint64]newest{}
	err = eachRecord(ctx, r.Conn, 1, func(x record) {
		if strings.HasPrefix(x.subject, names.SubjectAttempt+"."+id+".") {
			var rec delivery.Record
			if json.Unmarshal(x.raw, &rec) == nil {
				known[rec.Sequence] = newest{at: x.at, rec: rec}
			}
		}
	})
	if err != nil {
		return 0, err
	}
	log := deliverylog.New(r.Conn)
	defer log.Close()
	filters := i.Config.FilterSubjects
	if i.Config.FilterSubject != "" {
		filters = []string{i.Config.FilterSubject}
	}
	c := canceller{log: log, rec: delivery.Record{Recipient: id, Channel: string(ch)}, known: known}
	for _, f := range filters {
		more, err := c.queue(ctx, r.Conn, f, max(i.AckFloor.Stream+1, i.Config.OptStartSeq))
		n += more
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// canceller ends the deliveries of one recipient.
type canceller struct {
	log *deliverylog.Log
	// rec names the recipient; known are the newest records of its deliveries by sequence.
	rec   delivery.Record
	known map[uint64]newest
}

// queue ends what a consumer's filter matches from a sequence on.
func (c canceller) queue(ctx context.Context, conn *wire.Conn, filter string, from uint64) (n int, err error) {
	for {
		ms, err := conn.Direct(ctx, names.StreamEvents, wire.DirectRequest{Sequence: from, NextFor: filter, Batch: batch})
		if err != nil {
			return n, fmt.Errorf("read the queue of %s: %w", c.rec.Recipient, err)
		}
		if len(ms) == 0 {
			return n, nil
		}
		for _, m := range ms {
			ended, err := c.cancel(ctx, m)
			if err != nil {
				return n, err
			}
			if ended {
				n++
			}
		}
		from = wire.StoredSequence(ms[len(ms)-1]) + 1
	}
}

func (c canceller) cancel(ctx context.Context, m *nats.Msg) (bool, error) {
	rec := c.rec
	sequence := wire.StoredSequence(m)
	last, recorded := c.known[sequence]
	if recorded && last.rec.State != delivery.StateRetrying {
		return false, nil
	}
	if recorded {
		rec = last.rec
	} else {
		e, faults := event.Decode(m.Data)
		if len(faults) > 0 {
			return false, nil
		}
		rec.EventID, rec.Appliance, rec.Type, rec.Session = e.ID, e.Appliance, e.Type, e.Session
		rec.ExternalKey, rec.ReplayID = e.ExternalKey, m.Header.Get(names.HeaderReplay)
		rec.Sequence, rec.Accepted, rec.Expire = sequence, wire.StoredTime(m), time.Now().UTC()
	}
	rec = ended(rec)
	rec.Reason, rec.Detail = reasons.RecipientLost, "the broker's store has lost the recipient"
	return due{rec: rec, after: last.at}.end(ctx, c.log)
}
