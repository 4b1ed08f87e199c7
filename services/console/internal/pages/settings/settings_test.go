package settings_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
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

// fixture fakes the config and history services with hostile texts and records its requests.
type fixture struct {
	outboundv1.UnimplementedSettingsServiceServer
	outboundv1.UnimplementedStatusServiceServer
	outboundv1.UnimplementedRecipientServiceServer
	asked []proto.Message
	// fail is the error of the next change.
	fail error
}

func (h *fixture) note(m proto.Message) error {
	h.asked = append(h.asked, m)
	err := h.fail
	h.fail = nil
	return err
}

func (h *fixture) ListRecipients(context.Context, *outboundv1.ListRecipientsRequest) (*outboundv1.ListRecipientsResponse, error) {
	return &outboundv1.ListRecipientsResponse{Recipients: []*outboundv1.Recipient{
		{Id: "crm", DisplayName: hostile, Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{}}},
	}}, nil
}

func (h *fixture) GetSmtpSettings(context.Context, *outboundv1.GetSmtpSettingsRequest) (*outboundv1.SmtpSettings, error) {
	return &outboundv1.SmtpSettings{
		Host: "relay.example", Username: hostile, FromName: hostile, PasswordSet: true, Etag: "7",
		AdminContacts: []string{"a@example.com", "b@example.com"},
		Oauth2:        &outboundv1.RelayOAuth2{TokenUrl: "https://login.example", ClientId: hostile, RefreshTokenSet: true},
		DailyNotice:   &outboundv1.DailyNotice{Enabled: true},
	}, nil
}

func (h *fixture) UpdateSmtpSettings(_ context.Context, q *outboundv1.UpdateSmtpSettingsRequest) (*outboundv1.SmtpSettings, error) {
	return q.GetSmtpSettings(), h.note(q.GetSmtpSettings())
}

func (h *fixture) SendTestEmail(_ context.Context, q *outboundv1.SendTestEmailRequest) (*outboundv1.SendTestEmailResponse, error) {
	return &outboundv1.SendTestEmailResponse{Results: []*outboundv1.SendTestEmailResponse_Result{{Address: hostile, Code: 550,
		Detail: hostile}}}, h.note(q)
}

func (h *fixture) GetEmailSettings(context.Context, *outboundv1.GetEmailSettingsRequest) (*outboundv1.EmailSettings, error) {
	return &outboundv1.EmailSettings{RetryDuration: durationpb.New(24 * time.Hour), TimeZone: hostile, Etag: "3"}, nil
}

func (h *fixture) UpdateEmailSettings(_ context.Context, q *outboundv1.UpdateEmailSettingsRequest) (*outboundv1.EmailSettings, error) {
	return q.GetEmailSettings(), h.note(q.GetEmailSettings())
}

func (h *fixture) ListCustomFields(context.Context, *outboundv1.ListCustomFieldsRequest) (*outboundv1.ListCustomFieldsResponse, error) {
	return &outboundv1.ListCustomFieldsResponse{CustomFields: []*outboundv1.CustomField{{CodeName: "region", DisplayName: hostile,
		Etag: "1"}}}, nil
}

func (h *fixture) CreateCustomField(_ context.Context, q *outboundv1.CreateCustomFieldRequest) (*outboundv1.CustomField, error) {
	return q.GetCustomField(), h.note(q.GetCustomField())
}

func (h *fixture) DeleteCustomField(_ context.Context, q *outboundv1.DeleteCustomFieldRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, h.note(q)
}

func (h *fixture) ListEventTypes(context.Context, *outboundv1.ListEventTypesRequest) (*outboundv1.ListEventTypesResponse, error) {
	return &outboundv1.ListEventTypesResponse{EventTypes: []*outboundv1.EventType{{Id: "own", DisplayName: hostile, Product: hostile}}}, nil
}

func (h *fixture) GetEventType(context.Context, *outboundv1.GetEventTypeRequest) (*outboundv1.EventType, error) {
	return &outboundv1.EventType{Id: "own", DisplayName: hostile,
		Variables: []*outboundv1.Variable{{Name: "n", Description: hostile, Example: hostile}}}, nil
}

func (h *fixture) CreateEventType(_ context.Context, q *outboundv1.CreateEventTypeRequest) (*outboundv1.EventType, error) {
	return q.GetEventType(), h.note(q.GetEventType())
}

func (h *fixture) ListAppliances(context.Context, *outboundv1.ListAppliancesRequest) (*outboundv1.ListAppliancesResponse, error) {
	return &outboundv1.ListAppliancesResponse{Appliances: []*outboundv1.Appliance{{Id: "a1", DisplayName: hostile,
		SilentAfter: durationpb.New(30 * time.Minute)}}}, nil
}

func (h *fixture) GetAppliance(context.Context, *outboundv1.GetApplianceRequest) (*outboundv1.Appliance, error) {
	return &outboundv1.Appliance{Id: "a1", DisplayName: hostile}, nil
}

func (h *fixture) CreateAppliance(_ context.Context, q *outboundv1.CreateApplianceRequest) (*outboundv1.ApplianceCredentials, error) {
	return &outboundv1.ApplianceCredentials{Id: "a1", User: "a1", Password: "the-password", Token: "the-token"}, h.note(q.GetAppliance())
}

func (h *fixture) ListRevisions(context.Context, *outboundv1.ListRevisionsRequest) (*outboundv1.ListRevisionsResponse, error) {
	return &outboundv1.ListRevisionsResponse{Revisions: []*outboundv1.Revision{{
		Resource: "recipients/crm", Revision: 9, Actor: hostile, Action: "changed", ResourceJson: "{}", Time: timestamppb.Now(),
		Changes: []*outboundv1.Change{{Path: hostile, Before: hostile, After: hostile}},
	}}}, nil
}

func (h *fixture) RollBack(_ context.Context, q *outboundv1.RollBackRequest) (*outboundv1.RollBackResponse, error) {
	return &outboundv1.RollBackResponse{}, h.note(q)
}

func (h *fixture) GetStatus(context.Context, *outboundv1.GetStatusRequest) (*outboundv1.Status, error) {
	return &outboundv1.Status{
		Relay:      &outboundv1.RelayStatus{Line: hostile, Configured: true},
		Appliances: []*outboundv1.ApplianceStatus{{ApplianceId: "a1", Silent: true}},
	}, nil
}

func start(t *testing.T) (*fixture, *consoletest.System) {
	h := &fixture{}
	return h, consoletest.Start(t, consoletest.Options{Register: func(r grpc.ServiceRegistrar) {
		outboundv1.RegisterSettingsServiceServer(r, h)
		outboundv1.RegisterStatusServiceServer(r, h)
		outboundv1.RegisterRecipientServiceServer(r, h)
	}})
}

func TestPagesEscapeTextAndHideSecrets(t *testing.T) {
	_, site := start(t)
	admin, viewer := site.As("admin"), site.As("viewer")
	for path, open := range map[string]bool{
		"/settings/relay": true, "/settings/fields": true, "/settings/types": true, "/settings/types/own": true, "/settings/types/new": false,
		"/settings/appliances": true, "/settings/appliances/a1": true, "/settings/users": false, "/settings/users/viewer": false,
		"/settings/tokens":  false,
		"/settings/changes": true,
	} {
		a := admin.Get(path)
		if a.Status != http.StatusOK || strings.Contains(a.Body, "<script>alert") || strings.Contains(a.Body, `href="javascript:`) ||
			!strings.Contains(a.Body, "</html>") {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
		want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[open]
		if a := viewer.Get(path); a.Status != want {
			t.Errorf("%s for a viewer: %d, want %d", path, a.Status, want)
		}
	}
	if a := admin.Get("/settings/relay"); strings.Count(a.Body, "stored – type to replace") != 2 ||
		!strings.Contains(a.Body, "&lt;script&gt;alert(1)") {
		t.Errorf("two secrets are stored, and the line is a text: %s", a.Body)
	}
}

func TestViewersAndOperatorsChangeNothing(t *testing.T) {
	h, site := start(t)
	for _, role := range []string{"viewer", "operator"} {
		b := site.As(role)
		for _, path := range []string{
			"/settings/relay", "/settings/relay/test", "/settings/email", "/settings/fields", "/settings/types", "/settings/appliances",
			"/settings/appliances/a1/rotate", "/settings/users", "/settings/tokens", "/settings/changes/roll-back",
		} {
			if a := b.Post(path, url.Values{"displayName": {"x"}}); a.Status != http.StatusForbidden {
				t.Errorf("%s posts to %s: %d", role, path, a.Status)
			}
		}
	}
	if len(h.asked) != 0 {
		t.Errorf("the services were asked for %v", h.asked)
	}
}

func TestFormValuesReachTheService(t *testing.T) {
	h, site := start(t)
	admin := site.As("admin")
	for _, c := range []struct {
		path  string
		form  url.Values
		want  proto.Message
		shows string
	}{
		{"/settings/relay", url.Values{"host": {"mail.example"}, "port": {"2525"}, "encryption": {"TLS"}, "auth": {"PLAIN"},
			"username": {"u"}, "password": {"p"}, "fromAddress": {"o@example.com"}, "adminContacts": {"a@example.com\r\nb@example.com"},
			"dailyNotice.enabled": {"true"}, "dailyNotice.time": {"07:30"}, "rateLimit.limit": {"9"}, "rateLimit.period": {"1 min"}, "etag": {"7"}},
			&outboundv1.SmtpSettings{Host: "mail.example", Port: 2525, Encryption: outboundv1.SmtpSettings_Encryption_TLS,
				Auth: outboundv1.SmtpSettings_Auth_PLAIN, Username: "u", Password: "p", FromAddress: "o@example.com",
				AdminContacts: []string{"a@example.com", "b@example.com"}, DailyNotice: &outboundv1.DailyNotice{Enabled: true, Time: "07:30"},
				RateLimit: &outboundv1.RateLimit{Limit: 9, Period: durationpb.New(time.Minute)}, Etag: "7"}, ""},
		{"/settings/email", url.Values{"retryDuration": {"36 h"}, "retryInterval": {"90 s"}, "timeZone": {"Europe/Vienna"}, "etag": {"3"}},
			&outboundv1.EmailSettings{RetryDuration: durationpb.New(36 * time.Hour), RetryInterval: durationpb.New(90 * time.Second),
				TimeZone: "Europe/Vienna", Etag: "3"}, ""},
		{"/settings/relay/test", url.Values{"to": {"a@example.com, b@example.com"}},
			&outboundv1.SendTestEmailRequest{To: []string{"a@example.com", "b@example.com"}}, "not accepted"},
		{"/settings/fields", url.Values{"displayName": {"Region"}, "codeName": {"region"}},
			&outboundv1.CustomField{DisplayName: "Region", CodeName: "region"}, ""},
		{"/settings/fields/region/delete", url.Values{"etag": {"1"}}, &outboundv1.DeleteCustomFieldRequest{CodeName: "region", Etag: "1"}, ""},
		{"/settings/types", url.Values{"id": {"own"}, "displayName": {"Own"}, "email": {"true"}, "variables": {"a | what | 1 | 2\r\n\r\nb"}},
			&outboundv1.EventType{Id: "own", DisplayName: "Own", Email: true,
				Variables: []*outboundv1.Variable{{Name: "a", Description: "what", Example: "1 | 2"}, {Name: "b"}}}, ""},
		{"/settings/appliances", url.Values{"id": {"a1"}, "silentAfter": {"45 min"}},
			&outboundv1.Appliance{Id: "a1", SilentAfter: durationpb.New(45 * time.Minute)}, "the-password"},
		{"/settings/changes/roll-back", url.Values{"resource": {"recipients/crm"}, "revision": {"9"}},
			&outboundv1.RollBackRequest{Resource: "recipients/crm", Revision: 9}, ""},
	} {
		h.asked = nil
		a := admin.Post(c.path, c.form)
		if c.shows == "" && a.Status != http.StatusSeeOther || c.shows != "" && !strings.Contains(a.Body, c.shows) {
			t.Errorf("%s: %d %s", c.path, a.Status, a.Body)
		}
		if len(h.asked) != 1 || !proto.Equal(h.asked[0], c.want) {
			t.Errorf("%s asked for\n%v\nwant\n%v", c.path, h.asked, c.want)
		}
	}
}

func TestFaultsAreShownAndInputIsKept(t *testing.T) {
	h, site := start(t)
	admin := site.As("admin")
	h.fail = rpc.InvalidArgument(rpc.Violation{Field: "fromAddress", Description: "is no address"})
	a := admin.Post("/settings/relay", url.Values{"host": {"typed.example"}, "fromAddress": {"nobody"}, "password": {"hush-hush"}})
	if a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, "typed.example") ||
		!strings.Contains(a.Body, `id="f-fromAddress-fault"`) || strings.Contains(a.Body, "hush-hush") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	h.fail = rpc.Aborted("settings", "smtp")
	if a := admin.Post("/settings/relay", url.Values{"host": {"typed.example"}}); a.Status != http.StatusUnprocessableEntity ||
		!strings.Contains(a.Body, "Someone else saved changes in the meantime") || !strings.Contains(a.Body, "typed.example") {
		t.Errorf("a conflict: %d %s", a.Status, a.Body)
	}
	h.asked = nil
	if a := admin.Post("/settings/appliances",
		url.Values{"id": {"a1"}, "silentAfter": {"soon"}}); a.Status != http.StatusUnprocessableEntity || len(h.asked) != 0 ||
		!strings.Contains(a.Body, `value="soon"`) {
		t.Errorf("a span that is none: %d, asked %v", a.Status, h.asked)
	}
}

func TestATokenOfAReceiverIsForARecipient(t *testing.T) {
	_, site := start(t)
	admin := site.As("admin")
	a := admin.Get("/settings/tokens")
	for _, text := range []string{"receiver of crm</td>", "viewer</td>", `<option value="RECEIVER">`, `<option value="crm">`} {
		if !strings.Contains(a.Body, text) {
			t.Errorf("the page has no %q: %s", text, a.Body)
		}
	}
	a = admin.Post("/settings/tokens", url.Values{"displayName": {"tickets"}, "role": {"RECEIVER"}, "recipientId": {"crm"}})
	if a.Status != http.StatusOK || !strings.Contains(a.Body, "the-secret-of-crm") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	a = admin.Post("/settings/tokens", url.Values{"displayName": {"tickets"}, "role": {"VIEWER"}, "recipientId": {"crm"}})
	if a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, `id="f-recipientId-fault"`) ||
		!strings.Contains(a.Body, `<option value="crm" selected>`) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := admin.Get("/settings/users"); strings.Contains(a.Body, "RECEIVER") {
		t.Errorf("a user can be a receiver: %s", a.Body)
	}
}
