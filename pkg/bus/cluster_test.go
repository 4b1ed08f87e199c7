package bus_test

import (
	"context"
	"errors"
	"fmt"
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
	if err, took := waittest.Receive(t, "the end", ended), time.Since(began); !errors.Is(err, context.Canceled) || took > 3*time.Second {
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

// The leader of a stream is stopped while keys, consumers and events are made. None fails, none is reported to exist already, all are there.
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
	publisher := bus.NewPublisher(c)
	t.Cleanup(publisher.Close)
	const rounds = 3
	var work sync.WaitGroup
	stop := make(chan struct{})
	var made, consumers, events []string
	each := func(names *[]string, prefix string, make func(string) error) {
		work.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				name := fmt.Sprint(prefix, i)
				if err := make(name); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				*names = append(*names, name)
			}
		})
	}
	each(&made, "key.", func(name string) error {
		revision, err := bucket.Write(t.Context(), name, []byte("1"), 0, bus.Note{})
		if err == nil {
			_, err = bucket.Write(t.Context(), name, []byte("2"), revision, bus.Note{})
		}
		return err
	})
	each(&consumers, "r-", func(name string) error {
		r := &recipient.Recipient{ID: name, Enabled: true, HTTP: &recipient.HTTPTarget{}}
		_, err := control.New(c).ApplyConsumer(t.Context(), r, false)
		return err
	})
	each(&events, "e-", func(name string) error {
		_, err := publisher.Accept(t.Context(), newEvent(t, name))
		return err
	})
	for range rounds {
		for _, stream := range []string{"KV_" + bus.BucketRecipients, bus.StreamEvents} {
			leader := cluster.Leader(stream)
			cluster.Stop(leader)
			if cluster.Leader(stream) == leader {
				t.Fatal("the leader did not change")
			}
			cluster.Run(leader)
		}
	}
	close(stop)
	work.Wait()
	for _, name := range made {
		if e, err := bucket.Get(t.Context(), name); err != nil || string(e.Value) != "2" {
			t.Errorf("%s holds %q, %v", name, e.Value, err)
		}
	}
	listed, err := control.New(c).Consumers(t.Context())
	if err != nil || len(listed.Names()) != len(consumers) {
		t.Errorf("%d consumers were made, %d are there, %v", len(consumers), len(listed.Names()), err)
	}
	state, err := control.New(c).StreamState(t.Context(), bus.StreamEvents)
	if err != nil || int(state.Messages) != len(events) {
		t.Errorf("%d events were accepted, %d are there, %v", len(events), state.Messages, err)
	}
	if len(made) < rounds || len(consumers) < rounds || len(events) < rounds {
		t.Errorf("only %d keys, %d consumers and %d events were made", len(made), len(consumers), len(events))
	}
}
