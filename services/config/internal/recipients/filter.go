package recipients

import (
	"context"
	"fmt"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/filter"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// checkFilter adds what is wrong with a recipient's filter.
func checkFilter(v *validation.Violations, c *filter.Compiler, r, before *outboundv1.Recipient) {
	// A filter that was valid when it was stored must not keep an operator from disabling the recipient.
	if r.GetFilter() == "" || !r.GetEnabled() && r.GetFilter() == before.GetFilter() {
		return
	}
	// One that was saved before there was a bound goes on: the sender bounds each evaluation.
	compile := c.Check
	if r.GetFilter() == before.GetFilter() {
		compile = c.Compile
	}
	_, err := compile(r.GetFilter())
	v.Check("filter", err)
}

// defaultTestEvents is how many events a filter is tested on by default.
const defaultTestEvents = 100

// testWork is how long a test may evaluate in all.
const testWork = time.Second

// TestFilter implements outboundv1.RecipientServiceServer.
func (s *Tester) TestFilter(ctx context.Context, q *outboundv1.TestFilterRequest) (*outboundv1.TestFilterResponse, error) {
	compiled, err := s.filters.Check(q.GetFilter())
	if err != nil {
		return nil, rpc.InvalidArgument(rpc.Violation{Field: "filter", Reason: validation.Invalid, Description: err.Error()})
	}
	var v validation.Violations
	for i, id := range q.GetEventTypes() {
		if !event.ValidType(id) {
			v.Add(fmt.Sprintf("eventTypes[%d]", i), validation.UnknownType, fmt.Sprintf("%q is not an event type: see GET /v1/event-types", id))
		}
	}
	if err := v.Err(); err != nil {
		return nil, err
	}
	limit := int(q.GetEvents())
	if limit == 0 {
		limit = defaultTestEvents
	}
	t := &filterTest{filter: compiled, left: testWork}
	ctx, t.stop = context.WithCancel(ctx)
	defer t.stop()
	err = eventlog.New(s.bus).RecentEvents(ctx, q.GetEventTypes(), limit, func(e *event.Event) { t.try(ctx, e) })
	if t.left <= 0 {
		return nil, rpc.Full("FILTER_TOO_SLOW", fmt.Sprintf("the filter took more than %s for %d events: test fewer events or simplify it",
			testWork, len(t.out.GetResults())))
	}
	return &t.out, store.AsStatus(ctx, err)
}

// filterTest is a filter that is tried on one event after another, until its time is up.
type filterTest struct {
	filter *filter.Filter
	left   time.Duration
	stop   func()
	out    outboundv1.TestFilterResponse
}

func (t *filterTest) try(ctx context.Context, e *event.Event) {
	if t.left <= 0 {
		return
	}
	began := time.Now()
	yes, err := t.filter.MatchesContext(ctx, e)
	if t.left -= time.Since(began); t.left <= 0 {
		t.stop()
	}
	result := &outboundv1.TestFilterResponse_Result{EventId: e.Key(), EventType: e.Type, Matches: yes}
	if err != nil {
		result.Error = err.Error()
	}
	if yes {
		t.out.Matching++
	}
	t.out.Results = append(t.out.Results, result)
}
