package deliveries_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// TestReplayAllMatchingIsOfferedForFiltersOfReplays checks each filter of the list. If a replay has the filter, it is passed on; otherwise
// the page says why not and what to do.
func TestReplayAllMatchingIsOfferedForFiltersOfReplays(t *testing.T) {
	h := &history{list: &outboundv1.ListDeliveriesResponse{Deliveries: []*outboundv1.Delivery{{EventId: "a1~e-1", RecipientId: "crm"}}}}
	system := start(t, h)
	operator, viewer := system.As("operator"), system.As("viewer")
	typed := map[string]string{"state": "EXPIRED", "channel": "http", "startTime": "2026-11-20T10:00:00Z",
		"endTime": "2026-11-21T10:00:00Z", "eventId": "a1~e 1"}
	handed, refused := 0, 0
	fields := (&outboundv1.ListDeliveriesRequest{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		name := fields.Get(i).JSONName()
		if strings.HasPrefix(name, "page") {
			continue
		}
		value := typed[name]
		if value == "" {
			value = "x"
		}
		path := "/deliveries?" + url.Values{name: {value}}.Encode()
		page := operator.Get(path)
		if page.Status != http.StatusOK {
			t.Fatalf("%s: %d", path, page.Status)
		}
		link := `href="/replays/new?` + strings.ReplaceAll(url.Values{"deliveries." + name: {value}, "kind": {"deliveries"}}.Encode(), "&",
			"&amp;") + `">Replay all matching …`
		can := (&outboundv1.Replay_Deliveries{}).ProtoReflect().Descriptor().Fields().ByName(fields.Get(i).Name()) != nil
		if got := strings.Contains(page.Body, link); got != can {
			t.Errorf("%s: offered is %v, want %v", path, got, can)
		}
		if got := strings.Contains(page.Body, `id="no-replay">Replay all matching is not available: `); got == can {
			t.Errorf("%s: says that it is not available: %v, want %v", path, got, !can)
		}
		if can {
			handed++
		} else {
			refused++
		}
		if a := viewer.Get(path); strings.Contains(a.Body, "Replay all matching …") || strings.Contains(a.Body, `id="no-replay"`) {
			t.Errorf("%s: a viewer sees what operators do", path)
		}
	}
	if handed != 11 || refused != 2 {
		t.Errorf("%d filters are handed on and %d are not available, want 11 and 2", handed, refused)
	}
	for query, want := range map[string]string{
		"eventId=a1~e-1": `<a href="/events/a1~e-1">Open the event</a>`, "eventId=e-1": "open the event and send it from there.</p>",
		"replayId=R1": `<a href="/replays/R1">Open the replay</a>`, "state=RETRYING": "choose Send now",
		"state=WAITING&eventId=a1~e-1": "these deliveries are not final yet and are still being attempted",
		"eventId=%22%3E%3Cb%3E~x":      `<a href="/events/%22%3E%3Cb%3E~x">Open the event</a>`,
	} {
		if page := operator.Get("/deliveries?" + query); !strings.Contains(page.Body, want) ||
			strings.Contains(page.Body, "Replay all matching …") {
			t.Errorf("%s: the page has no %q, or offers all: %s", query, want, page.Body)
		}
	}
}
