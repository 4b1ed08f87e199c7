// Package site reads the stream in which the site of an appliance keeps events until they are forwarded to Outbound. The nats-server is the
// site's own, near the appliance; it is not Outbound's broker.
package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/pause"
)

// Options say where the stream is.
type Options struct {
	// URL is the address of the nats-server. Credentials are a credentials file, or a user and a password; all may be empty.
	URL, CredentialsFile, User, Password string
	// CAFile is a PEM file with the authority of the server's certificate. Empty: the system's.
	CAFile string
	// Stream is the stream, Consumer the durable consumer that remembers what was forwarded.
	Stream, Consumer string
	// Subjects are what the stream stores if it has to be created. Empty: it must exist.
	Subjects []string
	// MaxBytes bounds a stream that is created: when it is full it refuses events.
	MaxBytes int64
	// InFlight is how many events are forwarded at once. With 1 they are forwarded in their order.
	InFlight int
}

// ackWait is after which time the site's broker hands an event out again whose forwarder has died. One that lives tells it three times
// within that time that the event is under way.
const (
	ackWait    = 15 * time.Second
	touchEvery = ackWait / 3
)

const (
	// pull is how long a request for events stays open, again how long to wait after one that failed.
	pull  = 5 * time.Second
	again = time.Second
)

// Event is an event of the stream.
type Event struct {
	// Header and Data are what was published.
	Header map[string][]string
	Data   []byte
	// Sequence is its place in the stream, Try counts from 1.
	Sequence, Try uint64
}

// Queue is the open stream. Close ends it.
type Queue struct {
	nc       *nats.Conn
	stream   jetstream.Stream
	consumer jetstream.Consumer
	inFlight int
	// failed is told why no events could be read.
	failed func(error)
}

// ErrNoStream reports that the stream does not exist and is not to be created.
var ErrNoStream = errors.New("the stream does not exist")

// Open connects to the site's server and opens the stream and its consumer. failed is told each time that events can't be read; reading
// goes on.
func Open(ctx context.Context, o Options, failed func(error)) (*Queue, error) {
	nc, err := connect(o)
	if err != nil {
		return nil, fmt.Errorf("connect to the site's nats-server %s: %w", o.URL, err)
	}
	q := &Queue{nc: nc, inFlight: o.InFlight, failed: failed}
	if err := q.open(ctx, o); err != nil {
		nc.Close()
		return nil, err
	}
	return q, nil
}

func connect(o Options) (*nats.Conn, error) {
	options := []nats.Option{nats.Name("outbound events forward"), nats.MaxReconnects(-1)}
	if o.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(o.CredentialsFile))
	}
	if o.User != "" {
		options = append(options, nats.UserInfo(o.User, o.Password))
	}
	if o.CAFile != "" {
		options = append(options, nats.RootCAs(o.CAFile))
	}
	return nats.Connect(o.URL, options...)
}

func (q *Queue) open(ctx context.Context, o Options) error {
	js, err := jetstream.New(q.nc)
	if err != nil {
		return fmt.Errorf("open JetStream of the site: %w", err)
	}
	q.stream, err = js.Stream(ctx, o.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if len(o.Subjects) == 0 {
			return fmt.Errorf("open stream %s of the site: %w", o.Stream, ErrNoStream)
		}
		q.stream, err = js.CreateStream(ctx, jetstream.StreamConfig{
			Name: o.Stream, Subjects: o.Subjects, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxBytes: o.MaxBytes,
			Storage: jetstream.FileStorage, Description: "events that wait to be forwarded to Outbound",
		})
	}
	if err != nil {
		return fmt.Errorf("open stream %s of the site: %w", o.Stream, err)
	}
	if have := q.stream.CachedInfo().Config.Subjects; len(o.Subjects) > 0 && !sameSet(have, o.Subjects) {
		return fmt.Errorf("open stream %s of the site: it stores %q, not %q: name another stream, or leave the subjects out", o.Stream, have,
			o.Subjects)
	}
	q.consumer, err = q.stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: o.Consumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1, MaxAckPending: o.InFlight,
		Description: "what was forwarded to Outbound",
	})
	if err != nil {
		return fmt.Errorf("open consumer %s of stream %s: %w", o.Consumer, o.Stream, err)
	}
	return nil
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// Close ends the connection, after Run.
func (q *Queue) Close() { q.nc.Close() }

// Waiting returns how many events are not forwarded yet.
func (q *Queue) Waiting(ctx context.Context) (uint64, error) {
	i, err := q.consumer.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("read how many events wait: %w", err)
	}
	return i.NumPending + uint64(max(i.NumAckPending, 0)), nil
}

// Run hands out events until ctx ends, and then waits for those that are under way. forward is called by as many goroutines as may be in
// flight at once.
func (q *Queue) Run(ctx context.Context, forward func(Event) Answer) {
	var under sync.WaitGroup
	defer under.Wait()
	places := make(chan struct{}, q.inFlight)
	for ctx.Err() == nil {
		// There is one place at least. None is taken meanwhile but here.
		places <- struct{}{}
		<-places
		err := q.fetch(ctx, cap(places)-len(places), func(m jetstream.Msg) {
			places <- struct{}{}
			under.Go(func() {
				defer func() { <-places }()
				stop := keep(m, touchEvery)
				answer := forward(eventOf(m))
				stop()
				settle(m, answer)
			})
		})
		if err != nil && ctx.Err() == nil {
			q.failed(fmt.Errorf("read the events of the site: %w", err))
			pause.For(ctx, again)
		}
	}
}

// fetch asks for at most n events and gives each to take as it comes.
func (q *Queue) fetch(ctx context.Context, n int, take func(jetstream.Msg)) error {
	ctx, cancel := context.WithTimeout(ctx, pull)
	defer cancel()
	batch, err := q.consumer.Fetch(n, jetstream.FetchContext(ctx))
	if err != nil {
		return err
	}
	for m := range batch.Messages() {
		take(m)
	}
	if err := batch.Error(); !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

func eventOf(m jetstream.Msg) Event {
	e := Event{Header: m.Headers(), Data: m.Data(), Try: 1}
	if meta, err := m.Metadata(); err == nil {
		e.Sequence, e.Try = meta.Sequence.Stream, meta.NumDelivered
	}
	return e
}
