package rpc_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/rpc"
	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// tails answers TailDeliveries with what a test sends, until its caller is gone.
type tails struct {
	v1.UnimplementedDeliveryServiceServer
	send    chan string
	bounded chan bool
	gone    chan struct{}
}

func (s *tails) TailDeliveries(_ *v1.TailDeliveriesRequest, out v1.DeliveryService_TailDeliveriesServer) error {
	defer close(s.gone)
	_, bounded := out.Context().Deadline()
	s.bounded <- bounded
	for {
		select {
		case <-out.Context().Done():
			return out.Context().Err()
		case id := <-s.send:
			if err := out.Send(&v1.TailDeliveriesResponse{Deliveries: []*v1.Delivery{{EventId: id}}}); err != nil {
				return err
			}
		}
	}
}

// tail starts a gateway before s, and a tail through it.
func tail(t *testing.T, s *tails, stop <-chan struct{}) (lines *bufio.Scanner, leave func()) {
	t.Helper()
	conn := serve(t, rpc.ServerOptions{Authenticator: known{}}, func(r grpc.ServiceRegistrar) { v1.RegisterDeliveryServiceServer(r, s) }, "")
	mux := rpc.NewGatewayUntil(stop)
	if err := rpc.RegisterGateway(t.Context(), mux, rpc.Routes{"/outbound.v1.DeliveryService": conn}); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, web.URL+"/v1/deliveries:tail?filter.recipient_id=crm", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	s.send <- "a1~e-0" // the answer begins with the first message
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "application/x-ndjson" {
		t.Fatalf("a stream is answered %d with %s", resp.StatusCode, got)
	}
	return bufio.NewScanner(resp.Body), cancel
}

func wantLine(t *testing.T, lines *bufio.Scanner, id string) {
	t.Helper()
	var line struct {
		Result struct{ Deliveries []struct{ EventID string } }
	}
	if !lines.Scan() {
		t.Fatalf("no line for %s: %v", id, lines.Err())
	}
	if err := json.Unmarshal(lines.Bytes(), &line); err != nil || len(line.Result.Deliveries) != 1 || line.Result.Deliveries[0].EventID != id {
		t.Fatalf("the line %q is not of %s: %v", lines.Bytes(), id, err)
	}
}

func newTails() *tails {
	return &tails{send: make(chan string, 1), bounded: make(chan bool, 1), gone: make(chan struct{})}
}

func TestAStreamOverRESTIsALineAMessageWithoutABound(t *testing.T) {
	s := newTails()
	lines, leave := tail(t, s, nil)
	wantLine(t, lines, "a1~e-0")
	if <-s.bounded {
		t.Error("the stream has a deadline")
	}
	for _, id := range []string{"a1~e-1", "a1~e-2"} {
		s.send <- id // the next one is sent only once this one is here
		wantLine(t, lines, id)
	}
	leave()
	<-s.gone
}

func TestAStreamOverRESTEndsWhenTheServerStops(t *testing.T) {
	s, stop := newTails(), make(chan struct{})
	lines, _ := tail(t, s, stop)
	wantLine(t, lines, "a1~e-0")
	close(stop)
	<-s.gone
	for lines.Scan() {
		var line struct{ Error struct{ Code int } }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Error.Code == 0 {
			t.Errorf("the last line is %q, want an error", lines.Bytes())
		}
	}
}
