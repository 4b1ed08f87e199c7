package settings_test

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/settings"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// empty is a store without keys, to copy from.
type empty struct{ store.Store }

func (empty) List(context.Context, string) ([]bus.Entry, error) { return nil, nil }

func memory(t *testing.T) *store.Memory {
	t.Helper()
	m, err := store.NewMemory(testContext(t), empty{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := waittest.Context(context.Background())
	t.Cleanup(cancel)
	return ctx
}

// fixture is settings and recipients in memory.
type fixture struct {
	*settings.Settings
	parts      *store.Parts
	recipients *store.Recipients
}

func start(t *testing.T) fixture {
	t.Helper()
	rules, err := rpc.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := secret.LoadOrCreateKey(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	parts, recipients := store.NewParts(memory(t)), store.NewRecipients(memory(t))
	return fixture{settings.New(settings.Deps{Parts: parts, Recipients: recipients, Rules: rules, Sealer: sealer,
		Now: time.Now}), parts, recipients}
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("answered %v, want %s", err, want)
	}
}

func TestSettingsThatWereNeverSetHaveDefaults(t *testing.T) {
	s := start(t)
	all, err := s.All(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if all.GetSmtp().GetPort() != 587 || all.GetEmail().GetTimeZone() != "UTC" || len(all.GetEventTypes()) == 0 {
		t.Errorf("all settings are %v", all)
	}
	decoded, err := s.Decoded(testContext(t))
	if err != nil || decoded.Email.Location.String() != "UTC" {
		t.Errorf("decoded to %+v, %v", decoded, err)
	}
}

func TestSettingTheDefaultsMakesNoRevision(t *testing.T) {
	s := start(t)
	ctx := testContext(t)
	before, err := s.GetEmailSettings(ctx, &outboundv1.GetEmailSettingsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.UpdateEmailSettings(ctx, &outboundv1.UpdateEmailSettingsRequest{EmailSettings: before})
	if err != nil || again.GetEtag() != before.GetEtag() || again.GetUpdateTime() != nil {
		t.Errorf("changed to %v, %v", again, err)
	}
	if _, revision, err := s.parts.Get(ctx, store.KeyEmail); err != nil || revision != 0 {
		t.Errorf("stored at %d, %v", revision, err)
	}
	longer := &outboundv1.UpdateEmailSettingsRequest{
		EmailSettings: &outboundv1.EmailSettings{RetryInterval: durationpb.New(2 * time.Minute)},
		UpdateMask:    &fieldmaskpb.FieldMask{Paths: []string{"retry_interval"}},
	}
	changed, err := s.UpdateEmailSettings(ctx, longer)
	if err != nil || changed.GetUpdateTime() == nil {
		t.Fatalf("changed to %v, %v", changed, err)
	}
	if again, err := s.UpdateEmailSettings(ctx, longer); err != nil || again.GetEtag() != changed.GetEtag() {
		t.Errorf("the same change answers %v, %v", again, err)
	}
	longer.EmailSettings.Etag = store.Etag(99)
	_, err = s.UpdateEmailSettings(ctx, longer)
	wantCode(t, err, codes.Aborted)
}

func TestAnEventTypeInUseStays(t *testing.T) {
	s := start(t)
	ctx := testContext(t)
	sent := &outboundv1.EventType{Id: "survey_sent", DisplayName: "Survey sent"}
	if _, err := s.CreateEventType(ctx, &outboundv1.CreateEventTypeRequest{EventType: sent}); err != nil {
		t.Fatal(err)
	}
	r := &outboundv1.Recipient{Id: "a", EventTypes: []string{"survey_sent"}}
	stored := store.Recipient{StoredRecipient: &outboundv1.StoredRecipient{Recipient: r}}
	stored, err := s.recipients.Put(ctx, stored, store.ChangeNote{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.DeleteEventType(ctx, &outboundv1.DeleteEventTypeRequest{Id: "survey_sent"})
	wantCode(t, err, codes.FailedPrecondition)
	if err := s.recipients.Remove(ctx, stored, store.ChangeNote{}); err != nil {
		t.Fatal(err)
	}
	if _, err = s.DeleteEventType(ctx, &outboundv1.DeleteEventTypeRequest{Id: "survey_sent"}); err != nil {
		t.Error(err)
	}
	_, err = s.DeleteEventType(ctx, &outboundv1.DeleteEventTypeRequest{Id: "support_conference_end"})
	wantCode(t, err, codes.FailedPrecondition)
}

func TestCustomFieldsGetCodeNames(t *testing.T) {
	s := start(t)
	ctx := testContext(t)
	for _, name := range []string{"Cost centre", "Cost-centre", "7 days"} {
		field := &outboundv1.CustomField{DisplayName: name}
		if _, err := s.CreateCustomField(ctx, &outboundv1.CreateCustomFieldRequest{CustomField: field}); err != nil {
			t.Fatalf("create %q: %v", name, err)
		}
	}
	_, err := s.CreateCustomField(ctx, &outboundv1.CreateCustomFieldRequest{CustomField: &outboundv1.CustomField{DisplayName: "COST centre"}})
	wantCode(t, err, codes.AlreadyExists)
	codeNames, err := s.CodeNames(ctx)
	if want := []string{"cost_centre", "cost_centre_2", "field_7_days"}; err != nil || !slices.Equal(codeNames, want) {
		t.Errorf("code names are %q, %v, want %q", codeNames, err, want)
	}
}

func TestARollBackOfTheRelayRestoresItsPassword(t *testing.T) {
	s := start(t)
	ctx := testContext(t)
	set := func(host, password string) {
		t.Helper()
		relay := &outboundv1.SmtpSettings{
			Host: host, FromAddress: "outbound@example.com", Auth: outboundv1.SmtpSettings_Auth_PLAIN, Username: "me", Password: password,
		}
		out, err := s.UpdateSmtpSettings(ctx, &outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: relay})
		if err != nil || out.GetPassword() != "" || !out.GetPasswordSet() {
			t.Fatalf("set to %v, %v", out, err)
		}
	}
	set("one.example.com", "first")
	past, _, err := s.parts.Get(ctx, store.KeySMTP)
	if err != nil {
		t.Fatal(err)
	}
	set("two.example.com", "second")
	note := store.ChangeNote{Action: store.ActionRolledBack, RolledBackTo: 1}
	if _, err := s.Restore(ctx, store.KeySMTP, past, note); err != nil {
		t.Fatal(err)
	}
	now, _, err := s.parts.Get(ctx, store.KeySMTP)
	same := bytes.Equal(now.GetSealedSmtpPassword(), past.GetSealedSmtpPassword())
	if err != nil || now.GetSmtp().GetHost() != "one.example.com" || !same {
		t.Errorf("rolled back to %v, %v", now.GetSmtp(), err)
	}
}

func TestTheCredentialsOfARevokedApplianceAreNotRestored(t *testing.T) {
	s := start(t)
	ctx := testContext(t)
	if _, err := s.CreateAppliance(ctx, &outboundv1.CreateApplianceRequest{Appliance: &outboundv1.Appliance{Id: "appliance-1"}}); err != nil {
		t.Fatal(err)
	}
	key := store.PrefixAppliance + "appliance-1"
	past, _, err := s.parts.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteAppliance(ctx, &outboundv1.DeleteApplianceRequest{Id: "appliance-1"}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Restore(ctx, key, past, store.ChangeNote{Action: store.ActionRolledBack})
	wantCode(t, err, codes.FailedPrecondition)
}
