package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/pause"
)

const (
	// repeatRequests is how long a request is repeated at most. A cluster elects a leader within 4 to 10 s; a gRPC call has 30 s.
	repeatRequests = 20 * time.Second
	// repeatAway is how long a request is repeated while there is no connection at all. The client goes on to another server of a cluster
	// within a second.
	repeatAway = 5 * time.Second
	// firstTry and longestTry bound one try: a server that has lost the lead does not answer. Each try may take twice as long as the
	// last, so that a slow broker answers in the end.
	firstTry, longestTry = 2 * time.Second, 8 * time.Second
	// tryPause is the pause between two tries.
	tryPause = 100 * time.Millisecond
)

// Error codes of the server that pass by themselves, while a cluster elects a leader or is not complete.
const (
	codeClusterNoPeers      = 10005
	codeClusterNotAssigned  = 10007
	codeClusterNotAvailable = 10008
	codeClusterNotLeader    = 10009
	codeConsumerOffline     = 10119
	codeDuplicateInProcess  = 10158
	codeStreamOffline       = 10118
)

// Error codes of the server that say which limit a stream exceeds.
const (
	codeReplicasNotSupported = 10074
	codeMaxBytesRequired     = 10113
	codeMaxBytesExceeded     = 10122
	codeTooManyStreams       = 10027
	codeTooManyConsumers     = 10026
)

// errNoPeers says that a cluster has too few servers now for the replicas of a stream.
var errNoPeers = errors.New("the cluster has too few servers for the replicas (streams.replicas)")

// temporary reports whether an error passes by itself: the broker does not answer, has no leader, or the connection is being replaced.
func temporary(err error) bool {
	if code, found := errorCode(err); found {
		switch code {
		case codeClusterNotAssigned, codeClusterNotAvailable, codeClusterNotLeader, codeConsumerOffline, codeStreamOffline,
			codeDuplicateInProcess:
			return true
		default:
			return false
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	for _, t := range passing() {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// passing are the errors of requests that are repeated.
func passing() []error {
	return []error{
		nats.ErrTimeout, nats.ErrNoResponders, jetstream.ErrNoStreamResponse, nats.ErrDisconnected, nats.ErrReconnectBufExceeded,
		nats.ErrStaleConnection, errNoLeader, ErrUnsettled,
	}
}

// errNoAnswer says that a request was repeated until its time was up.
var errNoAnswer = errors.New("no answer of the broker")

// Unanswered are the errors, for errors.Is, that say that the broker does not answer now, has no leader or can't make anything durable.
// The same call may succeed later.
func Unanswered() []error {
	return append(passing(), errNoAnswer, nats.ErrConnectionClosed, jetstream.ErrJetStreamNotEnabled,
		nats.ErrJetStreamNotEnabled, ErrNotSynced)
}

// errorCode is the broker's code for an error, whichever API of the client library found it: watches of buckets use the older one.
func errorCode(err error) (code jetstream.ErrorCode, found bool) {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode, true
	}
	var older *nats.APIError
	if errors.As(err, &older) {
		return jetstream.ErrorCode(older.ErrorCode), true
	}
	return 0, false
}

// silent reports whether the client library says that there is no JetStream, as it does too if nobody answers for a moment: while
// nats-server reloads its configuration.
func silent(err error) bool {
	return errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, nats.ErrJetStreamNotEnabled)
}

// errNoLeader says that no server answers for a stream.
var errNoLeader = errors.New("no server responds for the stream")

// ErrUnsettled says that the servers of a cluster may know less now than they will: a new leader reads what it has stored.
var ErrUnsettled = errors.New("the servers of the cluster may not have caught up yet")

// Again calls f until it succeeds or fails for good, for 20 s at most, and while there is no connection for 5 s. f may have taken effect
// although it has failed, so it must be one that may be repeated. The error of the last try says how long it was tried.
func Again[T any](ctx context.Context, c *Conn, f func(context.Context) (T, error)) (T, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, repeatRequests)
	defer cancel()
	defer context.AfterFunc(c.ending.ctx, cancel)()
	for tries, bound := 1, firstTry; ; tries, bound = tries+1, min(2*bound, longestTry) {
		one, cancelOne := context.WithTimeout(ctx, bound)
		v, err := f(one)
		cancelOne()
		if err == nil || !temporary(err) && !silent(err) {
			return v, err
		}
		away := !c.Connected() && time.Since(began) > repeatAway
		if !away && !pause.For(ctx, tryPause) || away {
			if tries > 1 {
				err = fmt.Errorf("%w in %d tries within %s: %w", errNoAnswer, tries, time.Since(began).Round(time.Millisecond), err)
			}
			return v, err
		}
	}
}

// again is Again of what has no result.
func again(ctx context.Context, c *Conn, f func(context.Context) error) error {
	_, err := Again(ctx, c, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}

// steady is JetStream with the requests repeated that Outbound makes. All of them may be repeated: creating what exists already as wanted
// succeeds, and what is published has a message id.
type steady struct {
	jetstream.JetStream
	conn *Conn
}

// Stream looks a stream up.
func (s steady) Stream(ctx context.Context, stream string) (jetstream.Stream, error) {
	return Again(ctx, s.conn, func(ctx context.Context) (jetstream.Stream, error) { return s.JetStream.Stream(ctx, stream) })
}

// Consumer looks a consumer up.
func (s steady) Consumer(ctx context.Context, stream, consumer string) (jetstream.Consumer, error) {
	return Again(ctx, s.conn, func(ctx context.Context) (jetstream.Consumer, error) {
		return s.JetStream.Consumer(ctx, stream, consumer)
	})
}

// CreateConsumer creates a durable consumer.
func (s steady) CreateConsumer(ctx context.Context, stream string, o jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	return Again(ctx, s.conn, func(ctx context.Context) (jetstream.Consumer, error) {
		return s.JetStream.CreateConsumer(ctx, stream, o)
	})
}

// UpdateConsumer changes a consumer.
func (s steady) UpdateConsumer(ctx context.Context, stream string, o jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	return Again(ctx, s.conn, func(ctx context.Context) (jetstream.Consumer, error) {
		return s.JetStream.UpdateConsumer(ctx, stream, o)
	})
}

// CreateOrUpdateConsumer makes a consumer what the configuration says.
func (s steady) CreateOrUpdateConsumer(ctx context.Context, stream string, o jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	return Again(ctx, s.conn, func(ctx context.Context) (jetstream.Consumer, error) {
		return s.JetStream.CreateOrUpdateConsumer(ctx, stream, o)
	})
}

// PauseConsumer pauses a consumer.
func (s steady) PauseConsumer(ctx context.Context, stream, consumer string, until time.Time) (*jetstream.ConsumerPauseResponse, error) {
	return Again(ctx, s.conn, func(ctx context.Context) (*jetstream.ConsumerPauseResponse, error) {
		return s.JetStream.PauseConsumer(ctx, stream, consumer, until)
	})
}

// ResumeConsumer resumes a consumer.
func (s steady) ResumeConsumer(ctx context.Context, stream, consumer string) (*jetstream.ConsumerPauseResponse, error) {
	return Again(ctx, s.conn, func(ctx context.Context) (*jetstream.ConsumerPauseResponse, error) {
		return s.JetStream.ResumeConsumer(ctx, stream, consumer)
	})
}

// DeleteConsumer deletes a consumer. If a repeat finds it gone, the error is jetstream.ErrConsumerNotFound all the same.
func (s steady) DeleteConsumer(ctx context.Context, stream, consumer string) error {
	return again(ctx, s.conn, func(ctx context.Context) error { return s.JetStream.DeleteConsumer(ctx, stream, consumer) })
}

// KeyValue opens a bucket.
func (s steady) KeyValue(ctx context.Context, bucket string) (jetstream.KeyValue, error) {
	return Again(ctx, s.conn, func(ctx context.Context) (jetstream.KeyValue, error) { return s.JetStream.KeyValue(ctx, bucket) })
}

// Publish stores a message, which has a message id.
func (s steady) Publish(ctx context.Context, subject string, data []byte, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	return Again(ctx, s.conn, func(ctx context.Context) (*jetstream.PubAck, error) {
		return s.JetStream.Publish(ctx, subject, data, opts...)
	})
}

// PublishMsg stores a message. One without a message id is published once.
func (s steady) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if m.Header.Get(names.HeaderMsgID) == "" {
		return s.JetStream.PublishMsg(ctx, m, opts...)
	}
	return Again(ctx, s.conn, func(ctx context.Context) (*jetstream.PubAck, error) { return s.JetStream.PublishMsg(ctx, m, opts...) })
}
