package config_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func TestOfManyCallsOneCreatesTheFirstAdmin(t *testing.T) {
	h := start(t)
	const calls = 16
	var made atomic.Int32
	var all sync.WaitGroup
	for i := range calls {
		all.Go(func() {
			_, err := h.access().CreateUser(h.ctx(), &outboundv1.CreateUserRequest{First: true,
				User: &outboundv1.User{Name: fmt.Sprintf("ada-%d", i), Role: outboundv1.Role_ADMIN, Password: password}})
			switch {
			case err == nil:
				made.Add(1)
			case status.Code(err) != codes.FailedPrecondition:
				t.Errorf("call %d: %v", i, err)
			}
		})
	}
	all.Wait()
	got, err := h.access().ListUsers(h.ctx(), &outboundv1.ListUsersRequest{})
	if err != nil || made.Load() != 1 || len(got.GetUsers()) != 1 {
		t.Errorf("%d of %d calls made %d users, %v", made.Load(), calls, len(got.GetUsers()), err)
	}
	revisions, err := h.settings.ListRevisions(h.ctx(), &outboundv1.ListRevisionsRequest{})
	if err != nil || len(revisions.GetRevisions()) != 1 {
		t.Errorf("revisions %v, %v", revisions.GetRevisions(), err)
	}
}

// TestNamesWithInvisibleCharactersAreRefused tries each kind of thing that has a name with each kind of character.
func TestNamesWithInvisibleCharactersAreRefused(t *testing.T) {
	h := start(t)
	create := map[string]func(name string) error{
		"user": func(name string) error {
			_, err := h.access().CreateUser(h.ctx(), &outboundv1.CreateUserRequest{User: &outboundv1.User{Name: "olga", DisplayName: name}})
			return err
		},
		"token": func(name string) error {
			_, err := h.access().CreateToken(h.ctx(), &outboundv1.CreateTokenRequest{Token: &outboundv1.Token{DisplayName: name}})
			return err
		},
		"recipient": func(name string) error {
			r := httpRecipient("pay")
			r.DisplayName = name
			_, err := h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: r})
			return err
		},
		"appliance": func(name string) error {
			_, err := h.settings.CreateAppliance(h.ctx(), &outboundv1.CreateApplianceRequest{
				Appliance: &outboundv1.Appliance{Id: "a1", DisplayName: name}})
			return err
		},
		"custom field": func(name string) error {
			_, err := h.settings.CreateCustomField(h.ctx(), &outboundv1.CreateCustomFieldRequest{
				CustomField: &outboundv1.CustomField{CodeName: "region", DisplayName: name}})
			return err
		},
		"event type": func(name string) error {
			_, err := h.settings.CreateEventType(h.ctx(), &outboundv1.CreateEventTypeRequest{
				EventType: &outboundv1.EventType{Id: "door_opened", DisplayName: name}})
			return err
		},
		"relay": func(name string) error {
			_, err := h.settings.UpdateSmtpSettings(h.ctx(), &outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: &outboundv1.SmtpSettings{
				Host: "relay.example.com", Port: 25, FromAddress: "a@example.com", FromName: name}})
			return err
		},
	}
	tried := 0
	for what, f := range create {
		for _, r := range []rune{0x00, 0x1F, 0x7F, 0x85, 0x9B, 0x061C, 0x200B, 0x200D, 0x200F, 0x202E, 0x2028, 0x2066, 0xFEFF, 0xE0041} {
			tried++
			err := f("pay" + string(r) + "roll")
			fields := rpc.ViolationsOf(err)
			if status.Code(err) != codes.InvalidArgument || len(fields) != 1 ||
				!strings.HasSuffix(fields[0].Field, "ame") || fields[0].Description == "" {
				t.Errorf("%s with %U: %v", what, r, err)
			}
		}
	}
	if tried != 7*14 {
		t.Errorf("tried %d", tried)
	}
}

func TestCommonPasswordsAreRefused(t *testing.T) {
	h := start(t)
	for _, p := range []string{"password1234", "Outbound2026!", "olga.petrova1", "qwertyuiop12", "123456789012"} {
		_, err := h.access().CreateUser(h.ctx(), &outboundv1.CreateUserRequest{
			User: &outboundv1.User{Name: "olga.petrova", DisplayName: "Olga", Password: p}})
		fields := rpc.ViolationsOf(err)
		if status.Code(err) != codes.InvalidArgument || len(fields) != 1 || fields[0].Field != "password" || fields[0].Reason != "GUESSABLE" ||
			strings.Contains(err.Error(), p) {
			t.Errorf("%q: %v", p, err)
		}
	}
	h.user(&outboundv1.User{Name: "olga.petrova", Password: password})
}
