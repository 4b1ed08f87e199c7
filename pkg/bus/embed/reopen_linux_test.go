package embed_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// store publishes events one after the other until one is not stored, or n are, and returns the ids of those that are.
func storeEvents(t *testing.T, c *bus.Conn, prefix string, n int) (kept []string, failed error) {
	t.Helper()
	p := bus.NewPublisher(c)
	defer p.Close()
	for i := range n {
		id := fmt.Sprint(prefix, "-", i)
		e, v := event.Decode(fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"a-1","type":"x","time":%q,"data":{"pad":%q}}`, id,
			time.Now().UTC().Format(time.RFC3339), strings.Repeat("x", 10_000)))
		if len(v) > 0 {
			t.Fatal(v)
		}
		ctx, cancel := context.WithCancel(t.Context())
		stop := context.AfterFunc(c.StoreFailing(), cancel)
		_, err := p.Accept(ctx, e)
		stop()
		cancel()
		if err != nil {
			return kept, err
		}
		kept = append(kept, id)
	}
	return kept, nil
}

func watched(t *testing.T, c *bus.Conn) *bus.StoreWatch {
	t.Helper()
	w := bus.NewStoreWatch(c, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

func fault(f *bus.StoreFault) error {
	if f == nil {
		return nil
	}
	return f
}

// A write error stays with the broker; once there is space, the store is opened again and holds all that was acknowledged.
func TestAStoreWithAWriteErrorIsOpenedAgain(t *testing.T) {
	for name, x := range map[string]struct {
		options string
		fill    func(*bustest.Disk)
	}{
		"space":  {"size=64m", func(d *bustest.Disk) { d.Fill(0) }},
		"inodes": {"size=256m,nr_inodes=400", func(d *bustest.Disk) { d.FillInodes(0) }},
	} {
		t.Run(name, func(t *testing.T) {
			disk := bustest.NewDisk(t, x.options)
			s := start(t, disk.Dir+"/store")
			c := core(t, s)
			if err := c.EnsureStreams(t.Context(), bustest.StreamOptions()); err != nil {
				t.Fatal(err)
			}
			w := watched(t, c)
			kept, err := storeEvents(t, c, "before", 10)
			if err != nil {
				t.Fatal(err)
			}
			x.fill(disk)
			began := time.Now()
			more, err := storeEvents(t, c, "full", 5000)
			t.Logf("%d stored more; %v after %s: %v; watch: %v", len(more), err, time.Since(began), s.StoreError(), w.Broken())
			if err == nil || c.StoreFault() == nil {
				t.Fatalf("a full disk took all: %v", c.StoreFault())
			}
			kept = append(kept, more...)
			waittest.Until(t, "the watch to name the write error", func() bool { f := w.Broken(); return f != nil && f.Reason == bus.StoreFull })
			if s.StoreError() == nil || s.Writable() == nil {
				t.Error("the store is said to be fine")
			}
			disk.Clear()
			if err := s.Writable(); err != nil {
				t.Errorf("an empty disk: %v", err)
			}
			if err := s.Reopen(); err != nil {
				t.Fatal(err)
			}
			waittest.NoError(t, "the watch to see that all is well", func() error {
				return errors.Join(fault(c.StoreFault()), fault(w.Broken()), s.StoreError())
			})
			last, err := storeEvents(t, c, "after", 10)
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, last...)
			state, err := control.New(c).StreamState(t.Context(), bus.StreamEvents)
			if err != nil || state.Messages < uint64(len(kept)) {
				t.Errorf("%d were stored, %d are there: %v", len(kept), state.Messages, err)
			}
		})
	}
}
