package history_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

// TestCallsAreUnavailableWhileTheBrokerIsAway asks each kind of call while there is no broker, and once it is there again.
func TestCallsAreUnavailableWhileTheBrokerIsAway(t *testing.T) {
	h := newFixture(t, history.ExternalBroker, httpRecipient("r", "support_conference_end"))
	calls := map[string]func(context.Context) error{
		"status": func(ctx context.Context) error {
			_, err := h.status.GetStatus(ctx, &outboundv1.GetStatusRequest{})
			return err
		},
		"deliveries": func(ctx context.Context) error {
			_, err := h.deliveries.ListDeliveries(ctx, &outboundv1.ListDeliveriesRequest{})
			return err
		},
		"events": func(ctx context.Context) error {
			_, err := h.events.ListEvents(ctx, &outboundv1.ListEventsRequest{})
			return err
		},
		"an event": func(ctx context.Context) error {
			_, err := h.events.GetEvent(ctx, &outboundv1.GetEventRequest{EventId: "a1~e-1"})
			return err
		},
		"replays": func(ctx context.Context) error {
			_, err := h.deliveries.ListReplays(ctx, &outboundv1.ListReplaysRequest{})
			return err
		},
	}
	h.broker.Stop()
	t.Run("away", func(t *testing.T) {
		for name, call := range calls {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				err := call(t.Context())
				if s := status.Convert(err); s.Code() != codes.Unavailable || !strings.Contains(s.Message(), "broker") {
					t.Errorf("answered with %v, want UNAVAILABLE and that the broker does not respond", err)
				}
			})
		}
	})
	h.broker.Restart()
	waittest.NoError(t, "the status to be answered again", func() error { return calls["status"](t.Context()) })
}
