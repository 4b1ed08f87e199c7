package bus_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestEverybodyWhoIsThereAnswersAPing(t *testing.T) {
	b := bustest.Start(t)
	c := b.Conn()
	if got, err := control.New(c).Ping(t.Context(), 200*time.Millisecond); err != nil || len(got) != 0 {
		t.Fatalf("with nobody there, %v answered (%v)", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	// Two of one service by connections of their own, and two services that share one.
	for _, here := range [][]control.Presence{{control.NewPresence("http-sender", "1")}, {control.NewPresence("http-sender", "2")},
		{control.NewPresence("history", "1"), control.NewPresence("config", "1")}} {
		conn := b.Conn()
		wg.Go(func() {
			if err := control.New(conn).Announce(ctx, nil, here...); err != nil {
				t.Errorf("announce: %v", err)
			}
		})
	}
	want := []string{"config 1", "history 1", "http-sender 1", "http-sender 2"}
	waittest.NoError(t, "all to answer", func() error {
		all, err := control.New(c).Ping(t.Context(), 200*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		instances := map[string]bool{}
		for _, p := range all {
			got = append(got, p.Name+" "+p.Version)
			instances[p.Instance] = true
			if p.Start.IsZero() {
				t.Errorf("%s does not say since when", p.Name)
			}
		}
		slices.Sort(got)
		if len(instances) != len(all) {
			t.Errorf("instances are not told apart: %v", all)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("there are %q, want %q", got, want)
		}
		return nil
	})
}
