package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/delivery"
)

// Glimpse is what a record shows without being read: its subject and its header.
type Glimpse struct {
	Recipient string
	State     delivery.State
	// Tried says that something was sent.
	Tried bool
	// Stored is when the record was, a moment after what it tells of.
	Stored   time.Time
	Sequence uint64
}

const (
	// followBatch is how many records are asked for at once, followWait how long the broker waits for the first of them.
	followBatch = 2_000
	followWait  = 2 * time.Second
	// followPause is the pause before a broken consumer is made again.
	followPause = 500 * time.Millisecond
	// followIdle is how long the broker keeps a consumer that nobody asks any more.
	followIdle = time.Minute
)

// Follow tells of all attempts recorded since a time, in their order, each once, and goes on with those to come until ctx ends.
// caughtUp is called whenever all that is stored has been told. The broker may come and go meanwhile.
func (h *History) Follow(ctx context.Context, since time.Time, tell func(Glimpse), caughtUp func()) {
	f := &following{conn: h.conn, since: since, tell: tell, caughtUp: caughtUp}
	for said := ""; ctx.Err() == nil; {
		err := f.once(ctx)
		if ctx.Err() != nil {
			break
		}
		if text := fmt.Sprint(err); text != said {
			slog.Warn("following the records broke off, trying again", "error", text)
			said = text
		}
		select {
		case <-ctx.Done():
		case <-time.After(followPause):
		}
	}
}

type following struct {
	conn     *Conn
	since    time.Time
	tell     func(Glimpse)
	caughtUp func()
	// last is the last sequence of HISTORY that was told.
	last uint64
}

var errGap = errors.New("records were lost on the way")

// once follows by one consumer until that is of no use any more. The consumer does not wait for acknowledgements, so what got lost
// with a connection is found by the gap in its count, and is told by the next one.
func (f *following) once(ctx context.Context) error {
	config := jetstream.ConsumerConfig{
		FilterSubject: subjectAttempt + ".>", HeadersOnly: true, AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: followIdle, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &f.since,
	}
	if f.last > 0 {
		config.DeliverPolicy, config.OptStartTime, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, nil, f.last+1
	}
	began := f.conn.Since()
	c, err := f.conn.js.CreateConsumer(ctx, StreamHistory, config)
	if err != nil {
		return fmt.Errorf("follow the records: %w", err)
	}
	defer func() {
		away, cancel := context.WithTimeout(context.WithoutCancel(ctx), followPause)
		defer cancel()
		// If it fails the broker drops it by itself.
		_ = f.conn.js.DeleteConsumer(away, StreamHistory, c.CachedInfo().Name)
	}()
	if c.CachedInfo().NumPending == 0 {
		f.caughtUp()
	}
	for count := uint64(0); ctx.Err() == nil; {
		if !f.conn.Since().Equal(began) {
			return errors.New("the connection is another one")
		}
		if count, err = f.batch(ctx, c, count); err != nil {
			return err
		}
	}
	return nil
}

// batch tells of what one request brought; count is how many the consumer has given until now.
func (f *following) batch(ctx context.Context, c jetstream.Consumer, count uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, followWait)
	defer cancel()
	b, err := c.Fetch(followBatch, jetstream.FetchContext(ctx))
	if err != nil {
		return count, fmt.Errorf("follow the records: %w", err)
	}
	for m := range b.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return count, fmt.Errorf("follow the records: %w", err)
		}
		if meta.Sequence.Consumer != count+1 {
			return count, errGap
		}
		count++
		f.last = meta.Sequence.Stream
		if g, ok := glimpse(m.Subject(), m.Headers().Get(headerMsgID)); ok {
			g.Stored, g.Sequence = meta.Timestamp, meta.Sequence.Stream
			f.tell(g)
		}
		if meta.NumPending == 0 {
			f.caughtUp()
		}
	}
	if err := b.Error(); err != nil && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
		return count, fmt.Errorf("follow the records: %w", err)
	}
	return count, nil
}

// glimpse reads the subject of a record and its message id, which ends with the number of the attempt, and with the state as well
// if nothing was sent. See AppendAttempt.
func glimpse(subject, id string) (Glimpse, bool) {
	tokens := strings.Split(strings.TrimPrefix(subject, subjectAttempt+"."), ".")
	if len(tokens) < 2 {
		return Glimpse{}, false
	}
	g := Glimpse{Recipient: tokens[0], State: delivery.State(tokens[1])}
	_, err := strconv.Atoi(id[strings.LastIndex(id, ":")+1:])
	g.Tried = err == nil
	return g, true
}
