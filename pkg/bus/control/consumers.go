package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// maxAckPending is how many messages of a recipient may be out at once: events that a receiver rejects one by one wait
// here without holding the others, and what a sender has sent but not yet recorded stands here too.
const maxAckPending = 3_000

// pausedFor is how long a held recipient's consumer is paused: until somebody enables it.
const pausedFor = 100 * 365 * 24 * time.Hour

func consumerConfig(r *recipient.Recipient) jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		Durable: names.ConsumerName(r.Channel(), r.ID), Description: r.DisplayName,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(r.StartSequence, 1),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: names.AckWait, MaxDeliver: -1, MaxAckPending: maxAckPending,
		FilterSubjects: names.FilterSubjects(r),
	}
	if r.Order == recipient.Strict {
		c.MaxAckPending = 1
	}
	return c
}

// EnsureConsumer makes a recipient's durable consumer what the recipient says, paused if it holds. See ApplyConsumer.
func (c Client) EnsureConsumer(ctx context.Context, r *recipient.Recipient) error {
	_, err := c.ApplyConsumer(ctx, r, r.Holds())
	return err
}

// ApplyConsumer creates or updates a recipient's durable consumer, pauses or resumes it, and names what it changed: nothing if it was
// all that already. What waits and what is out stays so. Two calls for one recipient must not run at once: the broker itself reads a
// consumer's configuration before it writes the part that is to change.
func (c Client) ApplyConsumer(ctx context.Context, r *recipient.Recipient, paused bool) (changed []string, err error) {
	want := consumerConfig(r)
	have, err := c.conn.JS.Consumer(ctx, names.StreamEvents, want.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		changed = []string{"created"}
		have, err = c.conn.JS.CreateConsumer(ctx, names.StreamEvents, want)
	case err == nil:
		now := have.CachedInfo().Config
		if changed = differences(now, want); len(changed) > 0 {
			// The start of a consumer that exists can't be changed, and an update changes no pause.
			want.OptStartSeq, want.PauseUntil = now.OptStartSeq, now.PauseUntil
			have, err = c.conn.JS.UpdateConsumer(ctx, names.StreamEvents, want)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create consumer %s: %w", want.Durable, err)
	}
	if !pausedAs(have.CachedInfo(), paused) {
		changed = append(changed, "pause")
		err = c.pause(ctx, want.Durable, paused)
	}
	if err == nil && len(changed) > 0 && c.conn.Disk != nil {
		err = c.conn.Disk.SyncConsumer(names.StreamEvents, want.Durable)
	}
	return changed, err
}

func (c Client) pause(ctx context.Context, name string, want bool) error {
	var err error
	if want {
		_, err = c.conn.JS.PauseConsumer(ctx, names.StreamEvents, name, c.conn.Now().Add(pausedFor))
	} else {
		_, err = c.conn.JS.ResumeConsumer(ctx, names.StreamEvents, name)
	}
	if err != nil {
		return fmt.Errorf("pause or resume consumer %s: %w", name, err)
	}
	return nil
}

// pausedAs reports whether a consumer is paused, or is not, as wanted. A pause that ends by itself before long is none.
func pausedAs(info *jetstream.ConsumerInfo, want bool) bool {
	if want {
		return info.Paused && info.PauseRemaining > pausedFor/2
	}
	return !info.Paused
}

// differences names the settings of a consumer that are not as wanted, of those that decide what it gives to whom, and when.
func differences(have, want jetstream.ConsumerConfig) (out []string) {
	filters := have.FilterSubjects
	if have.FilterSubject != "" {
		filters = []string{have.FilterSubject}
	}
	for _, x := range []struct {
		setting string
		same    bool
	}{
		{"filterSubjects", slices.Equal(filters, want.FilterSubjects)},
		{"maxAckPending", have.MaxAckPending == want.MaxAckPending},
		{"ackWait", have.AckWait == want.AckWait},
		{"maxDeliver", have.MaxDeliver == want.MaxDeliver},
		{"backoff", len(have.BackOff) == len(want.BackOff)},
		{"description", have.Description == want.Description},
		{"ackPolicy", have.AckPolicy == want.AckPolicy},
		{"headersOnly", have.HeadersOnly == want.HeadersOnly},
		{"inactiveThreshold", have.InactiveThreshold == want.InactiveThreshold},
		{"maxBatch", have.MaxRequestBatch == want.MaxRequestBatch},
		{"maxExpires", have.MaxRequestExpires == want.MaxRequestExpires},
		{"maxBytes", have.MaxRequestMaxBytes == want.MaxRequestMaxBytes},
		{"priorityGroups", slices.Equal(have.PriorityGroups, want.PriorityGroups)},
	} {
		if !x.same {
			out = append(out, x.setting)
		}
	}
	return out
}

// Consumers are the consumers of EVENTS, as the broker listed them.
type Consumers struct {
	byName map[string]*jetstream.ConsumerInfo
}

// Names are the names of all that were listed, in order.
func (l Consumers) Names() []string { return slices.Sorted(maps.Keys(l.byName)) }

// Fits reports whether a recipient's consumer was there, all that the recipient says, and paused or not as wanted.
func (l Consumers) Fits(r *recipient.Recipient, paused bool) bool {
	info, ok := l.byName[names.ConsumerName(r.Channel(), r.ID)]
	return ok && len(differences(info.Config, consumerConfig(r))) == 0 && pausedAs(info, paused)
}

// Consumers lists the consumers of EVENTS. In a cluster those that no server answers for are left out.
func (c Client) Consumers(ctx context.Context) (Consumers, error) {
	out := Consumers{byName: map[string]*jetstream.ConsumerInfo{}}
	if err := c.eachConsumer(ctx, func(i *jetstream.ConsumerInfo) { out.byName[i.Name] = i }); err != nil {
		return Consumers{}, err
	}
	return out, nil
}

// DeleteConsumer removes a recipient's consumer and with it what waits. One that is absent is no error.
func (c Client) DeleteConsumer(ctx context.Context, ch recipient.Channel, id string) error {
	err := c.conn.JS.DeleteConsumer(ctx, names.StreamEvents, names.ConsumerName(ch, id))
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("delete consumer %s: %w", names.ConsumerName(ch, id), err)
	}
	return nil
}

// Backlog is what a recipient's queue holds. A queue hears of an event a moment after its acceptance was answered.
type Backlog struct {
	// Waiting has not been given out yet; Unsettled has: it is being sent, or waits for a retry.
	Waiting, Unsettled uint64
	// AckFloor is the last sequence of EVENTS up to which everything is settled.
	AckFloor uint64
	// Given is the last sequence of EVENTS that has been given out. What comes after it, and matches, is Waiting.
	Given uint64
	// First is the sequence of the first message that is not settled, and Oldest when it was stored; zero if the queue is empty or it
	// can't be told.
	First  uint64
	Oldest time.Time
}

// Total is how many messages are in the queue, out or not.
func (b Backlog) Total() uint64 { return b.Waiting + b.Unsettled }

// Backlog looks a recipient's queue up, or ErrNotFound.
func (c Client) Backlog(ctx context.Context, ch recipient.Channel, id string) (Backlog, error) {
	name := names.ConsumerName(ch, id)
	co, err := c.conn.JS.Consumer(ctx, names.StreamEvents, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return Backlog{}, fmt.Errorf("look up consumer %s: %w", name, wire.ErrNotFound)
	}
	if err != nil {
		return Backlog{}, fmt.Errorf("look up consumer %s: %w", name, err)
	}
	i := co.CachedInfo()
	b := backlogOf(i)
	if b.Total() == 0 {
		return b, nil
	}
	for _, f := range filtersOf(i) {
		ms, err := c.conn.Direct(ctx, names.StreamEvents, wire.DirectRequest{Sequence: max(b.AckFloor+1, i.Config.OptStartSeq), NextFor: f})
		if err != nil {
			return b, err
		}
		if len(ms) == 1 && (b.First == 0 || wire.StoredSequence(ms[0]) < b.First) {
			b.First, b.Oldest = wire.StoredSequence(ms[0]), wire.StoredTime(ms[0])
		}
	}
	return b, nil
}
