// Package quota limits what one caller, and all callers together, may use of a gRPC server: open streams, previews, searches and test
// sends. What is asked for beyond it waits for a moment and is then refused with the time after which to try again. Nothing here
// concerns events that appliances publish: the intake has limits of its own.
package quota

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Exceeded reports that a call is beyond a limit.
type Exceeded struct {
	// Reason is one word.
	Reason string
	// Text says which limit and what to do.
	Text string
	// Wait is after how long to try again.
	Wait time.Duration
}

// Error implements error.
func (e *Exceeded) Error() string { return e.Text }

// The reasons.
const (
	TooManyStreams  = "TOO_MANY_STREAMS"
	TooManyPreviews = "TOO_MANY_PREVIEWS"
	TooManySearches = "TOO_MANY_SEARCHES"
	TooManyTests    = "TOO_MANY_TESTS"
)

// kind is a kind of calls that share a limit.
type kind int

const (
	preview kind = iota + 1
	filterTest
	search
	test
)

// kinds are the limited methods. Each is asked for by people, and none is needed to take events in or to deliver them.
func kinds() map[string]kind {
	return map[string]kind{
		v1.RecipientService_PreviewRecipient_FullMethodName: preview,
		v1.RecipientService_TestFilter_FullMethodName:       filterTest,
		v1.SettingsService_CheckChanges_FullMethodName:      preview,
		v1.DeliveryService_PreviewReplay_FullMethodName:     preview,

		v1.EventService_ListEvents_FullMethodName:        search,
		v1.DeliveryService_ListDeliveries_FullMethodName: search,
		v1.DeliveryService_ListReplays_FullMethodName:    search,
		v1.SettingsService_ListRevisions_FullMethodName:  search,

		v1.RecipientService_TestRecipient_FullMethodName:   test,
		v1.RecipientService_DoctorRecipient_FullMethodName: test,
		v1.SettingsService_SendTestEmail_FullMethodName:    test,
	}
}

// patience is how long a call waits for its turn before it is refused: a caller that repeats at once what was refused is slowed down
// by it. Of each caller waitingPerCaller calls may wait or run for each one that may run at once.
const (
	patience         = 5 * time.Second
	waitingPerCaller = 8
)

// Quota keeps the counts of one process. It may be used by many goroutines.
type Quota struct {
	o        Options
	kinds    map[string]kind
	streams  openStreams
	classes  map[kind]*class
	patience time.Duration
}

// New makes the counts.
func New(o Options) *Quota {
	per := func(minute int) rate.Limit { return rate.Every(time.Minute / time.Duration(minute)) }
	q := &Quota{o: o, kinds: kinds(), streams: openStreams{of: map[string]int{}}, patience: patience}
	q.classes = map[kind]*class{
		preview:    newClass(TooManyPreviews, "previews", per(o.PreviewsPerMinute), max(1, o.PreviewsPerMinute/4), previewsAtOnce),
		filterTest: newClass(TooManyPreviews, "filter tests", per(o.PreviewsPerMinute), max(1, o.PreviewsPerMinute/4), 1),
		search:     newClass(TooManySearches, "searches", per(o.SearchesPerMinute), max(1, o.SearchesPerMinute/4), o.Searches),
		test:       newClass(TooManyTests, "tests", per(o.TestsPerMinute), max(1, o.TestsPerMinute/2), testsAtOnce),
	}
	q.classes[filterTest].pace = newPace(o.FilterTestShare)
	return q
}

// previewsAtOnce is how many previews run at once: each takes a processor.
const previewsAtOnce = 2

// testsAtOnce is how many tests run at once: each waits for an answer of a receiver or relay.
const testsAtOnce = 32

// Call admits a unary call of a caller. The caller waits until its turn comes, at most 5 s, and calls release at its end. The error is
// *Exceeded, or that of ctx.
func (q *Quota) Call(ctx context.Context, method, caller string) (release func(), err error) {
	c := q.classes[q.kinds[method]]
	if c == nil {
		return func() {}, nil
	}
	return c.enter(ctx, caller, q.patience)
}

// Stream admits a streaming call of a caller, who calls release at its end. The error is *Exceeded.
func (q *Quota) Stream(caller string) (release func(), err error) {
	return q.streams.open(caller, q.o)
}

// openStreams counts the streams that are open.
type openStreams struct {
	mu  sync.Mutex
	of  map[string]int
	all int
}

func (s *openStreams) open(caller string, o Options) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.of[caller] >= o.StreamsPerCaller:
		return nil, &Exceeded{TooManyStreams, fmt.Sprintf("you have %d open watches and tails, which is the limit: end one first",
			s.of[caller]), time.Second}
	case s.all >= o.Streams:
		return nil, &Exceeded{TooManyStreams, fmt.Sprintf("%d watches and tails are open, which is the limit of this server: try again later",
			s.all), time.Second}
	}
	s.of[caller]++
	s.all++
	return sync.OnceFunc(func() { s.close(caller) }), nil
}

func (s *openStreams) close(caller string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.of[caller]--; s.of[caller] == 0 {
		delete(s.of, caller)
	}
}
