package config_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// written is all that the buckets hold, by key.
func (h *fixture) written() map[string]uint64 {
	h.t.Helper()
	out := map[string]uint64{}
	for _, name := range []string{bus.BucketRecipients, bus.BucketSettings} {
		entries, err := h.bucket(name).All(h.ctx(), "")
		if err != nil {
			h.t.Fatal(err)
		}
		for _, e := range entries {
			out[name+"/"+e.Key] = e.Revision
		}
	}
	return out
}

func (h *fixture) wantWritten(want map[string]uint64) {
	h.t.Helper()
	got := h.written()
	if len(got) != len(want) {
		h.t.Errorf("%d keys are written, %d were", len(got), len(want))
	}
	for key, revision := range want {
		if got[key] != revision {
			h.t.Errorf("%s is at revision %d, was at %d", key, got[key], revision)
		}
	}
}

// seed makes one thing of each kind and returns the recipient.
func (h *fixture) seed() *outboundv1.Recipient {
	h.t.Helper()
	ctx := h.ctx()
	r := h.create(httpRecipient("CRM"))
	_, err := h.settings.CreateEventType(ctx,
		&outboundv1.CreateEventTypeRequest{EventType: &outboundv1.EventType{Id: "disk_full", DisplayName: "Disk full"}})
	if err == nil {
		_, err = h.settings.CreateCustomField(ctx,
			&outboundv1.CreateCustomFieldRequest{CustomField: &outboundv1.CustomField{CodeName: "region", DisplayName: "Region"}})
	}
	if err == nil {
		_, err = h.settings.CreateAppliance(ctx, &outboundv1.CreateApplianceRequest{Appliance: &outboundv1.Appliance{Id: "a-1"}})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func TestValidateOnlyAnswersAndChangesNothing(t *testing.T) {
	h := start(t)
	r := h.seed()
	before := h.written()
	signed := httpRecipient("Signed")
	signed.GetHttp().SigningSecrets = []*outboundv1.SigningSecret{{}}
	renamed, _ := proto.Clone(r).(*outboundv1.Recipient)
	renamed.DisplayName = "Renamed"
	for name, call := range map[string]func(context.Context) (proto.Message, error){
		"create recipient": func(ctx context.Context) (proto.Message, error) {
			return h.admin.CreateRecipient(ctx, &outboundv1.CreateRecipientRequest{Recipient: signed, ValidateOnly: true})
		},
		"update recipient": func(ctx context.Context) (proto.Message, error) {
			return h.admin.UpdateRecipient(ctx, &outboundv1.UpdateRecipientRequest{Recipient: renamed, UpdateMask: mask("display_name"),
				ValidateOnly: true})
		},
		"update smtp": func(ctx context.Context) (proto.Message, error) {
			return h.settings.UpdateSmtpSettings(ctx,
				&outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: &outboundv1.SmtpSettings{FromName: "X"}, UpdateMask: mask("from_name"),
					ValidateOnly: true})
		},
		"update email": func(ctx context.Context) (proto.Message, error) {
			return h.settings.UpdateEmailSettings(ctx,
				&outboundv1.UpdateEmailSettingsRequest{EmailSettings: &outboundv1.EmailSettings{TimeZone: "Europe/Vienna"},
					UpdateMask: mask("time_zone"), ValidateOnly: true})
		},
		"create custom field": func(ctx context.Context) (proto.Message, error) {
			return h.settings.CreateCustomField(ctx,
				&outboundv1.CreateCustomFieldRequest{CustomField: &outboundv1.CustomField{DisplayName: "Cost"}, ValidateOnly: true})
		},
		"update custom field": func(ctx context.Context) (proto.Message, error) {
			return h.settings.UpdateCustomField(ctx,
				&outboundv1.UpdateCustomFieldRequest{CustomField: &outboundv1.CustomField{CodeName: "region", DisplayName: "Area"}, ValidateOnly: true})
		},
		"create type": func(ctx context.Context) (proto.Message, error) {
			return h.settings.CreateEventType(ctx,
				&outboundv1.CreateEventTypeRequest{EventType: &outboundv1.EventType{Id: "disk_well", DisplayName: "Well"}, ValidateOnly: true})
		},
		"update type": func(ctx context.Context) (proto.Message, error) {
			return h.settings.UpdateEventType(ctx,
				&outboundv1.UpdateEventTypeRequest{EventType: &outboundv1.EventType{Id: "disk_full", DisplayName: "Full"}, ValidateOnly: true})
		},
		"create appliance": func(ctx context.Context) (proto.Message, error) {
			return h.settings.CreateAppliance(ctx,
				&outboundv1.CreateApplianceRequest{Appliance: &outboundv1.Appliance{Id: "a-2"}, ValidateOnly: true})
		},
		"update appliance": func(ctx context.Context) (proto.Message, error) {
			return h.settings.UpdateAppliance(ctx,
				&outboundv1.UpdateApplianceRequest{Appliance: &outboundv1.Appliance{Id: "a-1", DisplayName: "One"}, ValidateOnly: true})
		},
	} {
		out, err := call(h.ctx())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if x, ok := out.(interface{ GetEtag() string }); ok && x.GetEtag() != "" {
			t.Errorf("%s answers the etag %s of what is not there", name, x.GetEtag())
		}
		if x, ok := out.(*outboundv1.ApplianceCredentials); ok && (x.GetId() != "a-2" || x.GetPassword() != "" || x.GetToken() != "") {
			t.Errorf("%s answers credentials that nobody has: %v", name, x)
		}
		if x, ok := out.(*outboundv1.Recipient); ok && name == "create recipient" {
			if x.GetId() != "signed" || len(x.GetHttp().GetSigningSecrets()) != 1 || x.GetHttp().GetSigningSecrets()[0].GetSecret() != "" {
				t.Errorf("%s answers %v", name, x)
			}
		}
	}
	h.wantWritten(before)
	if _, err := control.New(h.bus).Backlog(h.ctx(), recipient.HTTP, "signed"); err == nil {
		t.Error("a queue was made for a recipient that is not there")
	}
}

func TestValidateOnlyRefusesWhatTheCallWouldRefuse(t *testing.T) {
	h := start(t)
	r := h.seed()
	before := h.written()
	bad := emailRecipient("Bad")
	bad.GetEmail().Addresses, bad.GetEmail().Subject = []string{"bad@@x"}, "%NOPE%"
	bad.EventTypes, bad.Filter = []string{"support_conference_end", "nope"}, "event.("
	_, err := h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: bad, ValidateOnly: true})
	wantFields(t, err, "email.addresses[0]", "email.subject", "eventTypes[1]", "filter")
	_, err = h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: httpRecipient("crm"), ValidateOnly: true})
	wantCode(t, err, codes.AlreadyExists)
	stale, _ := proto.Clone(r).(*outboundv1.Recipient)
	stale.Etag = "1"
	_, err = h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: stale, ValidateOnly: true})
	wantCode(t, err, codes.Aborted)
	h.wantWritten(before)
}

func TestChangesAreCheckedTogether(t *testing.T) {
	h := start(t)
	r := h.seed()
	before := h.written()
	mail := emailRecipient("Desk")
	mail.EventTypes, mail.GetEmail().Subject = []string{"backup_finished"}, "%SIZE% of %CUSTOM_COST%"
	same := emailRecipient("desk")
	nowhere := httpRecipient("Nowhere")
	nowhere.GetHttp().Url = "nonsense"
	create := func(r *outboundv1.Recipient) *outboundv1.PlannedChange {
		return &outboundv1.PlannedChange{
			Call: &outboundv1.PlannedChange_CreateRecipient{CreateRecipient: &outboundv1.CreateRecipientRequest{Recipient: r}},
		}
	}
	out, err := h.settings.CheckChanges(h.ctx(), &outboundv1.CheckChangesRequest{Changes: []*outboundv1.PlannedChange{
		{Call: &outboundv1.PlannedChange_CreateEventType{CreateEventType: &outboundv1.CreateEventTypeRequest{EventType: &outboundv1.EventType{
			Id: "backup_finished", DisplayName: "Backup finished", Email: true, Variables: []*outboundv1.Variable{{Name: "size", Example: "1"}}}}}},
		{Call: &outboundv1.PlannedChange_CreateCustomField{
			CreateCustomField: &outboundv1.CreateCustomFieldRequest{CustomField: &outboundv1.CustomField{CodeName: "cost", DisplayName: "Cost"}},
		}},
		create(mail), create(same), create(nowhere),
		{Call: &outboundv1.PlannedChange_DeleteEventType{DeleteEventType: &outboundv1.DeleteEventTypeRequest{Id: "backup_finished"}}},
		{Call: &outboundv1.PlannedChange_DeleteRecipient{DeleteRecipient: &outboundv1.DeleteRecipientRequest{Id: "desk"}}},
		{Call: &outboundv1.PlannedChange_DeleteEventType{DeleteEventType: &outboundv1.DeleteEventTypeRequest{Id: "backup_finished"}}},
		{Call: &outboundv1.PlannedChange_DeleteRecipient{DeleteRecipient: &outboundv1.DeleteRecipientRequest{Id: r.GetId(), Etag: "1"}}},
		{Call: &outboundv1.PlannedChange_UpdateAppliance{
			UpdateAppliance: &outboundv1.UpdateApplianceRequest{Appliance: &outboundv1.Appliance{Id: "none"}},
		}},
		{},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []codes.Code{codes.OK, codes.OK, codes.OK, codes.AlreadyExists, codes.InvalidArgument, codes.FailedPrecondition, codes.OK,
		codes.OK, codes.Aborted, codes.NotFound, codes.InvalidArgument}
	if len(out.GetResults()) != len(want) {
		t.Fatalf("%d results for %d changes", len(out.GetResults()), len(want))
	}
	for i, x := range out.GetResults() {
		if codes.Code(x.GetCode()) != want[i] || (x.GetMessage() == "") != (want[i] == codes.OK) { //nolint:gosec // a status code is small
			t.Errorf("change %d: %v, want %s", i, x, want[i])
		}
	}
	if f := out.GetResults()[4].GetFaults(); len(f) != 1 || f[0].GetField() != "http.url" || f[0].GetDescription() == "" {
		t.Errorf("the fault of a URL is told as %v", f)
	}
	h.wantWritten(before)
}
