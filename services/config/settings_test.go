package config_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func TestRelayHasDefaultsAndKeepsItsPassword(t *testing.T) {
	h := start(t)
	got, err := h.settings.GetSmtpSettings(h.ctx(), &outboundv1.GetSmtpSettingsRequest{})
	if err != nil || got.GetPort() != 587 || got.GetEncryption() != outboundv1.SmtpSettings_Encryption_STARTTLS ||
		got.GetAuth() != outboundv1.SmtpSettings_Auth_NONE || got.GetFromName() != "Outbound" || got.GetEtag() == "" {
		t.Fatalf("unset, the relay is %v (%v)", got, err)
	}
	bad := &outboundv1.SmtpSettings{
		Host: "relay:25", Port: 70000, Encryption: outboundv1.SmtpSettings_Encryption_NONE, Auth: outboundv1.SmtpSettings_Auth_PLAIN,
		FromAddress: "x <x@example.com>", CaCertificatePem: "no", AdminContacts: []string{"a@example.com", "b"},
	}
	_, err = h.settings.UpdateSmtpSettings(h.ctx(), &outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: bad})
	wantFields(t, err, "host", "port", "auth", "username", "password", "fromAddress", "caCertificatePem", "adminContacts[1]")
	set := func(p *outboundv1.SmtpSettings, paths ...string) *outboundv1.SmtpSettings {
		t.Helper()
		out, err := h.settings.UpdateSmtpSettings(h.ctx(), &outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: p, UpdateMask: mask(paths...)})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	good := set(&outboundv1.SmtpSettings{
		Etag: got.GetEtag(), Host: "relay.example.com", FromAddress: "o@example.com", Auth: outboundv1.SmtpSettings_Auth_PLAIN, Username: "u",
		Password: canaryRelay,
	})
	if good.GetPassword() != "" || !good.GetPasswordSet() || good.GetUpdateTime() == nil {
		t.Errorf("answered %v", good)
	}
	_, err = h.settings.UpdateSmtpSettings(h.ctx(),
		&outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: &outboundv1.SmtpSettings{Etag: got.GetEtag()}})
	wantCode(t, err, codes.Aborted)
	if p := set(&outboundv1.SmtpSettings{Encryption: outboundv1.SmtpSettings_Encryption_TLS, Password: canaryRelay}, "encryption",
		"password"); p.GetPort() != 465 || !p.GetPasswordSet() {
		t.Errorf("with TLS the relay is %v", p)
	}
	if p := set(&outboundv1.SmtpSettings{Auth: outboundv1.SmtpSettings_Auth_NONE}, "auth"); p.GetPasswordSet() {
		t.Error("without signing in the password stays")
	}
}

func TestEmailSettingsHaveDefaultsAndBounds(t *testing.T) {
	h := start(t)
	got, err := h.settings.GetEmailSettings(h.ctx(), &outboundv1.GetEmailSettingsRequest{})
	if err != nil || got.GetRetryDuration().AsDuration().Hours() != 24 || got.GetRetryInterval().AsDuration().Minutes() != 1 ||
		got.GetTimeZone() != "UTC" {
		t.Fatalf("unset they are %v (%v)", got, err)
	}
	_, err = h.settings.UpdateEmailSettings(h.ctx(), &outboundv1.UpdateEmailSettingsRequest{EmailSettings: &outboundv1.EmailSettings{
		RetryInterval: seconds(3600), RetryDuration: seconds(60), TimeZone: "Mars/Olympus",
	}})
	wantFields(t, err, "retryInterval", "timeZone")
	changed, err := h.settings.UpdateEmailSettings(h.ctx(), &outboundv1.UpdateEmailSettingsRequest{
		EmailSettings: &outboundv1.EmailSettings{TimeZone: "Europe/Vienna", Etag: got.GetEtag()}, UpdateMask: mask("time_zone"),
	})
	if err != nil || changed.GetTimeZone() != "Europe/Vienna" || changed.GetRetryDuration().AsDuration().Hours() != 24 ||
		changed.GetEtag() == got.GetEtag() {
		t.Errorf("changed to %v (%v)", changed, err)
	}
}

func TestCustomFieldsAreThirtyAtMostWithNamesOfTheirOwn(t *testing.T) {
	h := start(t)
	create := func(name, code string) (*outboundv1.CustomField, error) {
		return h.settings.CreateCustomField(h.ctx(),
			&outboundv1.CreateCustomFieldRequest{CustomField: &outboundv1.CustomField{DisplayName: name, CodeName: code}})
	}
	region, err := create("Region (EU)", "")
	if err != nil || region.GetCodeName() != "region_eu" || region.GetEtag() == "" {
		t.Fatalf("created %v (%v)", region, err)
	}
	_, err = create("REGION (eu)", "other")
	wantCode(t, err, codes.AlreadyExists)
	_, err = create("Other", "region_eu")
	wantCode(t, err, codes.AlreadyExists)
	_, err = create("", "Bad Name")
	wantFields(t, err, "displayName", "codeName")
	var made atomic.Int32
	var wg sync.WaitGroup
	for i := range 35 {
		wg.Go(func() {
			_, err := create(fmt.Sprintf("Field %d", i), "")
			switch status.Code(err) {
			case codes.OK:
				made.Add(1)
			case codes.FailedPrecondition:
			default:
				t.Errorf("field %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	list, err := h.settings.ListCustomFields(h.ctx(), &outboundv1.ListCustomFieldsRequest{})
	if err != nil || len(list.GetCustomFields()) != 30 || made.Load() != 29 {
		t.Errorf("%d fields, %d made at once (%v)", len(list.GetCustomFields()), made.Load(), err)
	}
	renamed, err := h.settings.UpdateCustomField(h.ctx(), &outboundv1.UpdateCustomFieldRequest{
		CustomField: &outboundv1.CustomField{CodeName: "region_eu", DisplayName: "Area", Etag: region.GetEtag()},
	})
	if err != nil || renamed.GetDisplayName() != "Area" || renamed.GetCodeName() != "region_eu" {
		t.Errorf("renamed to %v (%v)", renamed, err)
	}
	_, err = h.settings.DeleteCustomField(h.ctx(), &outboundv1.DeleteCustomFieldRequest{CodeName: "region_eu", Etag: region.GetEtag()})
	wantCode(t, err, codes.Aborted)
	if _, err := h.settings.DeleteCustomField(h.ctx(), &outboundv1.DeleteCustomFieldRequest{CodeName: "region_eu"}); err != nil {
		t.Error(err)
	}
	_, err = h.settings.GetCustomField(h.ctx(), &outboundv1.GetCustomFieldRequest{CodeName: "region_eu"})
	wantCode(t, err, codes.NotFound)
}

func TestOwnEventTypesCanBeAddedAndGoWhenNobodySelectsThem(t *testing.T) {
	h := start(t)
	own := &outboundv1.EventType{Id: "door_opened", DisplayName: "Door opened",
		Variables: []*outboundv1.Variable{{Name: "door", Example: "north"}}}
	r := httpRecipient("R")
	r.EventTypes = []string{"door_opened"}
	_, err := h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: r})
	wantFields(t, err, "eventTypes[0]")
	made, err := h.settings.CreateEventType(h.ctx(), &outboundv1.CreateEventTypeRequest{EventType: own})
	if err != nil || made.GetBuiltIn() || made.GetEtag() == "" {
		t.Fatalf("created %v (%v)", made, err)
	}
	_, err = h.settings.CreateEventType(h.ctx(), &outboundv1.CreateEventTypeRequest{EventType: own})
	wantCode(t, err, codes.AlreadyExists)
	h.create(r)
	list, err := h.settings.ListEventTypes(h.ctx(), &outboundv1.ListEventTypesRequest{})
	if n := len(event.Catalogue()); err != nil || len(list.GetEventTypes()) != n+1 || !list.GetEventTypes()[0].GetBuiltIn() ||
		list.GetEventTypes()[n].GetId() != "door_opened" {
		t.Errorf("listed %v (%v)", list, err)
	}
	_, err = h.settings.DeleteEventType(h.ctx(), &outboundv1.DeleteEventTypeRequest{Id: "door_opened"})
	wantCode(t, err, codes.FailedPrecondition)
	if !strings.Contains(err.Error(), "r") {
		t.Errorf("%v does not name the recipient", err)
	}
	_, err = h.settings.UpdateEventType(h.ctx(),
		&outboundv1.UpdateEventTypeRequest{EventType: &outboundv1.EventType{Id: "support_conference_end", DisplayName: "x"}})
	wantCode(t, err, codes.FailedPrecondition)
	_, err = h.settings.DeleteEventType(h.ctx(), &outboundv1.DeleteEventTypeRequest{Id: "support_conference_end"})
	wantCode(t, err, codes.FailedPrecondition)
	changed, err := h.settings.UpdateEventType(h.ctx(), &outboundv1.UpdateEventTypeRequest{
		EventType: &outboundv1.EventType{Id: "door_opened", Email: true}, UpdateMask: mask("email"),
	})
	if err != nil || !changed.GetEmail() || changed.GetDisplayName() != "Door opened" {
		t.Errorf("changed to %v (%v)", changed, err)
	}
	if _, err := h.admin.DeleteRecipient(h.ctx(), &outboundv1.DeleteRecipientRequest{Id: "r"}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.settings.DeleteEventType(h.ctx(), &outboundv1.DeleteEventTypeRequest{Id: "door_opened"}); err != nil {
		t.Error(err)
	}
	_, err = h.settings.GetEventType(h.ctx(), &outboundv1.GetEventTypeRequest{Id: "door_opened"})
	wantCode(t, err, codes.NotFound)
}

// holds says that the settings hold an appliance whose credentials these are.
func holds(c *outboundv1.ApplianceCredentials) func(*outboundv1.WatchSettingsResponse) bool {
	return func(all *outboundv1.WatchSettingsResponse) bool {
		for _, a := range all.GetAppliances() {
			if a.GetAppliance().GetId() == c.GetId() && string(a.GetTokenSha256()) == string(secret.HashToken(c.GetToken())) &&
				bcrypt.CompareHashAndPassword([]byte(a.GetPasswordBcrypt()), []byte(c.GetPassword())) == nil {
				return true
			}
		}
		return false
	}
}

func TestApplianceCredentialsAreShownOnceAndKeptAsHashes(t *testing.T) {
	h := start(t)
	stream, err := h.watcher.WatchSettings(h.ctx(), &outboundv1.WatchSettingsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	until := func(what string, fact func(*outboundv1.WatchSettingsResponse) bool) {
		t.Helper()
		for {
			all, err := stream.Recv()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if fact(all) {
				return
			}
		}
	}
	create := &outboundv1.CreateApplianceRequest{Appliance: &outboundv1.Appliance{Id: "appliance-1", DisplayName: "First"}}
	first, err := h.settings.CreateAppliance(h.ctx(), create)
	if err != nil || first.GetUser() != "appliance-1" || first.GetPassword() == "" || first.GetToken() == "" {
		t.Fatalf("created %v (%v)", first.GetId(), err)
	}
	until("the appliance is told of", holds(first))
	_, err = h.settings.CreateAppliance(h.ctx(), create)
	wantCode(t, err, codes.AlreadyExists)
	_, err = h.settings.CreateAppliance(h.ctx(), &outboundv1.CreateApplianceRequest{Appliance: &outboundv1.Appliance{Id: "a b"}})
	wantFields(t, err, "id")
	_, err = h.settings.CreateAppliance(h.ctx(), &outboundv1.CreateApplianceRequest{Appliance: &outboundv1.Appliance{Id: "outbound-test"}})
	wantFields(t, err, "id")
	second, err := h.settings.RotateAppliance(h.ctx(), &outboundv1.RotateApplianceRequest{Id: "appliance-1"})
	if err != nil || second.GetPassword() == first.GetPassword() || second.GetToken() == first.GetToken() {
		t.Fatalf("rotated: %v", err)
	}
	until("the new credentials are told of", holds(second))
	list, err := h.settings.ListAppliances(h.ctx(), &outboundv1.ListAppliancesRequest{})
	if err != nil || len(list.GetAppliances()) != 1 || list.GetAppliances()[0].GetDisplayName() != "First" {
		t.Errorf("listed %v (%v)", list, err)
	}
	entries, err := h.bucket(bus.BucketSettings).All(h.ctx(), "appliance.")
	if err != nil || len(entries) != 1 || strings.Contains(string(entries[0].Value), second.GetPassword()) ||
		strings.Contains(string(entries[0].Value), second.GetToken()) {
		t.Errorf("stored are %d entries, or plain credentials (%v)", len(entries), err)
	}
	if _, err := h.settings.DeleteAppliance(h.ctx(), &outboundv1.DeleteApplianceRequest{Id: "appliance-1"}); err != nil {
		t.Fatal(err)
	}
	until("the revocation is told of", func(all *outboundv1.WatchSettingsResponse) bool { return len(all.GetAppliances()) == 0 })
	_, err = h.settings.RotateAppliance(h.ctx(), &outboundv1.RotateApplianceRequest{Id: "appliance-1"})
	wantCode(t, err, codes.NotFound)
	_, err = h.settings.DeleteAppliance(h.ctx(), &outboundv1.DeleteApplianceRequest{Id: "appliance-1"})
	wantCode(t, err, codes.NotFound)
	if _, err := h.settings.CreateAppliance(h.ctx(), create); err != nil {
		t.Errorf("added again: %v", err)
	}
}
