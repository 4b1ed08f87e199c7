package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// notOnACluster are aspects that are left out on a cluster of brokers, with the reason.
func notOnACluster() map[string]string {
	const stateless = "it is decided before the broker is asked"
	return map[string]string{
		"many can be sent again, and elsewhere": "a known fault, see docs/reliability.md: a replay made right after its deliveries ended " +
			"may leave out the last of them",
		"every event type arrives":                         "types differ in intake and rendering, which the other shapes show",
		"JSON bodies are the event":                        stateless,
		"bad events are refused and recorded":              stateless,
		"bad posts are refused":                            stateless,
		"invalid recipients show all their faults":         stateless,
		"only tokens open the doors":                       stateless,
		"users and tokens open the doors":                  stateless,
		"send-now goes through an open breaker":            "breakers are in the senders' memory",
		"a dead recipient among ten harms only itself":     "retries and breakers are in the senders; the retries of one recipient run here",
		"a disabled recipient that skips is recorded":      "it is a record like those of the aspects that run",
		"what expired can be sent again":                   "it is a replay of one delivery, and replays run here",
		"a test takes the same way":                        "it is a replay of an event of its own, and replays run here",
		"what waited for a deleted recipient is cancelled": "emptying queues deletes a recipient too",
	}
}

// TestCluster runs the aspects that the broker decides on three nats-servers that keep each stream three times, and then takes
// brokers away: one that leads, one in order, two.
// make test-cluster runs it: it takes minutes, because brokers choose leaders.
func TestCluster(t *testing.T) {
	if os.Getenv("OUTBOUND_TEST_CLUSTER") == "" {
		t.Skip("make test-cluster runs it")
	}
	t.Parallel()
	left := notOnACluster()
	var aspects []aspect
	for _, x := range beside() {
		if _, out := left[x.name]; !out {
			aspects = append(aspects, x)
		}
		delete(left, x.name)
	}
	if len(left) > 0 || len(aspects) < 8 {
		t.Fatalf("%d aspects run; there are none called %v", len(aspects), left)
	}
	h := harness.Start(t, harness.Cluster)
	h.AddAppliances(t, append(appliances(), "leader-events", "leader-history", "quorum-1")...)
	keptThrice(t, h)
	t.Run("beside each other", func(t *testing.T) {
		for _, x := range aspects {
			t.Run(x.name, func(t *testing.T) {
				t.Parallel()
				x.run(t, h)
			})
		}
	})
	for _, stream := range []string{"EVENTS", "HISTORY"} {
		t.Run("the leader of "+stream+" is killed", func(t *testing.T) { losesTheLeader(t, h, stream) })
	}
	t.Run("with one broker of three events go on, with two they do not", func(t *testing.T) { losesTheQuorum(t, h) })
	h.Stop(t)
}

// keptThrice checks that each broker has each stream.
func keptThrice(t *testing.T, h *harness.System) {
	t.Helper()
	for _, stream := range []string{"EVENTS", "HISTORY"} {
		h.AwaitCopies(t, stream)
	}
	if n := len(h.Brokers()); n != 3 {
		t.Fatalf("there are %d brokers, want 3", n)
	}
}

// pressed is a recipient of an appliance that publishes without an end.
type pressed struct {
	h         *harness.System
	site      *harness.Receiver
	appliance *harness.Appliance
	flood     *harness.Flood
	recipient string
}

func press(t *testing.T, h *harness.System, appliance string) *pressed {
	t.Helper()
	p := &pressed{h: h, site: harness.NewReceiver(t), appliance: h.AddAppliance(t, appliance)}
	r := webhook(appliance, p.site.URL(appliance), []string{ended}, harness.Object{"retryInterval": "1s"})
	r["appliances"] = []string{appliance}
	p.recipient = h.AddRecipient(t, r)
	p.flood = p.appliance.Endless(t.Context(), 4, ended)
	t.Cleanup(p.flood.End)
	p.goesOn(t, "before anything happens")
	return p
}

// goesOn waits until events have been accepted that were published from now on.
func (p *pressed) goesOn(t *testing.T, when string) {
	t.Helper()
	const more = 100
	goal := p.flood.Accepted.Load() + more
	waittest.NoError(t, "events to be accepted "+when, func() error {
		if n := p.flood.Accepted.Load(); n < goal {
			return fmt.Errorf("%d of %d are accepted; %d publishes were repeated, %d of them refused", n-goal+more, more,
				p.flood.Repeats.Load(), p.flood.Refused.Load())
		}
		return nil
	})
}

// count ends the flood and checks that each event, and each of further ones, has arrived and been recorded, and that the brokers agree.
func (p *pressed) count(t *testing.T, further ...string) {
	t.Helper()
	p.flood.End()
	keys := append(p.flood.Wait(t), further...)
	arrived(t, p.site, p.appliance.ID, len(keys))
	settled(t, p.h, []string{p.recipient}, map[string]int{"DELIVERED": len(keys)})
	account := p.site.Account(keys, []string{p.appliance.ID})
	t.Logf("%v; %d publishes were repeated, of which %d were refused and %d had been stored", account, p.flood.Repeats.Load(),
		p.flood.Refused.Load(), p.flood.Unclear.Load())
	if account.Arrived != len(keys) || len(account.Lost)+len(account.Phantom)+len(account.Changed) > 0 {
		t.Errorf("lost %v, phantoms %v, changed %v", account.Lost, account.Phantom, account.Changed)
	}
	if account.Duplicates > 2*mostRepeated {
		t.Errorf("%d duplicates, at most %d are promised", account.Duplicates, 2*mostRepeated)
	}
	for _, stream := range []string{"EVENTS", "HISTORY"} {
		state := p.h.AwaitCopies(t, stream)
		t.Logf("each broker has %d messages of %s, %d bytes each", state.Messages, stream, state.Bytes/max(1, state.Messages))
		if state.Messages < uint64(len(keys)) {
			t.Errorf("the brokers have %+v of %s, for %d events", state, stream, len(keys))
		}
	}
}

// losesTheLeader kills the broker that leads a stream while events come: they go on with another leader, none is lost, and the broker
// catches up when it is back.
func losesTheLeader(t *testing.T, h *harness.System, stream string) {
	p := press(t, h, map[string]string{"EVENTS": "leader-events", "HISTORY": "leader-history"}[stream])
	leader := h.AwaitLeader(t, stream)
	before := p.flood.Gap()
	h.Kill(t, leader)
	began := time.Now()
	p.goesOn(t, "after "+leader+" was killed")
	// What was in flight may have been answered after the kill: the next hundred come from the new leader alone.
	p.goesOn(t, "with "+leader+" away")
	t.Logf("without %s, which led %s, no event was accepted for %v (before: %v); 200 more were %v after the kill", leader, stream,
		p.flood.Gap().Round(time.Millisecond), before.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	h.StartPart(t, leader)
	h.AwaitBroker(t, leader)
	p.goesOn(t, "with "+leader+" back")
	p.count(t)
}

// losesTheQuorum stops one broker, then another: with two of three events are accepted, with one they are refused as unavailable, and
// accepted again, under the ids they were refused with, once there are three.
func losesTheQuorum(t *testing.T, h *harness.System) {
	p := press(t, h, "quorum-1")
	brokers := h.Brokers()
	for _, b := range brokers[:2] {
		p.flood.Gap()
		if _, took, err := h.StopPart(t, b); err != nil {
			t.Fatalf("stop %s: %v, after %v", b, err, took)
		}
		if b == brokers[0] {
			p.goesOn(t, "with "+b+" stopped")
			t.Logf("with %s stopped no event was accepted for at most %v", b, p.flood.Gap().Round(time.Millisecond))
		}
	}
	e := harness.NewEvent(p.appliance.ID, "without-a-quorum", ended, harness.Object{})
	refusedBoth(t, p.appliance, e)
	accepted, refused := p.flood.Accepted.Load(), p.flood.Refused.Load()
	waittest.NoError(t, "more events to be refused", func() error {
		if n := p.flood.Refused.Load(); n < refused+10 {
			return fmt.Errorf("%d are", n-refused)
		}
		return nil
	})
	if n := p.flood.Accepted.Load(); n != accepted {
		t.Errorf("%d events were accepted without a quorum", n-accepted)
	}
	for _, b := range brokers[:2] {
		h.StartPart(t, b)
	}
	p.goesOn(t, "with three brokers again")
	for _, b := range brokers {
		h.AwaitBroker(t, b)
	}
	if r := publish(t, p.appliance, e); r.EventID != e.Key() {
		t.Errorf("what was refused is answered %+v", r)
	}
	p.count(t, e.Key())
}

// refusedBoth hands an event in by POST and over NATS until both are refused as unavailable: a publish may be without an answer while the
// clients look for a broker that runs.
func refusedBoth(t *testing.T, a *harness.Appliance, e harness.Event) {
	t.Helper()
	for by, publish := range map[string]func() (harness.Reply, error){
		"POST": func() (harness.Reply, error) { return a.Post(e) },
		"NATS": func() (harness.Reply, error) {
			ctx, cancel := waittest.Context(t.Context())
			defer cancel()
			return a.Publish(ctx, e)
		},
	} {
		waittest.NoError(t, "an event by "+by+" to be refused", func() error {
			began := time.Now()
			r, err := publish()
			var refused *harness.Refusal
			if err == nil {
				t.Fatalf("by %s, an event was accepted without a quorum: %+v", by, r)
			}
			if !errors.As(err, &refused) || refused.Code != fmt.Sprint(http.StatusServiceUnavailable) {
				return err
			}
			t.Logf("by %s it was refused after %v: %s", by, time.Since(began).Round(time.Millisecond), refused.Body)
			return nil
		})
	}
}
