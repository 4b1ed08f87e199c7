package cli_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// fixedServer is a server with fixed answers.
type fixedServer struct {
	outboundv1.UnimplementedRecipientServiceServer
	outboundv1.UnimplementedSettingsServiceServer
	outboundv1.UnimplementedEventServiceServer
	outboundv1.UnimplementedDeliveryServiceServer
	outboundv1.UnimplementedStatusServiceServer
}

func at(second int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 11, 21, 10, 0, second, 0, time.UTC))
}

func (fixedServer) ListRecipients(_ context.Context, r *outboundv1.ListRecipientsRequest) (*outboundv1.ListRecipientsResponse, error) {
	if r.GetPageToken() == "" {
		return &outboundv1.ListRecipientsResponse{NextPageToken: "2", TotalSize: 2, Recipients: []*outboundv1.Recipient{{
			Id: "crm", DisplayName: "CRM\x1b[31m", Enabled: proto.Bool(true), EventTypes: []string{"a", "b"},
			Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{Url: "https://crm.example/hook"}},
		}}}, nil
	}
	return &outboundv1.ListRecipientsResponse{TotalSize: 2, Recipients: []*outboundv1.Recipient{{
		Id: "desk", DisplayName: "Service desk", Enabled: proto.Bool(false), EventTypes: []string{"a"}, DeleteTime: at(9),
		Channel: &outboundv1.Recipient_Email{Email: &outboundv1.EmailRecipient{Addresses: []string{"a@example.com", "b@example.com"}}},
	}}}, nil
}

func (fixedServer) ListDeliveries(context.Context, *outboundv1.ListDeliveriesRequest) (*outboundv1.ListDeliveriesResponse, error) {
	return &outboundv1.ListDeliveriesResponse{Deliveries: []*outboundv1.Delivery{
		{EventId: "a1~e-2", EventType: "support_conference_end", RecipientId: "crm", State: outboundv1.DeliveryState_RETRYING,
			Reason: "http_status",
			Detail: "answered 500\nInternal Server Error", StatusCode: 500, Attempts: 3, LastAttemptTime: at(5), NextAttemptTime: at(35),
			WaitReason: "breaker_open", WaitDetail: "The recipient is paused by its breaker."},
		{EventId: "a1~e-1", EventType: "support_conference_end", RecipientId: "crm", State: outboundv1.DeliveryState_DELIVERED, Reason: "ok",
			StatusCode: 200, Attempts: 1, LastAttemptTime: at(1), ReplayId: "01R"},
		{EventId: "outbound-test~t", EventType: "a", RecipientId: "desk", State: outboundv1.DeliveryState_WAITING, Test: true, ReplayId: "01T"},
	}}, nil
}

func (fixedServer) ListEvents(context.Context, *outboundv1.ListEventsRequest) (*outboundv1.ListEventsResponse, error) {
	return &outboundv1.ListEventsResponse{Events: []*outboundv1.Event{
		{EventId: "a1~e-2", EventType: "nope", ApplianceId: "a1", IntakeTime: at(2), Decision: outboundv1.Intake_REJECTED, Via: "nats",
			Violations: []*outboundv1.IntakeViolation{{Field: "type", Reason: "UNKNOWN_TYPE"}, {Field: "time", Reason: "TIME_OUT_OF_RANGE"}}},
		{EventId: "a1~e-1", EventType: "a", ApplianceId: "a1", SessionId: "s-1", IntakeTime: at(1),
			Decision: outboundv1.Intake_ACCEPTED, Via: "http"},
	}}, nil
}

func (fixedServer) GetStatus(context.Context, *outboundv1.GetStatusRequest) (*outboundv1.Status, error) {
	return &outboundv1.Status{
		Version: "1.2.3", Notices: []string{"Failing: crm."},
		Relay: &outboundv1.RelayStatus{Line: "mail.example:587 did not answer in time, at EHLO", Configured: true},
		Recipients: []*outboundv1.RecipientStatus{
			{RecipientId: "crm", DisplayName: "CRM", Health: outboundv1.RecipientHealth_FAILING, QueuedEvents: 12, OldestQueuedTime: at(0),
				LastAttemptTime: at(5), NextAttemptTime: at(35), LastError: "http_status 500",
				BreakerOpen: true, BreakerSinceTime: at(2), ProbeInterval: durationpb.New(30 * time.Second), NextProbeTime: at(35)},
			{RecipientId: "desk", Health: outboundv1.RecipientHealth_OK},
			{RecipientId: "held", Health: outboundv1.RecipientHealth_PAUSED, QueuedEvents: 3, OldestQueuedTime: at(1)},
			{RecipientId: "off", Health: outboundv1.RecipientHealth_DISABLED, SkippedEvents: 48, SkippedSinceTime: at(1)},
		},
		Streams: []*outboundv1.StreamStatus{
			{Name: "EVENTS", Messages: 12, Bytes: 123_456, MaxBytes: 8 << 30, LastSequence: 99,
				MaxAge: durationpb.New(8 * 24 * time.Hour), FirstTime: at(0)},
			{Name: "HISTORY", Messages: 425_000, Bytes: 3 << 30, MaxBytes: 4 << 30, LastSequence: 425_000, MaxMessages: 500_000,
				MaxAge: durationpb.New(7 * 24 * time.Hour), UsedPercent: 85},
		},
		Disk: &outboundv1.DiskStatus{UsedBytes: 3 << 30, LimitBytes: 12 << 30, FreeBytes: 5 << 30, FreeKnown: true},
		Services: []*outboundv1.ServiceStatus{
			{Name: "history", Instance: "i1", Version: "1.2.3", StartTime: at(0)},
			{Name: "http-sender", Instance: "i2", Version: "1.2.2", StartTime: at(5)},
		},
		Expiries: []*outboundv1.Expiry{{Kind: "ca_certificate", Resource: "recipients/crm", Subject: "CN=Root", ExpireTime: at(30)},
			{Kind: "api_token", Resource: "tokens/t-1", Subject: "CI", ExpireTime: at(40)}},
	}, nil
}

func (fixedServer) GetSmtpSettings(context.Context, *outboundv1.GetSmtpSettingsRequest) (*outboundv1.SmtpSettings, error) {
	return &outboundv1.SmtpSettings{Host: "mail.example", Port: 587, AdminContacts: []string{"a@example.com"}, PasswordSet: true,
		CaCertificatePem: strings.Repeat("-----BEGIN CERTIFICATE-----\n", 5), UpdateTime: at(1)}, nil
}

func (fixedServer) SendTestEmail(_ context.Context, r *outboundv1.SendTestEmailRequest) (*outboundv1.SendTestEmailResponse, error) {
	return &outboundv1.SendTestEmailResponse{Ok: true, Results: []*outboundv1.SendTestEmailResponse_Result{
		{Address: r.GetTo()[0], Accepted: true, Code: 250, Detail: "accepted by the relay"}}}, nil
}

func (fixedServer) ListAppliances(context.Context, *outboundv1.ListAppliancesRequest) (*outboundv1.ListAppliancesResponse, error) {
	return &outboundv1.ListAppliancesResponse{Appliances: []*outboundv1.Appliance{
		{Id: "a1", DisplayName: "Support centre", CreateTime: at(1), RotateTime: at(9)}, {Id: "a2", CreateTime: at(2)},
	}}, nil
}

// CheckChanges finds nothing wrong.
func (fixedServer) CheckChanges(_ context.Context, r *outboundv1.CheckChangesRequest) (*outboundv1.CheckChangesResponse, error) {
	out := &outboundv1.CheckChangesResponse{}
	for range r.GetChanges() {
		out.Results = append(out.Results, &outboundv1.CheckedChange{})
	}
	return out, nil
}

func (fixedServer) CreateAppliance(_ context.Context, r *outboundv1.CreateApplianceRequest) (*outboundv1.ApplianceCredentials, error) {
	return &outboundv1.ApplianceCredentials{Id: r.GetAppliance().GetId(), User: "a1", Password: "p", Token: "t"}, nil
}

// serve answers REST as the console does, and gives the command line a data folder that leads there.
func serve(t *testing.T) (data string) {
	t.Helper()
	return serveAll(t, fixedServer{})
}

// services are those that answer REST calls.
type services interface {
	outboundv1.RecipientServiceServer
	outboundv1.SettingsServiceServer
	outboundv1.EventServiceServer
	outboundv1.DeliveryServiceServer
	outboundv1.StatusServiceServer
}

func serveAll(t *testing.T, s services) (data string) {
	t.Helper()
	server := rpc.NewServer(rpc.ServerOptions{Authenticator: rpc.Tokens{Admin: "secret"}})
	outboundv1.RegisterRecipientServiceServer(server, s)
	outboundv1.RegisterSettingsServiceServer(server, s)
	outboundv1.RegisterEventServiceServer(server, s)
	outboundv1.RegisterDeliveryServiceServer(server, s)
	outboundv1.RegisterStatusServiceServer(server, s)
	local := rpc.InProcess(server)
	conn, err := local.Dial("", grpc.WithDisableServiceConfig())
	if err != nil {
		t.Fatal(err)
	}
	gateway := rpc.NewGateway()
	if err := rpc.RegisterGateway(t.Context(), gateway, conn); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(gateway)
	t.Cleanup(func() {
		web.Close()
		_ = conn.Close()
		server.Stop()
		_ = local.Close()
	})
	data = t.TempDir()
	for name, text := range map[string]string{
		"endpoints.json": `{"http":"` + strings.TrimPrefix(web.URL, "http://") + `","grpc":"","nats":""}`, "admin.token": "secret\n",
	} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

func TestWhatIsPrinted(t *testing.T) {
	data := serve(t)
	for name, command := range map[string]string{
		"recipients.txt":   "recipients list",
		"recipients.json":  "recipients list -o json",
		"deliveries.txt":   "deliveries list",
		"deliveries.yaml":  "deliveries list -o yaml",
		"events.txt":       "events list",
		"status.txt":       "status",
		"stats.txt":        "stats --recipient crm --range 1h",
		"stats.json":       "stats --recipient crm --range 1h -o json",
		"filter.txt":       "recipients test-filter true",
		"smtp.txt":         "settings smtp get",
		"smtp-test.txt":    "settings smtp test --to a@example.com",
		"appliances.txt":   "appliances list",
		"credentials.txt":  "appliances add a1",
		"credentials.json": "appliances add a1 -o json",
		"event.txt":        "events get a1~e-1",
		"rejected.txt":     "events rejected",
		"delivery.txt":     "deliveries get crm/a1~e-1",
		"macros.txt":       "macros list",
		"defaults.txt":     "macros list --defaults",
		"export.yaml":      "export",
		"export.json":      "export -o json --kinds email,customFields",
		"dry-run.txt":      "apply --dry-run -f testdata/wanted.yaml",
	} {
		t.Run(name, func(t *testing.T) {
			var out, errors bytes.Buffer
			root := cli.New(cli.Options{Out: &out, Err: &errors, Getenv: func(string) string { return "" }, Version: "test"})
			if code := cli.Execute(t.Context(), root, append(strings.Fields(command), "--data", data)); code != 0 {
				t.Fatalf("exit %d: %s", code, errors.String())
			}
			golden.Check(t, name, out.Bytes())
		})
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	var out bytes.Buffer
	root := cli.New(cli.Options{Out: &out, Err: &out})
	groups := root.Commands()
	for len(groups) > 0 {
		c := groups[0]
		groups = append(groups[1:], c.Commands()...)
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s has no line about itself, or one with a full stop: %q", c.CommandPath(), c.Short)
		}
	}
	if code := cli.Execute(t.Context(), root, nil); code != 0 || !strings.Contains(out.String(), "recipients") {
		t.Errorf("without arguments: exit %d\n%s", code, out.String())
	}
}
