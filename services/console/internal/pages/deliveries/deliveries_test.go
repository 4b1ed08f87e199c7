package deliveries_test

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/consoletest"
)

// history is a fake service that records its requests.
type history struct {
	outboundv1.UnimplementedDeliveryServiceServer

	mu     sync.Mutex
	asked  []proto.Message
	list   *outboundv1.ListDeliveriesResponse
	detail *outboundv1.DeliveryDetail
	change *outboundv1.ChangeDeliveriesResponse
	fail   error
	tails  chan *outboundv1.TailDeliveriesResponse
}

func (h *history) note(m proto.Message) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, m)
	return h.fail
}

// last returns the last request.
func (h *history) last() proto.Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.asked) == 0 {
		return nil
	}
	return h.asked[len(h.asked)-1]
}

func (h *history) ListDeliveries(_ context.Context, q *outboundv1.ListDeliveriesRequest) (*outboundv1.ListDeliveriesResponse, error) {
	return h.list, h.note(q)
}

func (h *history) GetDelivery(_ context.Context, q *outboundv1.GetDeliveryRequest) (*outboundv1.DeliveryDetail, error) {
	return h.detail, h.note(q)
}

func (h *history) RetryDeliveries(_ context.Context, q *outboundv1.RetryDeliveriesRequest) (*outboundv1.RetryDeliveriesResponse, error) {
	return &outboundv1.RetryDeliveriesResponse{ReplayId: "R1", Queued: int32(len(q.GetDeliveries()))}, h.note(q)
}

func (h *history) SendNow(_ context.Context, q *outboundv1.SendNowRequest) (*outboundv1.ChangeDeliveriesResponse, error) {
	return h.change, h.note(q)
}

func (h *history) ExtendDeliveries(_ context.Context, q *outboundv1.ExtendDeliveriesRequest) (*outboundv1.ChangeDeliveriesResponse, error) {
	return h.change, h.note(q)
}

func (h *history) CancelDeliveries(_ context.Context, q *outboundv1.CancelDeliveriesRequest) (*outboundv1.ChangeDeliveriesResponse, error) {
	return h.change, h.note(q)
}

func (h *history) TailDeliveries(q *outboundv1.TailDeliveriesRequest,
	s grpc.ServerStreamingServer[outboundv1.TailDeliveriesResponse]) error {
	if err := h.note(q); err != nil {
		return err
	}
	if err := s.Send(&outboundv1.TailDeliveriesResponse{}); err != nil {
		return err
	}
	for {
		select {
		case <-s.Context().Done():
			return s.Context().Err()
		case m := <-h.tails:
			if m == nil {
				return status.Error(codes.Unavailable, "gone for a while")
			}
			if err := s.Send(m); err != nil {
				return err
			}
		}
	}
}

type catalogue struct {
	outboundv1.UnimplementedSettingsServiceServer
	outboundv1.UnimplementedRecipientServiceServer
}

func (catalogue) ListEventTypes(context.Context, *outboundv1.ListEventTypesRequest) (*outboundv1.ListEventTypesResponse, error) {
	return &outboundv1.ListEventTypesResponse{EventTypes: []*outboundv1.EventType{{Id: "support_conference_end",
		DisplayName: "Session end"}}}, nil
}

func (catalogue) ListRecipients(context.Context, *outboundv1.ListRecipientsRequest) (*outboundv1.ListRecipientsResponse, error) {
	return &outboundv1.ListRecipientsResponse{Recipients: []*outboundv1.Recipient{{Id: "crm", DisplayName: "CRM"}}}, nil
}

// start starts a console with a fake history service.
func start(t testing.TB, h *history) *consoletest.System {
	t.Helper()
	return consoletest.Start(t, consoletest.Options{Register: func(r grpc.ServiceRegistrar) {
		outboundv1.RegisterDeliveryServiceServer(r, h)
		outboundv1.RegisterSettingsServiceServer(r, catalogue{})
		outboundv1.RegisterRecipientServiceServer(r, catalogue{})
	}})
}

// hostile is a text that pages must escape.
const hostile = `"><script>alert('x')</script><img src=x onerror=alert(1)>{{.}}` + "\u202e</textarea></pre>"

// fill sets every string of a message to a hostile text, and every other field to some value.
func fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsMap() || depth > 4:
		case f.IsList() && f.Message() != nil:
			v := m.NewField(f)
			for range 2 {
				e := v.List().NewElement()
				fill(e.Message(), depth+1)
				v.List().Append(e)
			}
			m.Set(f, v)
		case f.IsList() && f.Kind() == protoreflect.StringKind:
			v := m.NewField(f)
			v.List().Append(protoreflect.ValueOfString(hostile))
			m.Set(f, v)
		case f.Message() != nil && f.Message().FullName() == "google.protobuf.Timestamp":
			m.Set(f, protoreflect.ValueOfMessage(timestamppb.New(time.Now().Add(-time.Minute)).ProtoReflect()))
		case f.Message() != nil:
			if f.ContainingOneof() == nil || m.WhichOneof(f.ContainingOneof()) == nil {
				fill(m.Mutable(f).Message(), depth+1)
			}
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(hostile))
		case f.Kind() == protoreflect.EnumKind:
			m.Set(f, protoreflect.ValueOfEnum(2))
		case f.Kind() == protoreflect.Int32Kind:
			m.Set(f, protoreflect.ValueOfInt32(7))
		default:
		}
	}
}

// harmless fails if a page does not escape the hostile text or does not show it.
func harmless(t *testing.T, page string) {
	t.Helper()
	for _, bad := range []string{"<script>alert", "<img src=x", "</textarea></pre>"} {
		if i := strings.Index(page, bad); i >= 0 {
			t.Errorf("the page has %q: …%s…", bad, page[max(0, i-80):min(len(page), i+80)])
		}
	}
	if !strings.Contains(page, "&lt;script&gt;alert(") {
		t.Error("the page does not show what came")
	}
}

func delivery(event string, state outboundv1.DeliveryState_State) *outboundv1.Delivery {
	return &outboundv1.Delivery{
		EventId: event, EventType: "support_conference_end", ApplianceId: "a1", RecipientId: "crm", RecipientDisplayName: "CRM", State: state,
		Reason: "http_status", ReasonClass: "http_5xx", Detail: "503 Service Unavailable", StatusCode: 503, Attempts: 3, LastAttemptMs: 12,
		LastAttemptTime: timestamppb.New(time.Now().Add(-time.Minute)), NextAttemptTime: timestamppb.New(time.Now().Add(time.Minute)),
		Channel: "http",
	}
}

func TestEveryFilterOfTheAPIIsAField(t *testing.T) {
	h := &history{list: &outboundv1.ListDeliveriesResponse{NextPageToken: "tok/1+2"}}
	b := start(t, h).As("viewer")
	typed := url.Values{
		"recipientId": {"crm"}, "state": {"EXPIRED"}, "eventId": {"a1~e-1"}, "eventType": {"support_conference_end"}, "applianceId": {"a1"},
		"sessionId": {"s1"}, "externalKey": {"INC 1&x=<2>"}, "channel": {"http"}, "reason": {"http_status"}, "reasonClass": {"http_5xx"},
		"startTime": {"2026-11-21 10:00"}, "endTime": {"2026-11-21T12:00:00.5Z"}, "replayId": {"R1"}, "pageSize": {"20"}, "page": {"tok"},
	}
	want := &outboundv1.ListDeliveriesRequest{
		RecipientId: "crm", State: outboundv1.DeliveryState_EXPIRED, EventId: "a1~e-1", EventType: "support_conference_end", ApplianceId: "a1",
		SessionId: "s1", ExternalKey: "INC 1&x=<2>", Channel: "http", Reason: "http_status", ReasonClass: "http_5xx",
		StartTime: timestamppb.New(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)),
		EndTime:   timestamppb.New(time.Date(2026, 11, 21, 12, 0, 0, 5e8, time.UTC)),
		ReplayId:  "R1", PageSize: 20, PageToken: "tok",
	}
	page := b.Get("/deliveries?" + typed.Encode())
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
	// The next page keeps the filter.
	h.list.NextPageToken = ""
	if a := b.Get(href(t, page.Body, "Next page")); a.Status != http.StatusOK {
		t.Fatal(a.Status)
	}
	want.PageToken = "tok/1+2"
	if !proto.Equal(h.last(), want) {
		t.Errorf("the next page asks %v, want %v", h.last(), want)
	}
	b.Get(href(t, page.Body, "First page"))
	want.PageToken = ""
	if !proto.Equal(h.last(), want) {
		t.Errorf("the first page asks %v, want %v", h.last(), want)
	}
}

// href returns the address of the link with a text.
func href(t *testing.T, page, text string) string {
	t.Helper()
	end := strings.Index(page, ">"+text)
	if end < 0 {
		t.Fatalf("there is no link %q", text)
	}
	from := strings.LastIndex(page[:end], `href="`) + len(`href="`)
	return strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(page[from : from+strings.Index(page[from:], `"`)])
}

func TestInvalidFiltersAreFaultsOfTheirFields(t *testing.T) {
	h := &history{list: &outboundv1.ListDeliveriesResponse{}}
	b := start(t, h).As("viewer")
	page := b.Get("/deliveries?startTime=yesterday&state=BROKEN&externalKey=" + url.QueryEscape(hostile))
	if page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, `id="f-startTime-fault"`) ||
		!strings.Contains(page.Body, `value="yesterday"`) {
		t.Errorf("%d %s", page.Status, page.Body)
	}
	if h.last() != nil {
		t.Errorf("asked all the same: %v", h.last())
	}
	harmless(t, page.Body)
	if a := b.Get("/part/deliveries/tail?startTime=yesterday"); a.Status != http.StatusBadRequest {
		t.Errorf("the tail of it: %d", a.Status)
	}
}

func TestHostileDeliveriesAreShownAsText(t *testing.T) {
	h := &history{list: &outboundv1.ListDeliveriesResponse{}, detail: &outboundv1.DeliveryDetail{}}
	fill(h.list.ProtoReflect(), 0)
	fill(h.detail.ProtoReflect(), 0)
	mail := &outboundv1.DeliveryDetail{Delivery: &outboundv1.Delivery{},
		Request: &outboundv1.DeliveryDetail_Email{Email: &outboundv1.MailPreview{}}}
	fill(mail.GetEmail().ProtoReflect(), 0)
	fill(mail.GetDelivery().ProtoReflect(), 0)
	b := start(t, h).As("operator")
	harmless(t, b.Get("/deliveries").Body)
	harmless(t, b.Get("/deliveries/crm/a1~e1").Body)
	h.detail = mail
	harmless(t, b.Get("/deliveries/crm/a1~e1").Body)
	b.Header.Set("HX-Request", "true")
	harmless(t, b.Get("/deliveries/crm/a1~e1").Body)
	target := url.PathEscape(hostile) + "/" + url.PathEscape(hostile) + "/" + url.PathEscape(hostile)
	harmless(t, b.Post("/deliveries/ask", url.Values{"act": {"cancel"}, "target": {target}}).Body)
}

func TestViewersCannotChangeDeliveries(t *testing.T) {
	h := &history{list: &outboundv1.ListDeliveriesResponse{Deliveries: []*outboundv1.Delivery{delivery("a1~e1",
		outboundv1.DeliveryState_RETRYING)}}}
	h.detail = &outboundv1.DeliveryDetail{Delivery: h.list.GetDeliveries()[0]}
	system := start(t, h)
	viewer := system.As("viewer")
	for _, path := range []string{"/deliveries", "/deliveries/crm/a1~e1"} {
		if page := viewer.Get(path); page.Status != http.StatusOK || strings.Contains(page.Body, `name="act"`) ||
			strings.Contains(page.Body, `name="target"`) {
			t.Errorf("%s: %d; it offers changes, or fails", path, page.Status)
		}
		if page := system.As("operator").Get(path); !strings.Contains(page.Body, `name="act"`) {
			t.Errorf("%s offers an operator nothing", path)
		}
	}
	before := len(h.asked)
	for _, path := range []string{"ask", "retry", "send-now", "extend", "cancel"} {
		if a := viewer.Post("/deliveries/"+path,
			url.Values{"target": {"crm/a1~e1/"}, "act": {"retry"}, "by": {"24 h"}}); a.Status != http.StatusForbidden {
			t.Errorf("%s by a viewer: %d", path, a.Status)
		}
	}
	if len(h.asked) != before {
		t.Error("a service was asked")
	}
}

func TestSelectedDeliveriesAreChangedAfterConfirmation(t *testing.T) {
	targets := []*outboundv1.RetryDeliveriesRequest_Target{{RecipientId: "crm", EventId: "a1~e1"},
		{RecipientId: "crm", EventId: "a1~e2", ReplayId: "R0"}}
	h := &history{change: &outboundv1.ChangeDeliveriesResponse{Changed: 1,
		Unchanged: []*outboundv1.ChangeDeliveriesResponse_Unchanged{{RecipientId: "crm", EventId: "a1~e2", Detail: "it is final"}}}}
	b := start(t, h).As("operator")
	ticked := []string{"crm/a1~e1/", "crm/a1~e2/R0"}
	for _, x := range []struct {
		act, path, to string
		want          proto.Message
	}{
		{"retry", "/deliveries/retry", "/deliveries?replayId=R1", &outboundv1.RetryDeliveriesRequest{Deliveries: targets}},
		{"send-now", "/deliveries/send-now", "/deliveries?state=RETRYING", &outboundv1.SendNowRequest{Deliveries: targets}},
		{"cancel", "/deliveries/cancel", "/deliveries?state=RETRYING", &outboundv1.CancelDeliveriesRequest{Deliveries: targets}},
	} {
		question := b.Post("/deliveries/ask", url.Values{"act": {x.act}, "target": ticked, "back": {"/deliveries?state=RETRYING"}})
		if question.Status != http.StatusOK || !strings.Contains(question.Body, "2 deliveries") ||
			!strings.Contains(question.Body, `action="`+x.path+`"`) {
			t.Errorf("%s: %d %s", x.act, question.Status, question.Body)
		}
		if h.last() != nil && reflect.TypeOf(h.last()) == reflect.TypeOf(x.want) {
			t.Errorf("%s was done before it was answered", x.act)
		}
		a := b.Post(x.path, url.Values{"target": ticked, "back": {"/deliveries?state=RETRYING"}})
		if a.Status != http.StatusSeeOther || a.Header.Get("Location") != x.to || !proto.Equal(h.last(), x.want) {
			t.Errorf("%s: %d to %s, asked %v", x.act, a.Status, a.Header.Get("Location"), h.last())
		}
	}
	h.list = &outboundv1.ListDeliveriesResponse{}
	if page := b.Get("/deliveries"); !strings.Contains(page.Body, "Cancelled: 1.") ||
		!strings.Contains(page.Body, "a1~e2 to crm: it is final") {
		t.Errorf("the results are not shown: %s", page.Body)
	}
	for _, bad := range []url.Values{{}, {"target": {"x"}}, {"target": {"//"}}, {"target": {"%zz/a/b"}}} {
		if a := b.Post("/deliveries/cancel", bad); a.Status != http.StatusBadRequest {
			t.Errorf("%v: %d", bad, a.Status)
		}
	}
	if a := b.Post("/deliveries/cancel", url.Values{"target": ticked,
		"back": {"https://elsewhere.example/"}}); a.Header.Get("Location") != "/" {
		t.Errorf("led to %s", a.Header.Get("Location"))
	}
}

func TestExtendAsksForADurationAndKeepsTheInput(t *testing.T) {
	h := &history{change: &outboundv1.ChangeDeliveriesResponse{Changed: 1}}
	b := start(t, h).As("operator")
	form := url.Values{"target": {"crm/a1~e1/"}, "back": {"/deliveries"}, "by": {"soon"}}
	if a := b.Post("/deliveries/extend", form); a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, `value="soon"`) ||
		h.last() != nil {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	form.Set("by", "1 h 30 min")
	if a := b.Post("/deliveries/extend", form); a.Status != http.StatusSeeOther ||
		h.last().(*outboundv1.ExtendDeliveriesRequest).GetBy().AsDuration() != 90*time.Minute {
		t.Errorf("%d, asked %v", a.Status, h.last())
	}
}

func TestEmptyListsShowTheNextStep(t *testing.T) {
	h := &history{list: &outboundv1.ListDeliveriesResponse{}}
	b := start(t, h).As("viewer")
	for path, want := range map[string]string{
		"/deliveries": `href="/events"`, "/deliveries?state=EXPIRED": `href="/deliveries"`,
		"/deliveries?state=WAITING": `href="/deliveries?state=RETRYING"`,
		"/deliveries?replayId=R1":   `href="/replays"`, "/deliveries?page=x": `href="/deliveries"`,
	} {
		page := b.Get(path).Body
		empty := page[strings.Index(page, `<div class="empty">`):]
		if !strings.Contains(empty[:strings.Index(empty, "</div>")], want) {
			t.Errorf("%s does not offer %s", path, want)
		}
	}
	live := func(path string) bool { return strings.Contains(b.Get(path).Body, "data-tail=") }
	for path, want := range map[string]bool{"/deliveries": true, "/deliveries?page=x": false, "/deliveries?state=WAITING": false,
		"/deliveries?endTime=2026-11-21": false} {
		if live(path) != want {
			t.Errorf("%s live: %v", path, !want)
		}
	}
}
