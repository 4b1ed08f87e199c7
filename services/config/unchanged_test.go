package config_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func wantSame(t *testing.T, what string, got, want proto.Message, err error) {
	t.Helper()
	if err != nil || !proto.Equal(got, want) {
		t.Errorf("%s answers %v (%v), want %v", what, got, err, want)
	}
}

func TestAChangeThatChangesNothingWritesNothing(t *testing.T) {
	h := start(t)
	ctx := h.ctx()
	h.seed()
	in := httpRecipient("Signed")
	in.GetHttp().SigningSecrets = []*outboundv1.SigningSecret{{}, {Kind: outboundv1.SigningSecret_ED25519}}
	in.GetHttp().Auth = &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_Basic{Basic: &outboundv1.BasicAuth{Username: "u", Password: "p"}}}
	in.Enabled = proto.Bool(false)
	made := h.create(in)
	r, err := h.admin.GetRecipient(ctx, &outboundv1.GetRecipientRequest{Id: made.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	before := h.written()
	for range 2 {
		got, err := h.admin.UpdateRecipient(ctx, &outboundv1.UpdateRecipientRequest{Recipient: r})
		wantSame(t, "the whole recipient", got, r, err)
		got, err = h.admin.UpdateRecipient(ctx,
			&outboundv1.UpdateRecipientRequest{UpdateMask: mask("display_name"),
				Recipient: &outboundv1.Recipient{Id: r.GetId(), DisplayName: " Signed "}})
		wantSame(t, "a field of a recipient", got, r, err)
	}
	h.wantWritten(before)

	stale, _ := proto.Clone(r).(*outboundv1.Recipient)
	stale.Etag = "1"
	_, err = h.admin.UpdateRecipient(ctx, &outboundv1.UpdateRecipientRequest{Recipient: stale})
	wantCode(t, err, codes.Aborted)
	_, err = h.settings.UpdateEmailSettings(ctx, &outboundv1.UpdateEmailSettingsRequest{EmailSettings: &outboundv1.EmailSettings{Etag: "999"}})
	wantCode(t, err, codes.Aborted)
	_, err = h.services.UpdateRecipient(ctx, &outboundv1.UpdateRecipientRequest{Recipient: r})
	wantCode(t, err, codes.PermissionDenied)
}

func TestSettingsThatAreSentBackAreNotWritten(t *testing.T) {
	h := start(t)
	ctx := h.ctx()
	h.seed()
	before := h.written()
	smtp, err := h.settings.GetSmtpSettings(ctx, &outboundv1.GetSmtpSettingsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	sent, err := h.settings.UpdateSmtpSettings(ctx,
		&outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: &outboundv1.SmtpSettings{Etag: smtp.GetEtag()}, UpdateMask: mask("host")})
	wantSame(t, "the relay that nobody set", sent, smtp, err)
	email, err := h.settings.GetEmailSettings(ctx, &outboundv1.GetEmailSettingsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	mailed, err := h.settings.UpdateEmailSettings(ctx, &outboundv1.UpdateEmailSettingsRequest{EmailSettings: email})
	wantSame(t, "email settings that nobody set", mailed, email, err)
	f, err := h.settings.GetCustomField(ctx, &outboundv1.GetCustomFieldRequest{CodeName: "region"})
	if err != nil {
		t.Fatal(err)
	}
	field, err := h.settings.UpdateCustomField(ctx, &outboundv1.UpdateCustomFieldRequest{CustomField: f})
	wantSame(t, "a custom field", field, f, err)
	et, err := h.settings.GetEventType(ctx, &outboundv1.GetEventTypeRequest{Id: "disk_full"})
	if err != nil {
		t.Fatal(err)
	}
	kind, err := h.settings.UpdateEventType(ctx, &outboundv1.UpdateEventTypeRequest{EventType: et})
	wantSame(t, "an event type", kind, et, err)
	a, err := h.settings.GetAppliance(ctx, &outboundv1.GetApplianceRequest{Id: "a-1"})
	if err != nil {
		t.Fatal(err)
	}
	appliance, err := h.settings.UpdateAppliance(ctx, &outboundv1.UpdateApplianceRequest{Appliance: a})
	wantSame(t, "an appliance", appliance, a, err)
	h.wantWritten(before)

	ada, err := h.access().CreateUser(ctx, &outboundv1.CreateUserRequest{User: &outboundv1.User{Name: "ada", DisplayName: "Ada",
		Role: outboundv1.Role_ADMIN}})
	if err != nil {
		t.Fatal(err)
	}
	before = h.written()
	user, err := h.access().UpdateUser(ctx, &outboundv1.UpdateUserRequest{User: ada})
	wantSame(t, "a user", user, ada, err)
	h.wantWritten(before)
}

func TestSettingsThatWereSetAreNotWrittenAgain(t *testing.T) {
	h := start(t)
	set := func() *outboundv1.SmtpSettings {
		out, err := h.settings.UpdateSmtpSettings(h.ctx(), &outboundv1.UpdateSmtpSettingsRequest{
			SmtpSettings: &outboundv1.SmtpSettings{Host: "mail.example.com", FromAddress: "o@example.com"},
			UpdateMask:   mask("host", "from_address")})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := set()
	before := h.written()
	if again := set(); !proto.Equal(again, first) {
		t.Errorf("answered %v, was %v", again, first)
	}
	h.wantWritten(before)
	r := h.create(httpRecipient("CRM"))
	r.GetHttp().Auth = &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_Bearer{Bearer: &outboundv1.BearerAuth{Token: "t"}}}
	update := func() string {
		out, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: r, UpdateMask: mask("http.auth")})
		if err != nil {
			t.Fatal(err)
		}
		r.Etag = out.GetEtag()
		return out.GetEtag()
	}
	if first, second := update(), update(); first == second {
		t.Error("whether a secret is the stored one is told by the etag, so that it could be guessed")
	}
}
