package search_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/search"
)

func TestAPageTokenIsReadWithTheFiltersItWasMadeFor(t *testing.T) {
	ofCRM := &outboundv1.ListDeliveriesRequest{RecipientId: "crm"}
	token, err := search.Token(7, ofCRM)
	if err != nil {
		t.Fatal(err)
	}
	if before, until, err := search.ReadToken(token, ofCRM); before != 7 || until != 14 || err != nil {
		t.Errorf("the token says %d, %d, %v", before, until, err)
	}
	if before, _, err := search.ReadToken("", ofCRM); before != 0 || err != nil {
		t.Errorf("without a token: %d, %v", before, err)
	}
	for want, c := range map[string]struct {
		token   string
		filters *outboundv1.ListDeliveriesRequest
	}{
		"other filters":            {token, &outboundv1.ListDeliveriesRequest{RecipientId: "erp"}},
		"not valid for this list":  {"%%%", ofCRM},
		"not valid for this list:": {"e30", ofCRM},
		"is not valid":             {token[:len(token)/2], ofCRM},
	} {
		if _, _, err := search.ReadToken(c.token, c.filters); !strings.Contains(said(err), want) {
			t.Errorf("token %q is read with %q, want %q", c.token, said(err), want)
		}
	}
}

// said is the first violation of an error, or its text.
func said(err error) string {
	if v := rpc.ViolationsOf(err); len(v) > 0 {
		return v[0].Field + " " + v[0].Description
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestFiltersThatCanMatchNothingAreRefused(t *testing.T) {
	at := func(s int) *timestamppb.Timestamp { return timestamppb.New(time.Unix(int64(s), 0)) }
	for want, q := range map[string]*outboundv1.ListDeliveriesRequest{
		"":            {RecipientId: "crm", EventId: "a1~e1", StartTime: at(1), EndTime: at(2)},
		"recipientId": {RecipientId: "no.dots"},
		"replayId":    {ReplayId: "*"},
		"reasonClass": {ReasonClass: "bad luck"},
		"endTime":     {StartTime: at(2), EndTime: at(2)},
		"startTime":   {StartTime: &timestamppb.Timestamp{Nanos: -1}},
	} {
		if got := said(search.CheckFilter(q)); (got == "") != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%v: %q, want a violation of %q", q, got, want)
		}
	}
}

func TestAReasonNarrowsTheStatesThatAreRead(t *testing.T) {
	f := search.FilterOf(&outboundv1.ListDeliveriesRequest{Reason: string(reasons.FilterFalse)})
	if !slices.Contains(f.States, delivery.StateSkipped) || slices.Contains(f.States, delivery.StateDelivered) {
		t.Errorf("a filter that is false is looked for in %v", f.States)
	}
	f = search.FilterOf(&outboundv1.ListDeliveriesRequest{Reason: string(reasons.FilterFalse), State: outboundv1.DeliveryState_EXPIRED})
	if f.State != delivery.StateExpired || f.States != nil {
		t.Errorf("with a state, %s and %v are looked for", f.State, f.States)
	}
	if search.PageSize(0) != 50 || search.PageSize(7) != 7 {
		t.Errorf("pages of %d and %d", search.PageSize(0), search.PageSize(7))
	}
}
