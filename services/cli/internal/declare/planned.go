package declare

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// plannedCreation is the call that creates a resource, for the check.
func plannedCreation(want proto.Message) *outboundv1.PlannedChange {
	switch r := want.(type) {
	case *outboundv1.EventType:
		q := &outboundv1.CreateEventTypeRequest{EventType: r}
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_CreateEventType{CreateEventType: q}}
	case *outboundv1.CustomField:
		q := &outboundv1.CreateCustomFieldRequest{CustomField: r}
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_CreateCustomField{CreateCustomField: q}}
	case *outboundv1.Appliance:
		q := &outboundv1.CreateApplianceRequest{Appliance: r}
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_CreateAppliance{CreateAppliance: q}}
	case *outboundv1.Recipient:
		q := &outboundv1.CreateRecipientRequest{Recipient: r}
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_CreateRecipient{CreateRecipient: q}}
	default:
		return &outboundv1.PlannedChange{}
	}
}

// plannedUpdate is the call that changes the fields of a mask. The id is that of the stored resource: a file may name it otherwise.
func plannedUpdate(want proto.Message, id string, paths []string) *outboundv1.PlannedChange {
	mask := &fieldmaskpb.FieldMask{Paths: paths}
	switch r := proto.Clone(want).(type) {
	case *outboundv1.EventType:
		r.Id = id
		q := &outboundv1.UpdateEventTypeRequest{EventType: r, UpdateMask: mask}
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateEventType{UpdateEventType: q}}
	case *outboundv1.CustomField:
		r.CodeName = id
		q := &outboundv1.UpdateCustomFieldRequest{CustomField: r, UpdateMask: mask}
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateCustomField{UpdateCustomField: q}}
	case *outboundv1.SmtpSettings:
		q := &outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: r, UpdateMask: mask}
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateSmtpSettings{UpdateSmtpSettings: q}}
	case *outboundv1.EmailSettings:
		q := &outboundv1.UpdateEmailSettingsRequest{EmailSettings: r, UpdateMask: mask}
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateEmailSettings{UpdateEmailSettings: q}}
	case *outboundv1.Appliance:
		r.Id = id
		q := &outboundv1.UpdateApplianceRequest{Appliance: r, UpdateMask: mask}
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateAppliance{UpdateAppliance: q}}
	case *outboundv1.Recipient:
		r.Id = id
		q := &outboundv1.UpdateRecipientRequest{Recipient: r, UpdateMask: mask}
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateRecipient{UpdateRecipient: q}}
	default:
		return &outboundv1.PlannedChange{}
	}
}

// plannedDeletion is the call that deletes a stored resource.
func plannedDeletion(kind string, l leftover) *outboundv1.PlannedChange {
	switch kind {
	case kindEventType:
		q := &outboundv1.DeleteEventTypeRequest{Id: l.id, Etag: l.etag}
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_DeleteEventType{DeleteEventType: q}}
	case kindCustomField:
		q := &outboundv1.DeleteCustomFieldRequest{CodeName: l.id, Etag: l.etag}
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_DeleteCustomField{DeleteCustomField: q}}
	case kindAppliance:
		q := &outboundv1.DeleteApplianceRequest{Id: l.id, Etag: l.etag}
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_DeleteAppliance{DeleteAppliance: q}}
	default:
		q := &outboundv1.DeleteRecipientRequest{Id: l.id, Etag: l.etag}
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_DeleteRecipient{DeleteRecipient: q}}
	}
}
