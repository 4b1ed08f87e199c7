package history_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

// runner runs replays, as a history process does, until stop is called.
func (h *fixture) runner() (stop func()) {
	h.t.Helper()
	s, err := history.New(history.DefaultOptions(), history.Deps{
		Bus: h.bus, Log: h.log, Publisher: h.publisher, Config: h.config, Broker: history.EmbeddedAlways, Version: "test",
	})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	stop = func() { cancel(); <-done }
	h.t.Cleanup(stop)
	conn := serve(h.t, rpc.Tokens{Admin: "admin", Service: "service"}, "admin", func(g *grpc.Server) { s.Register(g) })
	h.deliveries = outboundv1.NewDeliveryServiceClient(conn)
	return stop
}

// ended records an attempt of an event where it is stored.
func (h *fixture) ended(e *event.Event, recipient, replay string, state delivery.State) {
	h.t.Helper()
	in, ok, err := h.log.Intake(h.t.Context(), e.Appliance, e.ID)
	if err != nil || !ok {
		h.t.Fatal(ok, err)
	}
	now := time.Now()
	rec := delivery.Record{
		Recipient: recipient, Channel: "http", EventID: e.ID, Appliance: e.Appliance, Type: e.Type, Session: e.Session,
		ExternalKey: e.ExternalKey,
		ReplayID:    replay, Sequence: in.Sequence, State: state, Reason: reasons.HTTPStatus, Status: 500, Attempt: 1,
		Accepted: now, FirstAttempt: &now, LastAttempt: &now, Expire: now.Add(time.Hour),
	}
	if state == delivery.StateRetrying {
		next := now.Add(time.Hour)
		rec.NextAttempt = &next
	}
	ch := make(chan error, 1)
	h.log.AppendAttempt(rec, func(err error) { ch <- unlessStored(err) })
	if err := <-ch; err != nil {
		h.t.Fatal(err)
	}
}

func (h *fixture) replay(r *outboundv1.Replay) *outboundv1.Replay {
	h.t.Helper()
	out, err := h.deliveries.CreateReplay(h.t.Context(), &outboundv1.CreateReplayRequest{Replay: r})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// replayIs waits until a replay is as asked for.
func (h *fixture) replayIs(id string, ok func(*outboundv1.Replay) bool) *outboundv1.Replay {
	h.t.Helper()
	var got *outboundv1.Replay
	waittest.NoError(h.t, "the replay to be as asked for", func() (err error) {
		if got, err = h.deliveries.GetReplay(h.t.Context(), &outboundv1.GetReplayRequest{Id: id}); err != nil {
			h.t.Fatal(err)
		}
		if !ok(got) {
			return fmt.Errorf("it is %v", got)
		}
		return nil
	})
	return got
}

func done(r *outboundv1.Replay) bool { return r.GetState() == outboundv1.Replay_DONE }

// replayed counts the messages of a replay in EVENTS by delivery.
func (h *fixture) replayed(id string) map[string]int {
	h.t.Helper()
	out := map[string]int{}
	if err := eventlog.New(h.bus).Replayed(h.t.Context(), id, 1, func(key string) { out[key]++ }); err != nil {
		h.t.Fatal(err)
	}
	return out
}

func byFilter(d *outboundv1.Replay_Deliveries) *outboundv1.Replay {
	return &outboundv1.Replay{Source: &outboundv1.Replay_Deliveries_{Deliveries: d}, Rate: 1000}
}

const kindEnd = "support_conference_end"

func TestAReplayQueuesWhatEndedBadly(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", kindEnd), httpRecipient("r2", kindEnd))
	h.runner()
	states := []delivery.State{delivery.StateDelivered, delivery.StateExpired, delivery.StateRejected, delivery.StateCancelled,
		delivery.StateSkipped}
	for i, s := range states {
		e := h.accept("a1", fmt.Sprint("e-", i))
		h.ended(e, "r1", "", s)
		h.ended(e, "r2", "", delivery.StateExpired)
		h.ended(e, "gone", "", delivery.StateExpired)
	}
	// Sent again before: once in vain, once with success.
	e := h.accept("a1", "again")
	h.ended(e, "r1", "", delivery.StateExpired)
	h.ended(e, "r1", "01BEFORE", delivery.StateExpired)
	if _, err := h.publisher.Replay(t.Context(), "r1", e, bus.Replay{ID: "01BEFORE2"}); err != nil {
		t.Fatal(err)
	}
	h.ended(e, "r1", "01BEFORE2", delivery.StateDelivered)

	for _, x := range []struct {
		name             string
		replay           *outboundv1.Replay
		count, had, gone int64
		want             []string
	}{
		{"what ended badly at one", byFilter(&outboundv1.Replay_Deliveries{RecipientId: "r1"}), 4, 1, 0,
			[]string{"r1/a1~again", "r1/a1~e-1", "r1/a1~e-2", "r1/a1~e-3"}},
		{"one state of all", byFilter(&outboundv1.Replay_Deliveries{State: outboundv1.DeliveryState_REJECTED}), 1, 0, 0, []string{"r1/a1~e-2"}},
		{"what was delivered", byFilter(&outboundv1.Replay_Deliveries{State: outboundv1.DeliveryState_DELIVERED}), 2, 2, 0,
			[]string{"r1/a1~again", "r1/a1~e-0"}},
		{"a recipient that is gone", byFilter(&outboundv1.Replay_Deliveries{RecipientId: "gone"}), 5, 0, 5, nil},
		{"a reason", byFilter(&outboundv1.Replay_Deliveries{Reason: "no_such_reason"}), 0, 0, 0, nil},
		{"a class", byFilter(&outboundv1.Replay_Deliveries{RecipientId: "r2", ReasonClass: "http_5xx"}), 5, 0, 0,
			[]string{"r2/a1~e-0", "r2/a1~e-1", "r2/a1~e-2", "r2/a1~e-3", "r2/a1~e-4"}},
		{"later than all", byFilter(&outboundv1.Replay_Deliveries{StartTime: timestamppb.New(time.Now().Add(time.Hour))}), 0, 0, 0, nil},
		{"before all", byFilter(&outboundv1.Replay_Deliveries{EndTime: timestamppb.New(time.Now().Add(-time.Hour))}), 0, 0, 0, nil},
		{"to another", &outboundv1.Replay{
			Source:        &outboundv1.Replay_Deliveries_{Deliveries: &outboundv1.Replay_Deliveries{State: outboundv1.DeliveryState_EXPIRED}},
			ToRecipientId: "r2", Rate: 1000,
		},
			6, 5, 0, []string{"r2/a1~again", "r2/a1~e-0", "r2/a1~e-1", "r2/a1~e-2", "r2/a1~e-3", "r2/a1~e-4"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			p, err := h.deliveries.PreviewReplay(t.Context(), &outboundv1.PreviewReplayRequest{Replay: x.replay})
			if err != nil {
				t.Fatal(err)
			}
			if x.name != "to another" && (p.GetCount() != x.count || p.GetAlreadyDelivered() != x.had || p.GetUnavailable() != x.gone ||
				p.GetMore()) {
				t.Errorf("the preview says %v, want %d of which %d delivered and %d unavailable", p, x.count, x.had, x.gone)
			}
			r := h.replayIs(h.replay(x.replay).GetId(), done)
			if r.GetTotal() != x.count || r.GetQueued() != int64(len(x.want)) || r.GetUnavailable() != x.gone || r.GetActor() == "" ||
				r.GetFinishTime() == nil {
				t.Errorf("the replay says %v", r)
			}
			got := h.replayed(r.GetId())
			var keys []string
			for key, n := range got {
				if n != 1 {
					t.Errorf("%s was queued %d times", key, n)
				}
				keys = append(keys, key[:len(key)-27])
			}
			slices.Sort(keys)
			if diff := cmp.Diff(x.want, keys); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestABackfillSendsWhatARecipientSelectsAndHasNotHad(t *testing.T) {
	late := httpRecipient("late", kindEnd)
	late.Appliances, late.Filter = []string{"a1"}, `event.external_key == "INC 1"`
	h := newFixture(t, history.EmbeddedAlways, late)
	h.runner()
	before := h.accept("a1", "before")
	_ = before
	start := time.Now()
	had, tried := h.accept("a1", "had"), h.accept("a1", "tried")
	h.acceptType("a1", "other-type", "support_conference_begin")
	h.accept("a2", "other-appliance")
	h.accept("a1", "wanted")
	h.ended(had, "late", "", delivery.StateDelivered)
	h.ended(tried, "late", "", delivery.StateRetrying)
	h.pulled("late")

	back := func(again bool) *outboundv1.Replay {
		return &outboundv1.Replay{ToRecipientId: "late", Rate: 1000, Source: &outboundv1.Replay_Backfill_{
			Backfill: &outboundv1.Replay_Backfill{StartTime: timestamppb.New(start), IncludeDelivered: again},
		}}
	}
	first := h.replayIs(h.replay(back(false)).GetId(), done)
	id := "~" + first.GetId()
	if diff := cmp.Diff([]string{"late/a1~wanted" + id}, slices.Sorted(maps.Keys(h.replayed(first.GetId())))); diff != "" {
		t.Error(diff)
	}
	// What the first one queued is on its way.
	if second := h.replayIs(h.replay(back(false)).GetId(), done); second.GetTotal() != 0 || second.GetQueued() != 0 {
		t.Errorf("a second backfill sends it again: %v", second)
	}
	if all := h.replayIs(h.replay(back(true)).GetId(), done); all.GetQueued() != 3 {
		t.Errorf("with what it has had: %v", all)
	}
}

// pulled has a recipient's queue hand out all it holds.
func (h *fixture) pulled(id string) {
	h.t.Helper()
	p, err := queue.New(h.bus).Open(h.t.Context(), recipient.HTTP, id)
	if err != nil {
		h.t.Fatal(err)
	}
	defer p.Close()
	if err := p.Pull(h.t.Context(), 100, time.Second, func(delivery.Message) {}); err != nil {
		h.t.Fatal(err)
	}
}

// TestAReplayGoesOnWhereItStopped stops and starts the process that runs a replay, several times, and has two run at once.
func TestAReplayGoesOnWhereItStopped(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", kindEnd))
	const n = 600
	for i := range n {
		h.ended(h.accept("a1", fmt.Sprint("e-", i)), "r1", "", delivery.StateExpired)
	}
	r := byFilter(&outboundv1.Replay_Deliveries{})
	r.Rate = 200
	id := h.replay(r).GetId()
	for _, some := range []int64{50, 200, 350} {
		stop, other := h.runner(), h.runner()
		h.replayIs(id, func(r *outboundv1.Replay) bool { return r.GetQueued() >= some })
		stop()
		other()
	}
	if half, err := h.deliveries.GetReplay(t.Context(), &outboundv1.GetReplayRequest{Id: id}); err != nil ||
		half.GetState() != outboundv1.Replay_RUNNING || half.GetTotal() != n {
		t.Fatalf("%v, %v", half, err)
	}
	h.runner()
	last := h.replayIs(id, done)
	got := h.replayed(id)
	if last.GetQueued() != n || last.GetUnavailable() != 0 || len(got) != n {
		t.Errorf("the replay says %v; %d are queued, want %d", last, len(got), n)
	}
	for key, times := range got {
		if times != 1 {
			t.Errorf("%s was queued %d times", key, times)
		}
	}
}

func TestACancelledReplayStops(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", kindEnd))
	h.runner()
	const n = 300
	for i := range n {
		h.ended(h.accept("a1", fmt.Sprint("e-", i)), "r1", "", delivery.StateExpired)
	}
	r := byFilter(&outboundv1.Replay_Deliveries{})
	r.Rate = 20
	id := h.replay(r).GetId()
	h.replayIs(id, func(r *outboundv1.Replay) bool { return r.GetQueued() > 0 })
	stopped, err := h.deliveries.CancelReplay(t.Context(), &outboundv1.CancelReplayRequest{Id: id})
	if err != nil || stopped.GetState() != outboundv1.Replay_STOPPED || stopped.GetFinishTime() == nil {
		t.Fatalf("%v, %v", stopped, err)
	}
	end := h.replayIs(id, func(r *outboundv1.Replay) bool { return r.GetQueued() == int64(len(h.replayed(id))) })
	if end.GetQueued() >= n {
		t.Errorf("all was queued: %v", end)
	}
	if again, err := h.deliveries.CancelReplay(t.Context(), &outboundv1.CancelReplayRequest{Id: id}); err != nil ||
		again.GetState() != outboundv1.Replay_STOPPED {
		t.Errorf("%v, %v", again, err)
	}
	list, err := h.deliveries.ListReplays(t.Context(), &outboundv1.ListReplaysRequest{})
	if err != nil || len(list.GetReplays()) != 1 || list.GetReplays()[0].GetId() != id {
		t.Errorf("%v, %v", list, err)
	}
}

func TestReplaysThatMeanNothingAreRefused(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", kindEnd))
	now := timestamppb.Now()
	for _, x := range []struct {
		replay *outboundv1.Replay
		field  string
		code   codes.Code
	}{
		{&outboundv1.Replay{}, "replay.deliveries", codes.InvalidArgument},
		{byFilter(&outboundv1.Replay_Deliveries{State: outboundv1.DeliveryState_RETRYING}), "replay.deliveries.state", codes.InvalidArgument},
		{byFilter(&outboundv1.Replay_Deliveries{State: outboundv1.DeliveryState_WAITING}), "replay.deliveries.state", codes.InvalidArgument},
		{byFilter(&outboundv1.Replay_Deliveries{RecipientId: "*"}), "replay.deliveries.recipientId", codes.InvalidArgument},
		{byFilter(&outboundv1.Replay_Deliveries{StartTime: now, EndTime: now}), "replay.deliveries.endTime", codes.InvalidArgument},
		{&outboundv1.Replay{Source: &outboundv1.Replay_Backfill_{Backfill: &outboundv1.Replay_Backfill{StartTime: now}}},
			"replay.toRecipientId", codes.InvalidArgument},
		{&outboundv1.Replay{ToRecipientId: "nobody", Source: byFilter(&outboundv1.Replay_Deliveries{}).GetSource()}, "", codes.NotFound},
	} {
		_, err := h.deliveries.CreateReplay(t.Context(), &outboundv1.CreateReplayRequest{Replay: x.replay})
		wantCode(t, err, x.code)
		if v := rpc.ViolationsOf(err); x.field != "" && (len(v) != 1 || v[0].Field != x.field) {
			t.Errorf("%v has the faults %v, want one of %s", x.replay, v, x.field)
		}
	}
	for _, id := range []string{"nobody", "*", ">"} {
		_, err := h.deliveries.GetReplay(t.Context(), &outboundv1.GetReplayRequest{Id: id})
		wantCode(t, err, codes.NotFound)
		_, err = h.deliveries.CancelReplay(t.Context(), &outboundv1.CancelReplayRequest{Id: id})
		wantCode(t, err, codes.NotFound)
	}
}

// TestAReplayWaitsForRoom has EVENTS so full that what is left is the appliances'.
func TestAReplayWaitsForRoom(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", kindEnd))
	h.runner()
	const n = 50
	for i := range n {
		h.ended(h.accept("a1", fmt.Sprint("e-", i)), "r1", "", delivery.StateExpired)
	}
	room, err := control.New(h.bus).StreamState(t.Context(), bus.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	bounds := bustest.StreamOptions()
	bounds.EventsMaxBytes = int64(room.Bytes) * 11 / 10
	if err := h.bus.EnsureStreams(t.Context(), bounds); err != nil {
		t.Fatal(err)
	}
	id := h.replay(byFilter(&outboundv1.Replay_Deliveries{})).GetId()
	h.replayIs(id, func(r *outboundv1.Replay) bool { return strings.Contains(r.GetDetail(), "full") })
	if got := len(h.replayed(id)); got != 0 {
		t.Errorf("%d were queued though there is no room", got)
	}
	if err := h.bus.EnsureStreams(t.Context(), bustest.StreamOptions()); err != nil {
		t.Fatal(err)
	}
	if r := h.replayIs(id, done); r.GetQueued() != n || len(h.replayed(id)) != n || r.GetDetail() != "" {
		t.Errorf("once there is room: %v", r)
	}
}

// TestWhatIsNoLongerStoredIsUnavailable purges the beginning of EVENTS.
func TestWhatIsNoLongerStoredIsUnavailable(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", kindEnd))
	h.runner()
	for i := range 10 {
		h.ended(h.accept("a1", fmt.Sprint("e-", i)), "r1", "", delivery.StateExpired)
	}
	js, err := jetstream.New(h.bus.IntakeConn())
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), bus.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(5)); err != nil {
		t.Fatal(err)
	}
	r := byFilter(&outboundv1.Replay_Deliveries{})
	p, err := h.deliveries.PreviewReplay(t.Context(), &outboundv1.PreviewReplayRequest{Replay: r})
	if err != nil || p.GetCount() != 10 || p.GetUnavailable() != 4 {
		t.Errorf("the preview says %v, %v", p, err)
	}
	if got := h.replayIs(h.replay(r).GetId(), done); got.GetQueued() != 6 || got.GetUnavailable() != 4 || got.GetTotal() != 10 {
		t.Errorf("the replay says %v", got)
	}
}
