package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// With one server of three there is no leader: a start waits, says for what, ends when asked to, and goes on once there is a quorum.
func TestAStartWaitsForAQuorum(t *testing.T) {
	cluster := bustest.NewCluster(t)
	cluster.Run(0)
	start := func(ctx context.Context, waits *notices) error {
		c, err := bus.Connect(ctx, bus.Options{URL: cluster.URL(), Waiting: waits.set})
		if err != nil {
			return err
		}
		defer c.Close()
		o := bustest.StreamOptions()
		o.Replicas = 3
		if err := c.EnsureStreams(ctx, o); err != nil {
			return err
		}
		return c.Ready()
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waits notices
	ended := make(chan error, 2)
	go func() { ended <- start(ctx, &waits) }()
	waittest.Until(t, "what it waits for", func() bool { return strings.Contains(waits.get(), "JetStream") })
	cancel()
	began := time.Now()
	err := waittest.Receive(t, "the end", ended)
	if took := time.Since(began); !errors.Is(err, context.Canceled) || took > 3*time.Second {
		t.Errorf("it ended after %v with %v", took, err)
	}
	go func() { ended <- start(t.Context(), &waits) }()
	waittest.Until(t, "what it waits for", func() bool { return strings.Contains(waits.get(), "JetStream") })
	cluster.Run(1)
	cluster.Run(2)
	if err := waittest.Receive(t, "the start", ended); err != nil || waits.get() != "" {
		t.Errorf("it started with %v, waiting for %q", err, waits.get())
	}
}

// made collects the names of what was made.
type made struct {
	keys, consumers, events []string
}

// unanswered reports whether a call gave up for want of an answer. How long an election takes is the machine's to say.
func unanswered(err error) bool {
	return slices.ContainsFunc(bus.Unanswered(), func(x error) bool { return errors.Is(err, x) })
}

// answered makes a call that can be repeated until it has an answer.
func answered(call func() error) error {
	for {
		if err := call(); !unanswered(err) {
			return err
		}
	}
}

// leaderStops is how often a leader is stopped, and how many of each are made at least, however slow that is.
const leaderStops = 4

// each makes one thing after another until stop is closed and enough are made, and reports the first that fails. What has no answer is left
// out.
func each(t *testing.T, stop <-chan struct{}, prefix string, one func(string) error) (names []string) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			if len(names) >= leaderStops {
				return names
			}
		default:
		}
		name := fmt.Sprint(prefix, i)
		err := one(name)
		if unanswered(err) {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return names
		}
		names = append(names, name)
	}
}

// makeAll writes keys twice, makes consumers and publishes events, until stop is closed.
func makeAll(t *testing.T, c *bus.Conn, bucket *bus.Bucket, stop <-chan struct{}) (m made) {
	publisher := bus.NewPublisher(c)
	defer publisher.Close()
	var work sync.WaitGroup
	work.Go(func() {
		m.keys = each(t, stop, "key.", func(name string) error {
			revision, err := bucket.Write(t.Context(), name, []byte("1"), 0, bus.Note{})
			if err == nil {
				_, err = bucket.Write(t.Context(), name, []byte("2"), revision, bus.Note{})
			}
			return err
		})
	})
	work.Go(func() {
		m.consumers = each(t, stop, "r-", func(name string) error {
			r := &recipient.Recipient{ID: name, Enabled: true, HTTP: &recipient.HTTPTarget{}}
			return answered(func() error { return control.New(c).EnsureConsumer(t.Context(), r) })
		})
	})
	work.Go(func() {
		m.events = each(t, stop, "e-", func(name string) error {
			return answered(func() error {
				_, err := publisher.Accept(t.Context(), newEvent(t, name))
				return err
			})
		})
	})
	work.Wait()
	return m
}

// The leader of a stream is stopped while keys, consumers and events are made. None is refused, none is reported to exist already, and
// all are there.
func TestCallsWaitForANewLeader(t *testing.T) {
	cluster := bustest.NewCluster(t)
	for i := range 3 {
		cluster.Run(i)
	}
	c := cluster.Conn()
	bucket, err := c.Bucket(t.Context(), bus.BucketRecipients)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan made, 1)
	go func() { done <- makeAll(t, c, bucket, stop) }()
	for i := range leaderStops {
		stream := []string{"KV_" + bus.BucketRecipients, bus.StreamEvents}[i%2]
		leader := cluster.Leader(stream)
		cluster.Stop(leader)
		if cluster.Leader(stream) == leader {
			t.Error("the leader did not change")
		}
		cluster.Run(leader)
	}
	close(stop)
	m := waittest.Receive(t, "the end of the calls", done)
	for _, name := range m.keys {
		if e, err := bucket.Get(t.Context(), name); err != nil || string(e.Value) != "2" {
			t.Errorf("%s holds %q, %v", name, e.Value, err)
		}
	}
	// A listing leaves out consumers that have no leader yet.
	waittest.Until(t, fmt.Sprintf("all %d consumers", len(m.consumers)), func() bool {
		listed, err := control.New(c).Consumers(t.Context())
		return err == nil && len(listed.Names()) == len(m.consumers)
	})
	state, err := control.New(c).StreamState(t.Context(), bus.StreamEvents)
	if err != nil || int(state.Messages) != len(m.events) {
		t.Errorf("%d events were accepted, %d are there, %v", len(m.events), state.Messages, err)
	}
	if len(m.keys) < leaderStops || len(m.consumers) < leaderStops || len(m.events) < leaderStops {
		t.Errorf("only %d keys, %d consumers and %d events were made", len(m.keys), len(m.consumers), len(m.events))
	}
}
