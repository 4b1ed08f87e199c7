package cli_test

import (
	"context"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (fixedServer) TestFilter(context.Context, *outboundv1.TestFilterRequest) (*outboundv1.TestFilterResponse, error) {
	return &outboundv1.TestFilterResponse{Matching: 1, Results: []*outboundv1.TestFilterResponse_Result{
		{EventId: "a1~e-3", EventType: "support_conference_end", Matches: true},
		{EventId: "a1~e-2", EventType: "support_conference_begin"},
		{EventId: "a1~e-1", EventType: "support_conference_end", Error: "no such key: duration"},
	}}, nil
}
