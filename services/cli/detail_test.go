package cli_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli"
)

func (fixedServer) GetEvent(context.Context, *outboundv1.GetEventRequest) (*outboundv1.Event, error) {
	return &outboundv1.Event{
		EventId: "a1~e-1", EventType: "support_conference_end", ApplianceId: "a1", SessionId: "s-1", ExternalKey: "INC-1",
		EventTime: at(0), IntakeTime: at(1),
		Decision: outboundv1.Intake_ACCEPTED, Via: "nats", CloudEventJson: `{"specversion":"1.0","id":"e-1"}`,
		Timeline: []*outboundv1.TimelineEntry{
			{Time: at(1), Kind: "accepted", Detail: "accepted over NATS"},
			{Time: at(2), Kind: "attempt", RecipientId: "crm", State: outboundv1.DeliveryState_RETRYING, Reason: "http_status",
				Detail: "answered 500", Attempt: 1},
			{Time: at(8), Kind: "note", RecipientId: "crm", State: outboundv1.DeliveryState_RETRYING,
				Detail: "the next attempt was made due now", Actor: "eva"},
			{Time: at(9), Kind: "final", RecipientId: "crm", State: outboundv1.DeliveryState_DELIVERED, Reason: "ok", Attempt: 2, ReplayId: "01R"},
		},
		Routes: []*outboundv1.Route{
			{RecipientId: "crm", DisplayName: "CRM", Channel: "http", Matched: true, State: outboundv1.DeliveryState_DELIVERED},
			{RecipientId: "desk", DisplayName: "Service desk", Channel: "email", Reason: "event_type_not_selected",
				Detail: "the event type is not selected"},
		},
		Deliveries: []*outboundv1.Delivery{{EventId: "a1~e-1", EventType: "support_conference_end", RecipientId: "crm",
			State: outboundv1.DeliveryState_DELIVERED, Reason: "ok",
			StatusCode: 200, Attempts: 2, LastAttemptTime: at(9)}},
	}, nil
}

func (fixedServer) GetDelivery(context.Context, *outboundv1.GetDeliveryRequest) (*outboundv1.DeliveryDetail, error) {
	return &outboundv1.DeliveryDetail{
		Delivery: &outboundv1.Delivery{EventId: "a1~e-1", EventType: "support_conference_end", RecipientId: "crm",
			RecipientDisplayName: "CRM", Channel: "http",
			State: outboundv1.DeliveryState_DELIVERED, Reason: "ok", ReasonClass: "ok", StatusCode: 200, Attempts: 2, AcceptTime: at(1),
			RecipientRevision: 7},
		Attempts: []*outboundv1.Attempt{
			{Number: 1, State: outboundv1.DeliveryState_RETRYING, Reason: "http_status", Detail: "answered 500", StatusCode: 500,
				BeginTime: at(2), TookMs: 41.2,
				NextAttemptTime: at(32), ResponseExcerpt: "no\r\n\x1b[31mway"},
			{State: outboundv1.DeliveryState_RETRYING, Reason: "sent_now", RecordTime: at(8), Actor: "eva"},
			{Number: 2, State: outboundv1.DeliveryState_DELIVERED, Reason: "ok", StatusCode: 200, BeginTime: at(9), TookMs: 12.7},
		},
		Request: &outboundv1.DeliveryDetail_Http{Http: &outboundv1.HttpPreview{Method: "POST", Url: "https://crm.example/hook",
			Headers: []*outboundv1.Header{{Name: "Authorization", Value: "[redacted]"},
				{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}},
			Body: "event=support_conference_end&lsid=s-1"}},
		RequestNote: "The recipient has been changed since.",
	}, nil
}

func (fixedServer) ListMacros(context.Context, *outboundv1.ListMacrosRequest) (*outboundv1.ListMacrosResponse, error) {
	return &outboundv1.ListMacrosResponse{
		Macros: []*outboundv1.Macro{
			{Name: "LSID", Description: "The session.", Example: "0a1b", EventTypes: []string{"a", "b"}},
			{Name: "RATING", Description: "The customer's rating.", Example: "5", EventTypes: []string{"b"}},
		},
		Defaults: []*outboundv1.DefaultMailText{{EventType: "a", Text: &outboundv1.MailText{Subject: "Session %LSID%", Body: "One\nTwo"}}},
	}, nil
}

func (fixedServer) GetEmailSettings(context.Context, *outboundv1.GetEmailSettingsRequest) (*outboundv1.EmailSettings, error) {
	return &outboundv1.EmailSettings{RetryInterval: durationpb.New(time.Minute), TimeZone: "Europe/Amsterdam", Etag: "3",
		UpdateTime: at(1)}, nil
}

func (fixedServer) ListCustomFields(context.Context, *outboundv1.ListCustomFieldsRequest) (*outboundv1.ListCustomFieldsResponse, error) {
	return &outboundv1.ListCustomFieldsResponse{CustomFields: []*outboundv1.CustomField{{CodeName: "region",
		DisplayName: "Region", Etag: "x"}}}, nil
}

func (fixedServer) ListEventTypes(context.Context, *outboundv1.ListEventTypesRequest) (*outboundv1.ListEventTypesResponse, error) {
	return &outboundv1.ListEventTypesResponse{EventTypes: []*outboundv1.EventType{
		{Id: "a", DisplayName: "A", BuiltIn: true},
		{Id: "own", DisplayName: "Our own", Variables: []*outboundv1.Variable{{Name: "size", Example: "0123"}}},
	}}, nil
}

// TailDeliveries sends two batches and then waits for the caller to leave.
func (fixedServer) TailDeliveries(
	r *outboundv1.TailDeliveriesRequest, s grpc.ServerStreamingServer[outboundv1.TailDeliveriesResponse],
) error {
	for i, d := range []*outboundv1.Delivery{
		{EventId: "a1~e-1", EventType: "a", RecipientId: r.GetFilter().GetRecipientId(), State: outboundv1.DeliveryState_DELIVERED,
			Reason: "ok", StatusCode: 200, Attempts: 1, LastAttemptTime: at(1)},
		{EventId: "a1~e-2", EventType: "a", RecipientId: "crm", State: outboundv1.DeliveryState_REJECTED, Reason: "http_status",
			StatusCode: 410, Attempts: 1, LastAttemptTime: at(2)},
	} {
		if err := s.Send(&outboundv1.TailDeliveriesResponse{Deliveries: []*outboundv1.Delivery{d}, Missed: int64(i)}); err != nil {
			return err
		}
	}
	<-s.Context().Done()
	return s.Context().Err()
}

// stopper ends a command once its output contains a text.
type stopper struct {
	bytes.Buffer
	at   string
	stop context.CancelFunc
}

func (s *stopper) Write(p []byte) (int, error) {
	n, err := s.Buffer.Write(p)
	if strings.Contains(s.String(), s.at) {
		s.stop()
	}
	return n, err
}

func TestTailShowsUntilInterruptedAndEndsWell(t *testing.T) {
	data := serve(t)
	for _, output := range []string{"table", "json", "yaml"} {
		ctx, cancel := context.WithCancel(t.Context())
		out := &stopper{at: "a1~e-2", stop: cancel}
		var errors bytes.Buffer
		root := cli.New(cli.Options{Out: out, Err: &errors, Getenv: func(string) string { return "" }})
		code := cli.Execute(ctx, root, []string{"deliveries", "tail", "--recipient", "crm", "--data", data, "-o", output})
		if code != cli.ExitOK || strings.Count(out.String(), "a1~e-1") != 1 || !strings.Contains(out.String(), "crm") {
			t.Errorf("-o %s: exit %d\n%s%s", output, code, out.String(), errors.String())
		}
		cancel()
	}
}

// token is an environment with a token alone.
func token(name string) string {
	if name == "OUTBOUND_TOKEN" {
		return "token"
	}
	return ""
}

func TestAStreamThatBreaksIsAskedForAgainAndOneThatIsRefusedIsNot(t *testing.T) {
	lines := []string{
		`{"result":{"deliveries":[{"eventId":"a1~e-1","recipientId":"crm"}]}}`,
		`{"error":{"code":14,"message":"the service that answers this is away"}}`,
		`{"result":{"deliveries":[{"eventId":"a1~e-2","recipientId":"crm"}],"missed":"3"}}` + "\n" +
			`{"error":{"code":7,"message":"your token was revoked"}}`,
	}
	asked := 0
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, lines[asked]+"\n")
		asked++
	}))
	defer web.Close()
	var out, errors bytes.Buffer
	root := cli.New(cli.Options{Out: &out, Err: &errors, Getenv: token})
	code := cli.Execute(t.Context(), root, []string{"deliveries", "tail", "-o", "json", "--url", web.URL})
	if code != cli.ExitFailed || asked != 3 || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("exit %d after %d calls:\n%s", code, asked, out.String())
	}
	for _, want := range []string{"the server ended the stream; reconnecting", "is away; reconnecting", "3 more deliveries were recorded",
		"outbound: your token was revoked"} {
		if !strings.Contains(errors.String(), want) {
			t.Errorf("%q is not said:\n%s", want, errors.String())
		}
	}
}
