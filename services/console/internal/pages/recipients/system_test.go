package recipients_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/consoletest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// hostile is a text that pages must escape.
const hostile = `"><script>alert(1)</script>{{.}}%41 javascript:alert(1)`

// fixture fakes the config and history services with recipients in memory and records its requests.
type fixture struct {
	outboundv1.UnimplementedRecipientServiceServer
	outboundv1.UnimplementedSettingsServiceServer
	outboundv1.UnimplementedStatusServiceServer
	outboundv1.UnimplementedDeliveryServiceServer
	outboundv1.UnimplementedEventServiceServer

	mu         sync.Mutex
	recipients map[string]*outboundv1.Recipient
	revisions  []*outboundv1.Revision
	asked      []proto.Message
	status     *outboundv1.Status
	changed    chan struct{}
	waiting    int64
	appliances []*outboundv1.Appliance
	replays    []*outboundv1.Replay
	// listed, if set, are listed as they are.
	listed []*outboundv1.Recipient
}

func newFixture(rs ...*outboundv1.Recipient) *fixture {
	h := &fixture{recipients: map[string]*outboundv1.Recipient{}, status: &outboundv1.Status{}, changed: make(chan struct{}, 1)}
	for _, r := range rs {
		h.put(r, "somebody")
	}
	return h
}

func (h *fixture) open(t testing.TB) *consoletest.System {
	return consoletest.Start(t, consoletest.Options{Register: func(r grpc.ServiceRegistrar) {
		outboundv1.RegisterRecipientServiceServer(r, h)
		outboundv1.RegisterSettingsServiceServer(r, h)
		outboundv1.RegisterStatusServiceServer(r, h)
		outboundv1.RegisterDeliveryServiceServer(r, h)
		outboundv1.RegisterEventServiceServer(r, h)
	}})
}

// put stores a recipient as the next revision.
func (h *fixture) put(r *outboundv1.Recipient, actor string) *outboundv1.Recipient {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, _ = proto.Clone(r).(*outboundv1.Recipient)
	n := uint64(len(h.revisions) + 1)
	r.Etag, r.UpdateTime = strconv.FormatUint(n, 10), timestamppb.New(time.Unix(int64(n), 5)) // #nosec G115 -- small
	if r.Enabled == nil {
		r.Enabled = proto.Bool(true)
	}
	h.recipients[r.GetId()] = r
	text, _ := protojson.Marshal(r)
	h.revisions = append(h.revisions, &outboundv1.Revision{
		Resource: "recipients/" + r.GetId(), Revision: n, Actor: actor, Time: r.GetUpdateTime(), Action: "changed", ResourceJson: string(text),
		Changes: []*outboundv1.Change{{Path: "displayName", Before: `"before"`, After: strconv.Quote(r.GetDisplayName())}},
	})
	return r
}

func (h *fixture) note(m proto.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, m)
}

// last returns the last request of a type.
func last[M proto.Message](t *testing.T, h *fixture) M {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.asked) - 1; i >= 0; i-- {
		if m, ok := h.asked[i].(M); ok {
			return m
		}
	}
	var none M
	t.Fatalf("nothing like %T was asked", none)
	return none
}

func (h *fixture) find(id string) *outboundv1.Recipient {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.recipients[id]
}

func (h *fixture) ListRecipients(context.Context, *outboundv1.ListRecipientsRequest) (*outboundv1.ListRecipientsResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listed != nil {
		return &outboundv1.ListRecipientsResponse{Recipients: h.listed}, nil
	}
	out := &outboundv1.ListRecipientsResponse{TotalSize: int32(len(h.recipients))} // #nosec G115 -- small
	for i := range len(h.revisions) {
		// In the order of their first revision.
		id := h.revisions[i].GetResource()[len("recipients/"):]
		if r := h.recipients[id]; r != nil && h.first(id) == i {
			out.Recipients = append(out.Recipients, r)
		}
	}
	return out, nil
}

func (h *fixture) first(id string) int {
	for i, x := range h.revisions {
		if x.GetResource() == "recipients/"+id {
			return i
		}
	}
	return -1
}

func (h *fixture) GetRecipient(_ context.Context, q *outboundv1.GetRecipientRequest) (*outboundv1.Recipient, error) {
	if r := h.find(q.GetId()); r != nil {
		return r, nil
	}
	return nil, rpc.NotFound("recipient", q.GetId())
}

func (h *fixture) CreateRecipient(_ context.Context, q *outboundv1.CreateRecipientRequest) (*outboundv1.Recipient, error) {
	h.note(q.GetRecipient())
	r, _ := proto.Clone(q.GetRecipient()).(*outboundv1.Recipient)
	if r.GetDisplayName() == "Taken" {
		return nil, rpc.AlreadyExists("displayName", "Taken", "choose another name")
	}
	if r.GetHttp().GetUrl() == "ftp://x" {
		return nil, rpc.InvalidArgument(rpc.Violation{Field: "http.url", Description: "must be https"},
			rpc.Violation{Field: "eventTypes", Description: "is empty"})
	}
	if r.GetId() == "" {
		r.Id = "made"
	}
	out, _ := proto.Clone(h.put(r, "operator")).(*outboundv1.Recipient)
	for i, s := range out.GetHttp().GetSigningSecrets() {
		s.Id = fmt.Sprintf("ss-%d", i)
		if s.GetSecret() == "" {
			s.Secret = "whsec_shown_once"
		}
	}
	return out, nil
}

func (h *fixture) UpdateRecipient(_ context.Context, q *outboundv1.UpdateRecipientRequest) (*outboundv1.Recipient, error) {
	h.note(q)
	before := h.find(q.GetRecipient().GetId())
	if e := q.GetRecipient().GetEtag(); e != "" && e != before.GetEtag() {
		return nil, rpc.Aborted("recipient", before.GetId())
	}
	next, _ := proto.Clone(q.GetRecipient()).(*outboundv1.Recipient)
	if len(q.GetUpdateMask().GetPaths()) > 0 {
		next, _ = proto.Clone(before).(*outboundv1.Recipient)
		next.Enabled = q.GetRecipient().Enabled
		if slices.Contains(q.GetUpdateMask().GetPaths(), "while_disabled") {
			next.WhileDisabled = q.GetRecipient().GetWhileDisabled()
		}
	}
	return h.put(next, "operator"), nil
}

func (h *fixture) DeleteRecipient(_ context.Context, q *outboundv1.DeleteRecipientRequest) (*emptypb.Empty, error) {
	h.note(q)
	if q.GetEtag() != h.find(q.GetId()).GetEtag() {
		return nil, rpc.Aborted("recipient", q.GetId())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.recipients, q.GetId())
	return &emptypb.Empty{}, nil
}

func (h *fixture) RotateSigningSecret(_ context.Context, q *outboundv1.RotateSigningSecretRequest) (*outboundv1.Recipient, error) {
	h.note(q)
	if q.GetOverlap().AsDuration() > 90*24*time.Hour {
		return nil, rpc.InvalidArgument(rpc.Violation{Field: "overlap", Description: "must be at most 90 d"})
	}
	next, _ := proto.Clone(h.find(q.GetId())).(*outboundv1.Recipient)
	for _, s := range next.GetHttp().GetSigningSecrets() {
		s.ExpireTime = timestamppb.New(time.Now().Add(q.GetOverlap().AsDuration()))
	}
	next.GetHttp().SigningSecrets = append(next.GetHttp().GetSigningSecrets(), &outboundv1.SigningSecret{Id: "ss-new"})
	out, _ := proto.Clone(h.put(next, "operator")).(*outboundv1.Recipient)
	out.GetHttp().GetSigningSecrets()[len(out.GetHttp().GetSigningSecrets())-1].Secret = "whsec_shown_once"
	return out, nil
}

func (h *fixture) PurgeRecipient(_ context.Context, q *outboundv1.PurgeRecipientRequest) (*outboundv1.PurgeRecipientResponse, error) {
	h.note(q)
	if q.ExpectedCount != nil && h.waiting > q.GetExpectedCount() {
		return nil, rpc.FailedPrecondition("MORE", "more wait than were expected")
	}
	return &outboundv1.PurgeRecipientResponse{Cancelled: h.waiting}, nil
}

func (h *fixture) TestRecipient(_ context.Context, q *outboundv1.TestRecipientRequest) (*outboundv1.TestRecipientResponse, error) {
	h.note(q)
	return &outboundv1.TestRecipientResponse{EventId: "outbound-test~1"}, nil
}

func (h *fixture) DoctorRecipient(_ context.Context, q *outboundv1.DoctorRecipientRequest) (*outboundv1.DoctorRecipientResponse, error) {
	h.note(q)
	return &outboundv1.DoctorRecipientResponse{Steps: []*outboundv1.DoctorStep{{Name: "TLS", Detail: hostile, Remedy: "upload the root " +
		hostile}}, RootToPinPem: "-----BEGIN " + hostile}, nil
}

func (h *fixture) TestFilter(_ context.Context, q *outboundv1.TestFilterRequest) (*outboundv1.TestFilterResponse, error) {
	h.note(q)
	return &outboundv1.TestFilterResponse{Matching: 1,
		Results: []*outboundv1.TestFilterResponse_Result{{EventId: "a~1", EventType: hostile, Matches: true},
			{EventId: "a~2", Error: hostile}}}, nil
}

func (h *fixture) PreviewRecipient(_ context.Context, q *outboundv1.PreviewRecipientRequest) (*outboundv1.PreviewRecipientResponse, error) {
	h.note(q)
	out := &outboundv1.PreviewRecipientResponse{EventId: "a~1", EventType: "begin", Matches: true}
	if q.GetRecipient().GetEmail() != nil {
		out.Rendered = &outboundv1.PreviewRecipientResponse_Email{Email: &outboundv1.MailPreview{Subject: hostile, Text: hostile,
			Html: hostile, Source: hostile, To: []string{hostile}}}
	} else {
		out.Rendered = &outboundv1.PreviewRecipientResponse_Http{Http: &outboundv1.HttpPreview{Method: "POST", Url: hostile, Body: hostile,
			Headers: []*outboundv1.Header{{Name: "X", Value: hostile}}}}
	}
	return out, nil
}

func (h *fixture) ListEventTypes(context.Context, *outboundv1.ListEventTypesRequest) (*outboundv1.ListEventTypesResponse, error) {
	return &outboundv1.ListEventTypesResponse{EventTypes: []*outboundv1.EventType{
		{Id: "begin", DisplayName: "It begins", Product: "Support"},
		{Id: "end", DisplayName: "It ends " + hostile, Product: "Support", Email: true}, {Id: "own", DisplayName: "Own", Email: true},
	}}, nil
}

func (h *fixture) ListMacros(_ context.Context, q *outboundv1.ListMacrosRequest) (*outboundv1.ListMacrosResponse, error) {
	h.note(q)
	return &outboundv1.ListMacrosResponse{
		Macros:   []*outboundv1.Macro{{Name: "EVENT_ID", Description: hostile, Example: hostile}},
		Defaults: []*outboundv1.DefaultMailText{{EventType: "end", Text: &outboundv1.MailText{Subject: "The default", Body: hostile}}},
	}, nil
}

func (h *fixture) ListAppliances(context.Context, *outboundv1.ListAppliancesRequest) (*outboundv1.ListAppliancesResponse, error) {
	return &outboundv1.ListAppliancesResponse{Appliances: h.appliances}, nil
}

func (h *fixture) ListRevisions(_ context.Context, q *outboundv1.ListRevisionsRequest) (*outboundv1.ListRevisionsResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := &outboundv1.ListRevisionsResponse{}
	for i := len(h.revisions) - 1; i >= 0; i-- {
		if h.revisions[i].GetResource() == q.GetResource() {
			out.Revisions = append(out.Revisions, h.revisions[i])
		}
	}
	return out, nil
}

func (h *fixture) ListEvents(context.Context, *outboundv1.ListEventsRequest) (*outboundv1.ListEventsResponse, error) {
	return &outboundv1.ListEventsResponse{Events: []*outboundv1.Event{{EventId: "a~1", EventType: "begin"}}}, nil
}

func (h *fixture) ListDeliveries(_ context.Context, q *outboundv1.ListDeliveriesRequest) (*outboundv1.ListDeliveriesResponse, error) {
	h.note(q)
	return &outboundv1.ListDeliveriesResponse{Deliveries: []*outboundv1.Delivery{{
		EventId: q.GetEventId(), RecipientId: q.GetRecipientId(), State: outboundv1.DeliveryState_DELIVERED, Attempts: 1, StatusCode: 200,
		Detail: hostile, ResponseExcerpt: hostile,
	}}}, nil
}

func (h *fixture) ProbeRecipient(_ context.Context, q *outboundv1.ProbeRecipientRequest) (*outboundv1.ProbeRecipientResponse, error) {
	h.note(q)
	if h.find(q.GetId()).GetEmail() != nil {
		return nil, rpc.FailedPrecondition("NOTHING_WAITING", "nothing waits")
	}
	return &outboundv1.ProbeRecipientResponse{BreakerOpen: true}, nil
}

func (h *fixture) ListReplays(context.Context, *outboundv1.ListReplaysRequest) (*outboundv1.ListReplaysResponse, error) {
	return &outboundv1.ListReplaysResponse{Replays: h.replays}, nil
}

// tell changes the status that the service reports.
func (h *fixture) tell(s *outboundv1.Status) {
	h.mu.Lock()
	h.status = s
	h.mu.Unlock()
	h.changed <- struct{}{}
}

func (h *fixture) GetStatus(_ context.Context, q *outboundv1.GetStatusRequest) (*outboundv1.Status, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if q.GetRecipientId() == "" {
		return h.status, nil
	}
	out := &outboundv1.Status{}
	for _, r := range h.status.GetRecipients() {
		if r.GetRecipientId() == q.GetRecipientId() {
			out.Recipients = append(out.Recipients, r)
		}
	}
	return out, nil
}

func (h *fixture) WatchStatus(q *outboundv1.WatchStatusRequest, s outboundv1.StatusService_WatchStatusServer) error {
	for {
		now, _ := h.GetStatus(s.Context(), &outboundv1.GetStatusRequest{RecipientId: q.GetRecipientId()})
		if err := s.Send(now); err != nil {
			return err
		}
		select {
		case <-h.changed:
		case <-s.Context().Done():
			return nil
		}
	}
}
