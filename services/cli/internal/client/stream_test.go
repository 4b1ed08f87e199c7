package client_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// follow reads a stream and returns the events that came, how often it broke, and how it ended.
func follow(ctx context.Context, c *client.Client, each func(string) error) (events []string, broken int, err error) {
	err = c.Follow(ctx, client.Subscription{
		Path: "/v1/deliveries:tail",
		Next: func() proto.Message { return &outboundv1.Delivery{} },
		Each: func(m proto.Message) error {
			d, ok := m.(*outboundv1.Delivery)
			if !ok {
				return errors.New("not a delivery")
			}
			events = append(events, d.GetEventId())
			return each(d.GetEventId())
		},
		Broken: func(error) { broken++ },
	})
	return events, broken, err
}

func goOn(string) error { return nil }

func TestAStreamIsAskedForAgainUntilItIsRefused(t *testing.T) {
	c, _ := connect(t, map[string]clitest.Answer{"GET /v1/deliveries:tail": clitest.InTurn(
		clitest.JSON(`{"result":{"eventId":"e-1"}}`+"\n"+`{"error":{"code":14,"message":"the service is away"}}`),
		clitest.JSON(`{"result":{"eventId":"e-2"}}`+"\n"+`{"error":{"code":7,"message":"the token was revoked"}}`),
	)})
	events, broken, err := follow(t.Context(), c, goOn)
	if len(events) != 2 || broken != 1 || err == nil || err.Error() != "the token was revoked" {
		t.Errorf("got %q, broken %d times: %v", events, broken, err)
	}
}

func TestAStreamThatNeverBeganIsAnError(t *testing.T) {
	for name, answer := range map[string]clitest.Answer{
		"refused":         clitest.Refusal(codes.NotFound, "no such recipient"),
		"away":            clitest.Refusal(codes.Unavailable, "away"),
		"no JSON":         clitest.JSON("<html>"),
		"another message": clitest.JSON(`{"result":{"eventId":7}}`),
	} {
		c, _ := connect(t, map[string]clitest.Answer{"GET /v1/deliveries:tail": answer})
		if events, broken, err := follow(t.Context(), c, goOn); err == nil || broken > 0 || len(events) > 0 {
			t.Errorf("%s: %v, broken %d times", name, err, broken)
		}
	}
	if _, _, err := follow(t.Context(), client.New("http://[::1", "", "", nil), goOn); exit.Code(err) != exit.CodeUsage {
		t.Errorf("no address: %v", err)
	}
}

func TestAReaderEndsAStream(t *testing.T) {
	both := clitest.JSON(`{"result":{"eventId":"e-1"}}` + "\n" + `{"result":{"eventId":"e-2"}}`)
	c, s := connect(t, map[string]clitest.Answer{"GET /v1/deliveries:tail": both})
	failed := errors.New("the disk is full")
	events, _, err := follow(t.Context(), c, func(string) error { return failed })
	if !errors.Is(err, failed) || len(events) != 1 || len(s.Calls(http.MethodGet)) != 1 {
		t.Errorf("a message that fails: %q, %v", events, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, _, err = follow(ctx, c, func(id string) error {
		if id == "e-2" {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Errorf("interrupted: %v", err)
	}
}
