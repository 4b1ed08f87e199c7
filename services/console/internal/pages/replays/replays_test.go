package replays_test

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
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/consoletest"
)

const hostile = `"><script>alert('x')</script><img src=x onerror=alert(1)>{{.}}</pre></textarea>`

// history is a fake service that records its requests.
type history struct {
	outboundv1.UnimplementedDeliveryServiceServer

	mu      sync.Mutex
	asked   []proto.Message
	one     *outboundv1.Replay
	preview *outboundv1.PreviewReplayResponse
	refuse  error
}

func (h *history) note(m proto.Message) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, m)
	return h.refuse
}

func (h *history) last() proto.Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.asked) == 0 {
		return nil
	}
	return h.asked[len(h.asked)-1]
}

func (h *history) PreviewReplay(_ context.Context, q *outboundv1.PreviewReplayRequest) (*outboundv1.PreviewReplayResponse, error) {
	return h.preview, h.note(q)
}

func (h *history) CreateReplay(_ context.Context, q *outboundv1.CreateReplayRequest) (*outboundv1.Replay, error) {
	return &outboundv1.Replay{Id: "R9"}, h.note(q)
}

func (h *history) ListReplays(_ context.Context, q *outboundv1.ListReplaysRequest) (*outboundv1.ListReplaysResponse, error) {
	return &outboundv1.ListReplaysResponse{Replays: []*outboundv1.Replay{h.one}}, h.note(q)
}

func (h *history) GetReplay(_ context.Context, q *outboundv1.GetReplayRequest) (*outboundv1.Replay, error) {
	return h.one, h.note(q)
}

func (h *history) CancelReplay(_ context.Context, q *outboundv1.CancelReplayRequest) (*outboundv1.Replay, error) {
	return h.one, h.note(q)
}

func start(t *testing.T, h *history) *consoletest.System {
	t.Helper()
	return consoletest.Start(t, consoletest.Options{
		Register: func(r grpc.ServiceRegistrar) { outboundv1.RegisterDeliveryServiceServer(r, h) },
	})
}

func at(hour int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 11, 21, hour, 0, 0, 0, time.UTC))
}

func TestReplaysArePreviewedAndStarted(t *testing.T) {
	for name, x := range map[string]struct {
		typed url.Values
		want  *outboundv1.Replay
	}{
		"deliveries": {url.Values{
			"kind": {"deliveries"}, "toRecipientId": {"desk"}, "rate": {"20"}, "deliveries.recipientId": {"crm"}, "deliveries.state": {"EXPIRED"},
			"deliveries.eventType": {"x"}, "deliveries.applianceId": {"a1"}, "deliveries.sessionId": {"s1"}, "deliveries.externalKey": {"INC <1>"},
			"deliveries.reason": {"timeout"}, "deliveries.reasonClass": {"http_5xx"}, "deliveries.channel": {"http"},
			"deliveries.startTime": {"2026-11-21 10:00"}, "deliveries.endTime": {"2026-11-21T12:00:00Z"},
		}, &outboundv1.Replay{ToRecipientId: "desk", Rate: 20, Source: &outboundv1.Replay_Deliveries_{Deliveries: &outboundv1.Replay_Deliveries{
			RecipientId: "crm", State: outboundv1.DeliveryState_EXPIRED, EventType: "x", ApplianceId: "a1", SessionId: "s1", ExternalKey: "INC <1>",
			Reason: "timeout", ReasonClass: "http_5xx", Channel: "http", StartTime: at(10), EndTime: at(12),
		}}}},
		"backfill": {url.Values{
			"toRecipientId": {"desk"}, "rate": {"1000"}, "backfill.startTime": {"2026-11-21 10:00"}, "backfill.endTime": {"2026-11-21 12:00"},
			"backfill.includeDelivered": {"true"},
		}, &outboundv1.Replay{ToRecipientId: "desk", Rate: 1000, Source: &outboundv1.Replay_Backfill_{Backfill: &outboundv1.Replay_Backfill{
			StartTime: at(10), EndTime: at(12), IncludeDelivered: true,
		}}}},
		"all that ended badly": {url.Values{"kind": {"deliveries"}},
			&outboundv1.Replay{Source: &outboundv1.Replay_Deliveries_{Deliveries: &outboundv1.Replay_Deliveries{}}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := &history{preview: &outboundv1.PreviewReplayResponse{Count: 1200, AlreadyDelivered: 3, Unavailable: 200, OldestTime: at(1),
				EstimatedDuration: durationpb.New(90 * time.Second)}}
			b := start(t, h).As("operator")
			page := b.Get("/replays/new?" + x.typed.Encode())
			if got, ok := h.last().(*outboundv1.PreviewReplayRequest); page.Status != http.StatusOK || !ok || !proto.Equal(got.GetReplay(), x.want) {
				t.Fatalf("%d: previewed %v, want %v", page.Status, h.last(), x.want)
			}
			for _, text := range []string{"1\u202f200", "1 min 30 s", "Send 1\u202f000 deliveries", "3 events were already delivered"} {
				if !strings.Contains(page.Body, text) {
					t.Errorf("the preview does not say %q", text)
				}
			}
			// The started replay is the previewed one.
			a := b.Post("/replays", carried(t, page.Body))
			if got, ok := h.last().(*outboundv1.CreateReplayRequest); !ok || !proto.Equal(got.GetReplay(), x.want) ||
				a.Header.Get("Location") != "/replays/R9" {
				t.Errorf("%d to %s: started %v, want %v", a.Status, a.Header.Get("Location"), h.last(), x.want)
			}
		})
	}
}

// carried returns the hidden fields of the form that starts a replay.
func carried(t *testing.T, page string) url.Values {
	t.Helper()
	_, form, found := strings.Cut(page, `<form method="post" action="/replays">`)
	if !found {
		t.Fatal("there is no form that starts it")
	}
	form, _, _ = strings.Cut(form, "</form>")
	q := url.Values{}
	for _, part := range strings.Split(form, `<input type="hidden" name="`)[1:] {
		name, rest, _ := strings.Cut(part, `" value="`)
		value, _, _ := strings.Cut(rest, `">`)
		q.Add(name, strings.NewReplacer("&lt;", "<", "&gt;", ">", "&#43;", "+", "&amp;", "&").Replace(value))
	}
	return q
}

func TestEveryFieldOfAReplayIsInItsForm(t *testing.T) {
	b := start(t, &history{preview: &outboundv1.PreviewReplayResponse{}}).As("operator")
	fields := (&outboundv1.Replay_Backfill{}).ProtoReflect().Descriptor().Fields()
	page := b.Get("/replays/new").Body
	for i := range fields.Len() {
		if name := "backfill." + fields.Get(i).JSONName(); !strings.Contains(page, `name="`+name+`"`) {
			t.Errorf("there is no field %s", name)
		}
	}
	typed := url.Values{"kind": {"deliveries"}}
	fields = (&outboundv1.Replay_Deliveries{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		typed.Set("deliveries."+fields.Get(i).JSONName(),
			map[string]string{"startTime": "2026-11-20", "endTime": "2026-11-21", "state": "EXPIRED"}[fields.Get(i).JSONName()])
		if typed.Get("deliveries."+fields.Get(i).JSONName()) == "" {
			typed.Set("deliveries."+fields.Get(i).JSONName(), "x")
		}
	}
	page = b.Get("/replays/new?" + typed.Encode()).Body
	for name := range typed {
		if !strings.Contains(page, `<input type="hidden" name="`+name+`"`) {
			t.Errorf("%s is not carried on", name)
		}
	}
}

func TestInvalidReplaysShowFaults(t *testing.T) {
	h := &history{refuse: rpc.InvalidArgument(rpc.Violation{Field: "replay.deliveries.state", Reason: "NOT_FINAL",
		Description: "what waits is sent anyhow"})}
	b := start(t, h).As("operator")
	if page := b.Get("/replays/new?kind=deliveries&deliveries.state=RETRYING"); page.Status != http.StatusUnprocessableEntity ||
		!strings.Contains(page.Body, "<li>Deliveries state: What waits is sent anyhow.</li>") {
		t.Errorf("%d %s", page.Status, page.Body)
	}
	n := len(h.asked)
	for _, typed := range []url.Values{{}, {"toRecipientId": {"crm"}, "backfill.startTime": {"then"}},
		{"toRecipientId": {"crm"}, "backfill.startTime": {"2026-11-21"}, "rate": {"many"}}} {
		if a := b.Post("/replays", typed); a.Status != http.StatusUnprocessableEntity || len(h.asked) != n {
			t.Errorf("%v: %d", typed, a.Status)
		}
	}
}

const cancelling = "The replay stops when its process confirms."

func TestProgressIsPolledWhileAReplayRuns(t *testing.T) {
	h := &history{one: &outboundv1.Replay{Id: "R9", State: outboundv1.Replay_RUNNING, Total: 400, Queued: 90, Unavailable: 10, Rate: 50,
		CreateTime: timestamppb.Now(), Actor: "olga"}}
	system := start(t, h)
	b := system.As("operator")
	page := b.Get("/replays/R9").Body
	for _, want := range []string{`hx-get="/part/replays/R9"`, `<progress max="400" value="100"`, "25 %", "about 6 s left",
		`action="/replays/R9/cancel"`, "olga"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if list := b.Get("/replays").Body; !strings.Contains(list, `hx-get="/part/replays"`) || !strings.Contains(list, "25 %") {
		t.Error("the list does not follow")
	}
	viewer := system.As("viewer")
	if page := viewer.Get("/replays/R9"); page.Status != http.StatusOK || strings.Contains(page.Body, "/cancel") {
		t.Errorf("a viewer may cancel: %d", page.Status)
	}
	n := len(h.asked)
	for _, a := range []consoletest.Answer{viewer.Post("/replays/R9/cancel", nil),
		viewer.Post("/replays", url.Values{"kind": {"deliveries"}}), viewer.Get("/replays/new")} {
		if a.Status != http.StatusForbidden {
			t.Errorf("a viewer is let: %d", a.Status)
		}
	}
	if len(h.asked) != n {
		t.Error("a service was asked")
	}
	if a := b.Post("/replays/R9/cancel", url.Values{}); a.Header.Get("Location") != "/replays/R9" ||
		!proto.Equal(h.last(), &outboundv1.CancelReplayRequest{Id: "R9"}) {
		t.Errorf("%d to %s, asked %v", a.Status, a.Header.Get("Location"), h.last())
	}
	// The page polls until its browser has followed the redirect.
	part := b.Do(http.MethodGet, "/part/replays/R9", nil, "HX-Request", "true").Body
	if strings.Contains(part, `id="stop"`) {
		t.Errorf("the question whether to cancel is taken away while the replay goes on: %s", part)
	}
	if page := b.Get("/replays/R9").Body; strings.Contains(part, cancelling) || !strings.Contains(page, cancelling) {
		t.Error("what the next page has to say was told to the page that is left")
	}
	h.one.State, h.one.Queued = outboundv1.Replay_DONE, 390
	if page := b.Get("/part/replays/R9").Body; strings.Contains(page, "hx-get") || !strings.Contains(page, "100 %") ||
		!strings.Contains(page, `<div id="stop" hx-swap-oob="true"></div>`) {
		t.Errorf("it does not end: %s", page)
	}
}

func TestHostileReplaysAreShownAsText(t *testing.T) {
	h := &history{preview: &outboundv1.PreviewReplayResponse{Count: 1},
		one: &outboundv1.Replay{Id: hostile, Actor: hostile, ToRecipientId: hostile, Detail: hostile, State: outboundv1.Replay_RUNNING,
			Source: &outboundv1.Replay_Deliveries_{
				Deliveries: &outboundv1.Replay_Deliveries{RecipientId: hostile, EventType: hostile, ApplianceId: hostile, SessionId: hostile,
					ExternalKey: hostile, Reason: hostile, ReasonClass: hostile, Channel: hostile},
			}}}
	b := start(t, h).As("operator")
	for _, path := range []string{"/replays", "/replays/x", "/replays/new?kind=deliveries&deliveries.externalKey=" +
		url.QueryEscape(hostile), "/replays/new?toRecipientId=" + url.QueryEscape(hostile)} {
		page := b.Get(path).Body
		for _, bad := range []string{"<script>alert", "<img src=x", "</pre></textarea>"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s has %q", path, bad)
			}
		}
		if !strings.Contains(page, "&lt;script&gt;alert(") {
			t.Errorf("%s does not show what came", path)
		}
	}
}
