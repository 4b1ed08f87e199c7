package config_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// TestBookmarksPromiseNoMoreThanWasSent changes a recipient again and again, accepts an event after each answer, and compares what a
// stream had sent by each bookmark.
func TestBookmarksPromiseNoMoreThanWasSent(t *testing.T) {
	h := start(t)
	h.create(httpRecipient("R"))
	p := bus.NewPublisher(h.bus)
	t.Cleanup(p.Close)
	stream, err := h.services.WatchRecipients(h.ctx(), &outboundv1.WatchRecipientsRequest{Bookmarks: true})
	if err != nil {
		t.Fatal(err)
	}
	// done[i] is the sequence of the first event after change i.
	const changes = 40
	done := make([]uint64, changes)
	ctx := h.ctx()
	var changing sync.WaitGroup
	ask := func() {
		if _, err := h.services.RequestBookmark(ctx, &outboundv1.RequestBookmarkRequest{}); err != nil {
			t.Error(err)
		}
	}
	changing.Go(func() {
		for i := range changes {
			ask() // so that bookmarks are made while changes are
			if err := h.tryUpdate(ctx, &outboundv1.Recipient{Id: "r", DisplayName: fmt.Sprintf("R %d", i)}, "display_name"); err != nil {
				t.Error(err)
			}
			done[i] = h.event(p, typeEnd, fmt.Sprintf("e-%d", i))
			ask()
		}
	})
	type marked struct {
		through uint64
		change  int
	}
	var marks []marked
	for last := -1; len(marks) == 0 || marks[len(marks)-1].through < changes; {
		m := h.next(stream)
		if r := m.GetRecipient().GetRecipient(); r != nil && strings.HasPrefix(r.GetDisplayName(), "R ") {
			if _, err := fmt.Sscanf(r.GetDisplayName(), "R %d", &last); err != nil {
				t.Fatal(err)
			}
		}
		if b := m.GetBookmark(); b != nil {
			marks = append(marks, marked{b.GetCompleteThrough(), last})
		}
	}
	changing.Wait()
	if len(marks) < 5 {
		t.Errorf("only %d bookmarks came", len(marks))
	}
	for _, m := range marks {
		for i, sequence := range done {
			if sequence <= m.through && m.change < i {
				t.Errorf("the bookmark at %d came after change %d, but change %d was answered before event %d", m.through, m.change, i, sequence)
			}
		}
	}
}

// TestAChangeWhileTheRecipientsAreReadIsNotPromised has a change answered and an event accepted after the service began to read the
// recipients, and before it knows how far EVENTS is.
func TestAChangeWhileTheRecipientsAreReadIsNotPromised(t *testing.T) {
	h, proxy := behindProxy(t)
	h.run()
	h.create(httpRecipient("R"))
	p := bus.NewPublisher(h.bus)
	t.Cleanup(p.Close)
	stream, err := h.services.WatchRecipients(h.ctx(), &outboundv1.WatchRecipientsRequest{Bookmarks: true})
	if err != nil {
		t.Fatal(err)
	}
	rename := func(name string) {
		t.Helper()
		if err := h.tryUpdate(h.ctx(), &outboundv1.Recipient{Id: "r", DisplayName: name}, "display_name"); err != nil {
			t.Fatal(err)
		}
	}
	held := proxy.Hold(0, func(subject, _ string) bool { return subject == "$JS.API.STREAM.INFO.EVENTS" })
	rename("R 1")
	<-held.Arrived
	rename("R 2")
	sequence := h.event(p, typeEnd, "after")
	held.Release()
	for name := ""; ; {
		m := h.next(stream)
		if r := m.GetRecipient().GetRecipient(); r != nil {
			name = r.GetDisplayName()
		}
		if m.GetBookmark().GetCompleteThrough() < sequence {
			continue
		}
		if name != "R 2" {
			t.Errorf("all is promised up to %d when %q had been sent", sequence, name)
		}
		break
	}
}

func TestABookmarkComesBeforeTheSnapshotIsCompleteAndThenByItself(t *testing.T) {
	h := start(t)
	h.create(httpRecipient("R"))
	for first := h.watch(outboundv1.WatchRecipientsRequest_CHANNEL_UNSPECIFIED); h.next(first).GetRecipient() == nil; {
		continue // what was created is shown a moment later
	}
	p := bus.NewPublisher(h.bus)
	t.Cleanup(p.Close)
	stream, err := h.services.WatchRecipients(h.ctx(), &outboundv1.WatchRecipientsRequest{Bookmarks: true})
	if err != nil {
		t.Fatal(err)
	}
	if m := h.next(stream); m.GetRecipient() == nil {
		t.Errorf("first came %v", m)
	}
	if m := h.next(stream); m.GetBookmark() == nil {
		t.Errorf("then came %v", m)
	}
	if m := h.next(stream); m.GetSynced() == nil {
		t.Errorf("at last came %v", m)
	}
	last := h.event(p, typeEnd, "e1")
	if m := h.next(stream); m.GetBookmark().GetCompleteThrough() != last {
		t.Errorf("after an event came %v", m)
	}
	// Who did not ask for bookmarks gets none, as before.
	plain := h.watch(outboundv1.WatchRecipientsRequest_CHANNEL_UNSPECIFIED)
	h.next(plain)
	if m := h.next(plain); m.GetSynced() == nil {
		t.Errorf("a stream without bookmarks sent %v", m)
	}
	h.event(p, typeEnd, "e2")
	h.next(stream)
	h.create(httpRecipient("S"))
	if m := h.next(plain); m.GetRecipient().GetRecipient().GetId() != "s" {
		t.Errorf("a stream without bookmarks sent %v", m)
	}
}

// TestBookmarksCostTheSameForManyStreams counts the service's requests for the state of EVENTS.
func TestBookmarksCostTheSameForManyStreams(t *testing.T) {
	h, proxy := behindProxy(t)
	h.run()
	p := bus.NewPublisher(h.bus)
	t.Cleanup(p.Close)
	var streams []outboundv1.RecipientService_WatchRecipientsClient
	for range 50 {
		s, err := h.services.WatchRecipients(h.ctx(), &outboundv1.WatchRecipientsRequest{Bookmarks: true})
		if err != nil {
			t.Fatal(err)
		}
		for h.next(s).GetSynced() == nil {
			continue
		}
		streams = append(streams, s)
	}
	var events, buckets atomic.Int64
	proxy.Hold(0, func(subject, _ string) bool {
		switch subject {
		case "$JS.API.STREAM.INFO.EVENTS":
			events.Add(1)
		case "$JS.API.STREAM.INFO.KV_" + bus.BucketRecipients:
			buckets.Add(1)
		}
		return false
	})
	began := time.Now()
	last := h.event(p, typeEnd, "e1")
	for _, s := range streams {
		if got := h.next(s).GetBookmark().GetCompleteThrough(); got != last {
			t.Errorf("a stream was told of %d, want %d", got, last)
		}
	}
	// One a second for bookmarks, one for whether EVENTS is too full in each five.
	if most := int64(time.Since(began)/time.Second)*2 + 3; events.Load() > most || buckets.Load() != 1 {
		t.Errorf("asked for the state of EVENTS %d times and of the bucket %d times, for 50 streams", events.Load(), buckets.Load())
	}
}
