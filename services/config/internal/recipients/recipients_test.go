package recipients_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/filter"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/recipients"
	"github.com/outbound-events/outbound/services/config/internal/settings"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// empty is a store without keys, to copy from.
type empty struct{ store.Store }

func (empty) List(context.Context, string) ([]bus.Entry, error) { return nil, nil }

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := waittest.Context(context.Background())
	t.Cleanup(cancel)
	return ctx
}

func memory(t *testing.T) *store.Memory {
	t.Helper()
	m, err := store.NewMemory(testContext(t), empty{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// start returns the recipients in memory, and the store.
func start(t *testing.T) (*recipients.Recipients, *store.Recipients) {
	t.Helper()
	rules, err := rpc.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	filters, err := filter.NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := secret.LoadOrCreateKey(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	m := memory(t)
	stored := store.NewRecipients(m)
	all := settings.New(settings.Deps{Parts: store.NewParts(memory(t)), Recipients: stored, Rules: rules, Sealer: sealer,
		Now: time.Now})
	return recipients.New(recipients.Deps{
		Stored: stored, Names: store.NewNames(m, time.Hour, time.Now), Consumers: recipients.NoConsumers{}, Prechecker: recipients.NoPrecheck{},
		Now:     time.Now,
		Checker: recipients.NewChecker(recipient.HTTPSOnly, rules, filters, all), Sealer: sealer, Bus: bustest.Start(t).Conn(),
	}), stored
}

func desk() *outboundv1.Recipient {
	return &outboundv1.Recipient{
		DisplayName: "Ticket desk", EventTypes: []string{"support_conference_end"},
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{
			Url: "https://desk.example.com/hook", Auth: &outboundv1.HttpAuth{
				Kind: &outboundv1.HttpAuth_Bearer{Bearer: &outboundv1.BearerAuth{Token: "secret"}},
			},
		}},
	}
}

func create(t *testing.T, s *recipients.Recipients, r *outboundv1.Recipient) *outboundv1.Recipient {
	t.Helper()
	out, err := s.CreateRecipient(testContext(t), &outboundv1.CreateRecipientRequest{Recipient: r})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("answered %v, want %s", err, want)
	}
}

func TestARecipientGetsAnIDAndKeepsItsSecretSealed(t *testing.T) {
	s, stored := start(t)
	made := create(t, s, desk())
	auth := made.GetHttp().GetAuth().GetBearer()
	if made.GetId() != "ticket-desk" || auth.GetToken() != "" || !auth.GetTokenSet() {
		t.Errorf("created %v", made)
	}
	r, err := stored.Get(testContext(t), "ticket-desk")
	if err != nil || len(r.GetSealedSecrets()[credential.SecretBearerToken]) == 0 {
		t.Errorf("stored %v, %v", r, err)
	}
	_, err = s.CreateRecipient(testContext(t), &outboundv1.CreateRecipientRequest{Recipient: desk()})
	wantCode(t, err, codes.AlreadyExists)
	other := desk()
	other.DisplayName = "Ticket-desk"
	if again := create(t, s, other); again.GetId() != "ticket-desk-2" {
		t.Errorf("the second id is %s", again.GetId())
	}
}

func TestAllFaultsAreAnsweredTogether(t *testing.T) {
	s, _ := start(t)
	r := desk()
	r.DisplayName, r.EventTypes, r.Filter = " ", []string{"nothing"}, "("
	r.GetHttp().Url = "http://desk.example.com"
	_, err := s.CreateRecipient(testContext(t), &outboundv1.CreateRecipientRequest{Recipient: r})
	var fields []string
	for _, v := range rpc.ViolationsOf(err) {
		fields = append(fields, v.Field)
	}
	slices.Sort(fields)
	if want := []string{"displayName", "eventTypes[0]", "filter", "http.url"}; !slices.Equal(fields, want) {
		t.Errorf("found %q, want %q: %v", fields, want, err)
	}
}

func TestAChangeThatChangesNothingMakesNoRevision(t *testing.T) {
	s, _ := start(t)
	made := create(t, s, desk())
	update := func(name, etag string) (*outboundv1.Recipient, error) {
		return s.UpdateRecipient(testContext(t), &outboundv1.UpdateRecipientRequest{
			Recipient:  &outboundv1.Recipient{Id: made.GetId(), DisplayName: name, Etag: etag},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
		})
	}
	if same, err := update("Ticket desk", ""); err != nil || same.GetEtag() != made.GetEtag() {
		t.Errorf("answered %v, %v", same, err)
	}
	if other, err := update("Help desk", made.GetEtag()); err != nil || other.GetEtag() == made.GetEtag() {
		t.Errorf("answered %v, %v", other, err)
	}
	_, err := update("Desk", made.GetEtag())
	wantCode(t, err, codes.Aborted)
	// The old name is free.
	create(t, s, desk())
}

func TestADeletedRecipientIsRestoredWithItsNumbers(t *testing.T) {
	s, stored := start(t)
	ctx := testContext(t)
	made := create(t, s, desk())
	past, err := stored.Get(ctx, made.GetId())
	if err != nil {
		t.Fatal(err)
	}
	to := recipients.Past{State: past, LastNumber: func(context.Context) (uint64, error) { return 7, nil }}
	if _, err := s.DeleteRecipient(ctx, &outboundv1.DeleteRecipientRequest{Id: made.GetId()}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Restore(ctx, to)
	wantCode(t, err, codes.FailedPrecondition)
	deleting, err := stored.Get(ctx, made.GetId())
	if err != nil || !deleting.Deleting() {
		t.Fatalf("deleted %v, %v", deleting, err)
	}
	if err := stored.Remove(ctx, deleting, store.ChangeNote{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Restore(ctx, to); err != nil {
		t.Fatal(err)
	}
	now, err := stored.Get(ctx, made.GetId())
	if err != nil || now.GetRevision() != 8 || len(now.GetSealedSecrets()[credential.SecretBearerToken]) == 0 {
		t.Errorf("restored %v, %v", now, err)
	}
}
