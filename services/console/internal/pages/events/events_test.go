package events_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/consoletest"
)

// history is a fake service that records its requests.
type history struct {
	outboundv1.UnimplementedEventServiceServer
	outboundv1.UnimplementedDeliveryServiceServer
	outboundv1.UnimplementedRecipientServiceServer

	mu     sync.Mutex
	asked  []proto.Message
	list   *outboundv1.ListEventsResponse
	one    *outboundv1.Event
	refuse error
}

func (h *history) note(m proto.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, m)
}

func (h *history) last() proto.Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.asked) == 0 {
		return nil
	}
	return h.asked[len(h.asked)-1]
}

func (h *history) ListEvents(_ context.Context, q *outboundv1.ListEventsRequest) (*outboundv1.ListEventsResponse, error) {
	h.note(q)
	return h.list, nil
}

func (h *history) GetEvent(_ context.Context, q *outboundv1.GetEventRequest) (*outboundv1.Event, error) {
	h.note(q)
	return h.one, nil
}

func (h *history) RetryDeliveries(_ context.Context, q *outboundv1.RetryDeliveriesRequest) (*outboundv1.RetryDeliveriesResponse, error) {
	h.note(q)
	return &outboundv1.RetryDeliveriesResponse{ReplayId: "R7", Queued: 1}, h.refuse
}

func (h *history) ListRecipients(context.Context, *outboundv1.ListRecipientsRequest) (*outboundv1.ListRecipientsResponse, error) {
	return &outboundv1.ListRecipientsResponse{Recipients: []*outboundv1.Recipient{{Id: "desk", DisplayName: hostile}}}, nil
}

func start(t *testing.T, h *history) *consoletest.System {
	t.Helper()
	return consoletest.Start(t, consoletest.Options{Register: func(r grpc.ServiceRegistrar) {
		outboundv1.RegisterEventServiceServer(r, h)
		outboundv1.RegisterDeliveryServiceServer(r, h)
		outboundv1.RegisterRecipientServiceServer(r, h)
	}})
}

const hostile = `"><script>alert('x')</script><img src=x onerror=alert(1)>{{.}}</pre></textarea>`

func harmless(t *testing.T, what, page string) {
	t.Helper()
	for _, bad := range []string{"<script>alert", "<img src=x", "</pre></textarea>"} {
		if i := strings.Index(page, bad); i >= 0 {
			t.Errorf("%s has %q: …%s…", what, bad, page[max(0, i-80):i+40])
		}
	}
	if !strings.Contains(page, "&lt;script&gt;alert(") {
		t.Errorf("%s does not show what came", what)
	}
}

func hostileEvent() *outboundv1.Event {
	now := timestamppb.Now()
	return &outboundv1.Event{
		EventId: hostile, EventType: hostile, ApplianceId: hostile, SessionId: hostile, ExternalKey: hostile, EventTime: now, IntakeTime: now,
		Decision: outboundv1.Intake_REJECTED, Violations: []*outboundv1.IntakeViolation{{Field: hostile, Reason: hostile, Description: hostile}},
		Raw: []byte(hostile), CloudEventJson: `{"a":"` + strings.ReplaceAll(hostile, `"`, `\"`) + `"}`, Via: hostile,
		Deliveries: []*outboundv1.Delivery{{EventId: hostile, RecipientId: hostile, Detail: hostile, Reason: hostile,
			State: outboundv1.DeliveryState_EXPIRED}},
		Timeline: []*outboundv1.TimelineEntry{{Time: now, Kind: hostile, RecipientId: hostile, Reason: hostile, Detail: hostile,
			ReplayId: hostile, Actor: hostile}},
		Routes: []*outboundv1.Route{{RecipientId: hostile, DisplayName: hostile, Channel: hostile, Reason: hostile, Detail: hostile}},
	}
}

func TestEveryFilterOfTheAPIIsAField(t *testing.T) {
	h := &history{list: &outboundv1.ListEventsResponse{}}
	b := start(t, h).As("viewer")
	typed := url.Values{
		"eventType": {"support_conference_end"}, "decision": {"ACCEPTED"}, "applianceId": {"a1"}, "sessionId": {"s1"},
		"externalKey": {"INC 1&<2>"},
		"startTime":   {"2026-11-21"}, "endTime": {"2026-11-21T12:00:00Z"}, "pageSize": {"7"}, "page": {"tok"},
	}
	want := &outboundv1.ListEventsRequest{
		EventType: "support_conference_end", Decision: outboundv1.Intake_ACCEPTED, ApplianceId: "a1", SessionId: "s1", ExternalKey: "INC 1&<2>",
		StartTime: timestamppb.New(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)),
		EndTime:   timestamppb.New(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)),
		PageSize:  7, PageToken: "tok",
	}
	page := b.Get("/events?" + typed.Encode())
	if page.Status != http.StatusOK || !proto.Equal(h.last(), want) {
		t.Fatalf("%d: asked %v, want %v", page.Status, h.last(), want)
	}
	fields := want.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		name := fields.Get(i).JSONName()
		if !want.ProtoReflect().Has(fields.Get(i)) {
			t.Errorf("this test leaves %s out", name)
		}
		if name != "pageSize" && name != "pageToken" && !strings.Contains(page.Body, `name="`+name+`"`) {
			t.Errorf("the page has no field %s", name)
		}
	}
	b.Get("/rejected?applianceId=a1&startTime=2026-11-21&endTime=2026-11-21T12:00:00Z&decision=ACCEPTED")
	want = &outboundv1.ListEventsRequest{Decision: outboundv1.Intake_REJECTED, ApplianceId: "a1", StartTime: want.GetStartTime(),
		EndTime: want.GetEndTime(), PageSize: 20}
	if !proto.Equal(h.last(), want) {
		t.Errorf("of the rejected, asked %v, want %v", h.last(), want)
	}
	n := len(h.asked)
	if page := b.Get("/rejected?startTime=then"); page.Status != http.StatusUnprocessableEntity || len(h.asked) != n {
		t.Errorf("a time that is none: %d", page.Status)
	}
}

func TestHostileEventsAreShownAsText(t *testing.T) {
	h := &history{list: &outboundv1.ListEventsResponse{Events: []*outboundv1.Event{hostileEvent()}, NextPageToken: hostile},
		one: hostileEvent()}
	b := start(t, h).As("operator")
	for _, path := range []string{"/events", "/rejected", "/events/a1~e1", "/events?externalKey=" + url.QueryEscape(hostile)} {
		harmless(t, path, b.Get(path).Body)
	}
	h.one.Decision = outboundv1.Intake_ACCEPTED
	harmless(t, "an accepted event", b.Get("/events/a1~e1").Body)
}

func TestBinaryBodiesAreShownInHexadecimal(t *testing.T) {
	b16 := append([]byte("\x00\x01\xff"), []byte("tail")...)
	cut := append([]byte(strings.Repeat("ä", 8<<10))[:16<<10-1], 0xc3)
	h := &history{list: &outboundv1.ListEventsResponse{Events: []*outboundv1.Event{{Raw: b16}, {Raw: cut}, {Raw: []byte("plain\ttext\r\n")}}}}
	page := start(t, h).As("viewer").Get("/rejected").Body
	articles := strings.Split(page, "<article")[1:]
	if len(articles) != 3 {
		t.Fatalf("%d events are shown", len(articles))
	}
	for i, want := range []string{"00 01 ff 74 61 69 6c", "16 KiB, truncated)", "plain\ttext"} {
		if !strings.Contains(articles[i], want) {
			t.Errorf("event %d is shown without %q: %.600s", i, want, articles[i])
		}
	}
	if strings.Contains(articles[1], ", binary") {
		t.Error("a text that was cut within a character is taken for none")
	}
}

func TestEventsCanBeSentToAnotherRecipient(t *testing.T) {
	h := &history{one: &outboundv1.Event{EventId: "a1~e1", Decision: outboundv1.Intake_ACCEPTED, CloudEventJson: "{}"}}
	system := start(t, h)
	viewer, operator := system.As("viewer"), system.As("operator")
	if page := viewer.Get("/events/a1~e1"); page.Status != http.StatusOK || strings.Contains(page.Body, "/send") {
		t.Errorf("a viewer is offered to send: %d", page.Status)
	}
	before := len(h.asked)
	if a := viewer.Post("/events/a1~e1/send", url.Values{"recipientId": {"desk"}}); a.Status != http.StatusForbidden ||
		len(h.asked) != before {
		t.Errorf("a viewer sends: %d", a.Status)
	}
	if page := operator.Get("/events/a1~e1"); !strings.Contains(page.Body, `action="/events/a1~e1/send"`) {
		t.Error("an operator is not offered to send")
	}
	a := operator.Post("/events/a1~e1/send", url.Values{"recipientId": {"desk"}})
	want := &outboundv1.RetryDeliveriesRequest{Deliveries: []*outboundv1.RetryDeliveriesRequest_Target{{RecipientId: "desk",
		EventId: "a1~e1"}}}
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/deliveries?replayId=R7" || !proto.Equal(h.last(), want) {
		t.Errorf("%d to %s, asked %v", a.Status, a.Header.Get("Location"), h.last())
	}
	if a := operator.Post("/events/a1~e1/send", url.Values{}); a.Status != http.StatusUnprocessableEntity ||
		!strings.Contains(a.Body, "recipientId-fault") {
		t.Errorf("without a recipient: %d", a.Status)
	}
	h.refuse = rpc.InvalidArgument(rpc.Violation{Field: "recipientId", Description: "is leaving"})
	if a := operator.Post("/events/a1~e1/send", url.Values{"recipientId": {"desk"}}); a.Status != http.StatusUnprocessableEntity ||
		!strings.Contains(a.Body, "Is leaving.") {
		t.Errorf("refused: %d", a.Status)
	}
}
