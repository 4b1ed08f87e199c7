package storecheck_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/storecheck"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// newEvent returns an event of an id.
func newEvent(t *testing.T, id string) *event.Event {
	t.Helper()
	e, v := event.Decode(fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"a1","type":"support_conference_end","time":%q}`, id,
		time.Now().UTC().Format(time.RFC3339)))
	if len(v) > 0 {
		t.Fatal(v)
	}
	return e
}

// While a cluster elects the leader of a stream, the stream's servers answer nothing or say less than they know. That is no damage: neither
// for a process that runs nor for one that starts.
func TestAnElectionIsNoDamage(t *testing.T) {
	cluster := bustest.NewCluster(t)
	for i := range 3 {
		cluster.Run(i)
	}
	c := cluster.Conn()
	publisher := bus.NewPublisher(c)
	t.Cleanup(publisher.Close)
	o := bustest.StreamOptions()
	o.Replicas = 3
	var log waittest.Log
	board := notice.NewBoard(slog.New(slog.NewTextHandler(&log, nil)))
	keeper := storecheck.Bucket{Conn: c}
	w := storecheck.NewWatcher(storecheck.Options{Conn: c, Keeper: keeper, Every: 50 * time.Millisecond, Notices: board})
	if err := w.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for i := range 2 {
		for n := range 20 {
			if _, err := publisher.Accept(t.Context(), newEvent(t, fmt.Sprint(i, "-", n))); err != nil {
				t.Fatal(err)
			}
		}
		waittest.Until(t, "the inventory", func() bool {
			known, err := keeper.Load(t.Context())
			return err == nil && known != nil && known.Streams[bus.StreamEvents].Last == uint64(20*(i+1))
		})
		stopped := cluster.Leader(bus.StreamEvents)
		cluster.Stop(stopped)
		if err := storecheck.NewWatcher(storecheck.Options{Conn: c, Keeper: keeper}).Open(t.Context(), o); err != nil {
			t.Errorf("a start during the election: %v", err)
		}
		cluster.Leader(bus.StreamEvents)
		cluster.Run(stopped)
		waittest.NoError(t, "the broker", c.Ready)
	}
	cancel()
	if err := waittest.Receive(t, "the end", ended); err != nil {
		t.Error(err)
	}
	if w.Err() != nil || strings.Contains(log.String(), "notice") {
		t.Errorf("%v was found, and told:\n%s", w.Err(), log.String())
	}
}
