package declare

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// plannedCreation is the call that creates a resource, for the server to be asked about.
func plannedCreation(want proto.Message) *outboundv1.PlannedChange {
	switch r := want.(type) {
	case *outboundv1.EventType:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_CreateEventType{CreateEventType: &outboundv1.CreateEventTypeRequest{EventType: r}}}
	case *outboundv1.CustomField:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_CreateCustomField{CreateCustomField: &outboundv1.CreateCustomFieldRequest{CustomField: r}}}
	case *outboundv1.Appliance:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_CreateAppliance{CreateAppliance: &outboundv1.CreateApplianceRequest{Appliance: r}}}
	case *outboundv1.Recipient:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_CreateRecipient{CreateRecipient: &outboundv1.CreateRecipientRequest{Recipient: r}}}
	default:
		return &outboundv1.PlannedChange{}
	}
}

// plannedUpdate is the call that changes the fields of a mask. The id is that of what is there: a file may name it in another way.
func plannedUpdate(want proto.Message, id string, paths []string) *outboundv1.PlannedChange {
	mask := &fieldmaskpb.FieldMask{Paths: paths}
	switch r := proto.Clone(want).(type) {
	case *outboundv1.EventType:
		r.Id = id
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateEventType{UpdateEventType: &outboundv1.UpdateEventTypeRequest{EventType: r, UpdateMask: mask}}}
	case *outboundv1.CustomField:
		r.CodeName = id
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateCustomField{UpdateCustomField: &outboundv1.UpdateCustomFieldRequest{CustomField: r, UpdateMask: mask}}}
	case *outboundv1.SmtpSettings:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateSmtpSettings{UpdateSmtpSettings: &outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: r, UpdateMask: mask}}}
	case *outboundv1.EmailSettings:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateEmailSettings{UpdateEmailSettings: &outboundv1.UpdateEmailSettingsRequest{EmailSettings: r, UpdateMask: mask}}}
	case *outboundv1.Appliance:
		r.Id = id
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateAppliance{UpdateAppliance: &outboundv1.UpdateApplianceRequest{Appliance: r, UpdateMask: mask}}}
	case *outboundv1.Recipient:
		r.Id = id
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateRecipient{UpdateRecipient: &outboundv1.UpdateRecipientRequest{Recipient: r, UpdateMask: mask}}}
	default:
		return &outboundv1.PlannedChange{}
	}
}

// plannedDeletion is the call that deletes what was looked at.
func plannedDeletion(kind string, l leftover) *outboundv1.PlannedChange {
	switch kind {
	case kindEventType:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_DeleteEventType{DeleteEventType: &outboundv1.DeleteEventTypeRequest{Id: l.id, Etag: l.etag}}}
	case kindCustomField:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_DeleteCustomField{DeleteCustomField: &outboundv1.DeleteCustomFieldRequest{CodeName: l.id, Etag: l.etag}}}
	case kindAppliance:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_DeleteAppliance{DeleteAppliance: &outboundv1.DeleteApplianceRequest{Id: l.id, Etag: l.etag}}}
	default:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_DeleteRecipient{DeleteRecipient: &outboundv1.DeleteRecipientRequest{Id: l.id, Etag: l.etag}}}
	}
}
