package configclient_test

import (
	"context"
	"io"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/configclient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// wire is a connection to a config service that says what the test sends; nil ends the stream. Each stream is asked for by streams.
type wire struct {
	streams  chan *outboundv1.WatchRecipientsRequest
	messages chan *outboundv1.WatchRecipientsResponse
	asked    atomic.Int64
	// absent has a recipient that is asked for not be there.
	absent atomic.Bool
}

func newWire() *wire {
	return &wire{streams: make(chan *outboundv1.WatchRecipientsRequest), messages: make(chan *outboundv1.WatchRecipientsResponse)}
}

func (w *wire) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	w.asked.Add(1)
	if w.absent.Load() {
		return status.Error(codes.NotFound, "there is none")
	}
	return nil
}

func (w *wire) NewStream(ctx context.Context, _ *grpc.StreamDesc, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return &wireStream{w: w, ctx: ctx}, nil
}

type wireStream struct {
	w   *wire
	ctx context.Context
}

func (s *wireStream) Header() (metadata.MD, error) { return metadata.MD{}, nil }
func (s *wireStream) Trailer() metadata.MD         { return nil }
func (s *wireStream) CloseSend() error             { return nil }
func (s *wireStream) Context() context.Context     { return s.ctx }

func (s *wireStream) SendMsg(m any) error {
	q, _ := m.(*outboundv1.WatchRecipientsRequest)
	select {
	case s.w.streams <- q:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

func (s *wireStream) RecvMsg(m any) error {
	select {
	case next := <-s.w.messages:
		if next == nil {
			return io.ErrUnexpectedEOF
		}
		into, _ := m.(*outboundv1.WatchRecipientsResponse)
		proto.Merge(into, next)
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

func mark(through uint64) *outboundv1.WatchRecipientsResponse {
	b := &outboundv1.Bookmark{CompleteThrough: through}
	return &outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Bookmark{Bookmark: b}}
}

// follow runs a client in a bubble, and gives the test what it knows of its own recency.
func follow(t *testing.T, o configclient.Options, test func(w *wire, c *configclient.Client, is func(through uint64, known bool))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		c := configclient.New(w, o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		test(w, c, func(through uint64, known bool) {
			t.Helper()
			synctest.Wait()
			if got, ok, _ := c.CompleteThrough(); got != through || ok != known {
				t.Errorf("complete through %d, known %v; want %d, %v", got, ok, through, known)
			}
		})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestBookmarksTellHowRecentTheRecipientsAre(t *testing.T) {
	follow(t, configclient.Options{Bookmarks: true}, func(w *wire, c *configclient.Client, is func(uint64, bool)) {
		if q := <-w.streams; !q.GetBookmarks() {
			t.Error("it did not ask for bookmarks")
		}
		is(0, true)
		// A bookmark counts once the recipients are known of which it tells.
		w.messages <- is1("a", 1)
		w.messages <- mark(7)
		is(0, true)
		w.messages <- synced()
		is(7, true)
		_, _, changed := c.CompleteThrough()
		w.messages <- is1("a", 2)
		is(7, true)
		w.messages <- mark(9)
		is(9, true)
		select {
		case <-changed:
		default:
			t.Error("nobody is told of a bookmark")
		}
		// What is known stays known while the service is away.
		w.messages <- nil
		time.Sleep(time.Hour)
		is(9, true)
		// The next stream may be of another process, which is behind, or of a broker whose events begin anew.
		<-w.streams
		is(9, true)
		w.messages <- mark(3)
		w.messages <- synced()
		is(3, true)
	})
}

func is1(id string, revision uint64) *outboundv1.WatchRecipientsResponse {
	s := stored(id, id)
	s.Revision = revision
	return is(s)
}

func TestAServiceWithoutBookmarksIsFoundOut(t *testing.T) {
	follow(t, configclient.Options{Bookmarks: true}, func(w *wire, _ *configclient.Client, is func(uint64, bool)) {
		<-w.streams
		w.messages <- synced()
		is(0, true)
		time.Sleep(9 * time.Second)
		is(0, true)
		time.Sleep(2 * time.Second)
		is(0, false)
		// It is restarted, still the older one: that is known from the start. Then it is upgraded.
		w.messages <- nil
		<-w.streams
		w.messages <- synced()
		is(0, false)
		w.messages <- nil
		<-w.streams
		w.messages <- mark(5)
		w.messages <- synced()
		is(5, true)
		// And back.
		w.messages <- nil
		<-w.streams
		w.messages <- synced()
		is(0, true)
		time.Sleep(11 * time.Second)
		is(0, false)
	})
}

func TestWithoutTheOptionNothingIsKnown(t *testing.T) {
	follow(t, configclient.Options{}, func(w *wire, _ *configclient.Client, is func(uint64, bool)) {
		if q := <-w.streams; q.GetBookmarks() {
			t.Error("it asks for bookmarks")
		}
		w.messages <- synced()
		is(0, false)
	})
}

func TestABookmarkIsAskedForUntilItComes(t *testing.T) {
	follow(t, configclient.Options{Bookmarks: true}, func(w *wire, c *configclient.Client, is func(uint64, bool)) {
		<-w.streams
		w.messages <- mark(10)
		w.messages <- synced()
		is(10, true)
		asks := func(atLeast, atMost int64) {
			t.Helper()
			synctest.Wait()
			if n := w.asked.Swap(0); n < atLeast || n > atMost {
				t.Errorf("asked %d times, want %d to %d", n, atLeast, atMost)
			}
		}
		c.AskThrough(10)
		asks(0, 0)
		// Many who wait at once ask once.
		for i := range uint64(1000) {
			c.AskThrough(11 + i)
		}
		asks(1, 1)
		time.Sleep(2 * time.Second)
		asks(5, 8)
		w.messages <- mark(1010)
		is(1010, true)
		time.Sleep(time.Minute)
		asks(0, 1)
		// A sequence that never comes is not asked for for ever.
		c.AskThrough(math.MaxUint64)
		time.Sleep(time.Minute)
		asks(10, 18)
		time.Sleep(time.Hour)
		asks(0, 0)
		c.AskThrough(1011)
		asks(1, 1)
		w.messages <- mark(1011)
	})
}

func TestARecipientThatWasMadeAMomentAgoIsFound(t *testing.T) {
	follow(t, configclient.Options{}, func(w *wire, c *configclient.Client, _ func(uint64, bool)) {
		<-w.streams
		w.messages <- synced()
		found := make(chan bool, 1)
		find := func(id string) { _, ok := c.Find(context.Background(), id); found <- ok }
		go find("new")
		synctest.Wait()
		w.messages <- is1("other", 1)
		synctest.Wait()
		if len(found) > 0 {
			t.Error("it was not waited for")
		}
		w.messages <- is1("new", 2)
		if !<-found {
			t.Error("it was not found though it came")
		}
		// The config service has it, but the stream never brings it.
		began := time.Now()
		go find("late")
		if <-found || time.Since(began) != 5*time.Second {
			t.Errorf("it was waited for for %v", time.Since(began))
		}
		// One that is not there costs one question, and no wait.
		w.absent.Store(true)
		began = time.Now()
		go find("none")
		if <-found || time.Since(began) != 0 {
			t.Errorf("what does not exist was waited for for %v", time.Since(began))
		}
		// What is known needs no question.
		before := w.asked.Load()
		go find("new")
		if !<-found || w.asked.Load() != before {
			t.Error("what is known was asked for")
		}
	})
}
