package deliveries_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

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

func TestATailTellsInBatchesEachDeliveryAsItIsLast(t *testing.T) {
	h := &history{tails: make(chan *outboundv1.TailDeliveriesResponse, 1000)}
	b := start(t, h).As("operator")
	resp := b.Stream("/part/deliveries/tail?recipientId=crm&state=RETRYING&externalKey=INC-1")
	defer resp.Body.Close()
	told := events(t, resp)
	if e := <-told; e.name != "service" || e.data != "here\n" {
		t.Fatalf("it begins with %v", e)
	}
	want := &outboundv1.ListDeliveriesRequest{RecipientId: "crm", State: outboundv1.DeliveryState_RETRYING, ExternalKey: "INC-1", PageSize: 50}
	if got := h.last().(*outboundv1.TailDeliveriesRequest).GetFilter(); !proto.Equal(got, want) {
		t.Errorf("the service is asked for %v, want %v", got, want)
	}
	// 300 records of 100 deliveries, one message each: far more messages than batches may be.
	const deliveries, records = 100, 300
	began := time.Now()
	for i := range records {
		h.tails <- &outboundv1.TailDeliveriesResponse{Deliveries: []*outboundv1.Delivery{delivery(fmt.Sprintf("a1~e%d", i%deliveries), outboundv1.DeliveryState_RETRYING)}, Missed: 1}
	}
	seen, counted, missed, batches := map[string]bool{}, 0, 0, 0
	for counted < records {
		e := <-told
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
	if e := <-told; e.name != "service" || e.data != "away\n" {
		t.Errorf("when the service goes: %v", e)
	}
	if e := <-told; e.name != "service" || e.data != "here\n" {
		t.Errorf("when it is back: %v", e)
	}
}
