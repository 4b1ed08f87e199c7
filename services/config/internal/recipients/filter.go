package recipients

import (
	"context"
	"fmt"

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
	_, err := c.Compile(r.GetFilter())
	v.Check("filter", err)
}

// defaultTestEvents is how many events a filter is tested on by default.
const defaultTestEvents = 100

// TestFilter implements outboundv1.RecipientServiceServer.
func (s *Tester) TestFilter(ctx context.Context, q *outboundv1.TestFilterRequest) (*outboundv1.TestFilterResponse, error) {
	compiled, err := s.filters.Compile(q.GetFilter())
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
	out := &outboundv1.TestFilterResponse{}
	err = eventlog.New(s.bus).RecentEvents(ctx, q.GetEventTypes(), limit, func(e *event.Event) {
		yes, err := compiled.Matches(e)
		result := &outboundv1.TestFilterResponse_Result{EventId: e.Key(), EventType: e.Type, Matches: yes}
		if err != nil {
			result.Error = err.Error()
		}
		if yes {
			out.Matching++
		}
		out.Results = append(out.Results, result)
	})
	return out, store.AsStatus(ctx, err)
}
