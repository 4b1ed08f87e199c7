package deliveries_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// event is a server-sent event.
type event struct{ name, data string }

func events(t *testing.T, resp *http.Response) <-chan event {
	t.Helper()
	out := make(chan event, 1000)
	go func() {
		defer close(out)
		var e event
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			switch line := lines.Text(); {
			case line == "" && e.name != "":
				out <- e
				e = event{}
			case strings.HasPrefix(line, "event: "):
				e.name = line[7:]
			case strings.HasPrefix(line, "data: "):
				e.data += line[6:] + "\n"
			}
		}
	}()
	return out
}

// asked returns the last request of a type.
func asked[M proto.Message](h *history) (m M) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.asked) - 1; i >= 0; i-- {
		if m, ok := h.asked[i].(M); ok {
			return m
		}
	}
	return m
}

func TestTailStartsAtThePageAndReconnects(t *testing.T) {
	between := delivery("a1~between", outboundv1.DeliveryState_DELIVERED)
	h := &history{list: &outboundv1.ListDeliveriesResponse{}, tails: make(chan *outboundv1.TailDeliveriesResponse)}
	b := start(t, h).As("viewer")
	before := time.Now()
	page := b.Get("/deliveries?recipientId=crm").Body
	_, address, _ := strings.Cut(page, `data-tail="`)
	address, _, _ = strings.Cut(address, `"`)
	// This delivery is recorded after the page is rendered and before the tail starts.
	h.list = &outboundv1.ListDeliveriesResponse{Deliveries: []*outboundv1.Delivery{between}}
	resp := b.Stream(strings.ReplaceAll(address, "&amp;", "&"))
	defer resp.Body.Close()
	stream := events(t, resp)
	for _, want := range []string{"service up", "rows between", "service down", "service up", "rows between"} {
		name, text, _ := strings.Cut(want, " ")
		if e := <-stream; e.name != name || !strings.Contains(e.data, text) {
			t.Fatalf("got %v, want %s", e, want)
		}
		if name == "rows" {
			q := asked[*outboundv1.ListDeliveriesRequest](h)
			if since := q.GetStartTime().AsTime(); q.GetRecipientId() != "crm" || since.Before(before.Add(-3*time.Second)) ||
				since.After(time.Now()) {
				t.Errorf("asked for what was recorded meanwhile by %v", q)
			}
			select {
			case h.tails <- nil:
			case <-waittest.Late():
				t.Fatal("no stream is open")
			}
		}
	}
}

func TestTailSendsTheLastRecordOfEachDeliveryInBatches(t *testing.T) {
	h := &history{tails: make(chan *outboundv1.TailDeliveriesResponse, 1000), list: &outboundv1.ListDeliveriesResponse{}}
	b := start(t, h).As("operator")
	resp := b.Stream("/part/deliveries/tail?recipientId=crm&state=RETRYING&externalKey=INC-1")
	defer resp.Body.Close()
	stream := events(t, resp)
	if e := <-stream; e.name != "service" || e.data != "up\n" {
		t.Fatalf("it begins with %v", e)
	}
	want := &outboundv1.ListDeliveriesRequest{RecipientId: "crm", State: outboundv1.DeliveryState_RETRYING, ExternalKey: "INC-1", PageSize: 50}
	if got := asked[*outboundv1.TailDeliveriesRequest](h).GetFilter(); !proto.Equal(got, want) {
		t.Errorf("the service is asked for %v, want %v", got, want)
	}
	// 300 records of 100 deliveries, one message each: many more messages than batches.
	const deliveries, records = 100, 300
	began := time.Now()
	for i := range records {
		h.tails <- &outboundv1.TailDeliveriesResponse{Deliveries: []*outboundv1.Delivery{delivery(fmt.Sprintf("a1~e%d", i%deliveries),
			outboundv1.DeliveryState_RETRYING)}, Missed: 1}
	}
	seen, counted, missed, batches := map[string]bool{}, 0, 0, 0
	for counted < records {
		e := <-stream
		if e.name != "rows" {
			t.Fatalf("got %v", e)
		}
		var n, m int
		if _, err := fmt.Sscanf(e.data, `<tbody data-count="%d" data-missed="%d">`, &n, &m); err != nil {
			t.Fatalf("%v in %s", err, e.data)
		}
		counted, missed, batches = counted+n, missed+m, batches+1
		once := map[string]int{}
		for _, part := range strings.Split(e.data, `<tr id="`)[1:] {
			id := part[:strings.Index(part, `"`)]
			once[id]++
			seen[id] = true
		}
		for id, n := range once {
			if n > 1 {
				t.Errorf("a batch has %s %d times", id, n)
			}
		}
	}
	if most := int(time.Since(began)/(250*time.Millisecond)) + 2; batches > most {
		t.Errorf("%d batches in %s", batches, time.Since(began))
	}
	if len(seen) != deliveries || counted != records || missed != records {
		t.Errorf("%d deliveries, %d records, %d missed", len(seen), counted, missed)
	}
	h.tails <- nil
	if e := <-stream; e.name != "service" || e.data != "down\n" {
		t.Errorf("when the service goes: %v", e)
	}
	if e := <-stream; e.name != "service" || e.data != "up\n" {
		t.Errorf("when it is back: %v", e)
	}
}
