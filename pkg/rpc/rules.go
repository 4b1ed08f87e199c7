package rpc

import (
	"slices"

	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Rule says who may call a method. The zero value: nobody.
type Rule struct {
	// Open methods need no token.
	Open  bool
	Roles []Role
}

// Allows reports whether a role may.
func (r Rule) Allows(role Role) bool { return r.Open || slices.Contains(r.Roles, role) }

// Rules is the whole of the authorisation: full method → who may. A method that is not in it may be called by nobody.
//
// People do everything but watch what is stored, which holds sealed secrets. Services read. Appliances publish.
func Rules() map[string]Rule {
	open := Rule{Open: true}
	admin := Rule{Roles: []Role{RoleAdmin}}
	read := Rule{Roles: []Role{RoleAdmin, RoleService}}
	service := Rule{Roles: []Role{RoleService}}
	publish := Rule{Roles: []Role{RoleAdmin, RoleAppliance}}
	return map[string]Rule{
		v1.RecipientService_ListRecipients_FullMethodName:  admin,
		v1.RecipientService_GetRecipient_FullMethodName:    read,
		v1.RecipientService_CreateRecipient_FullMethodName: admin,
		v1.RecipientService_UpdateRecipient_FullMethodName: admin,
		v1.RecipientService_DeleteRecipient_FullMethodName: admin,
		v1.RecipientService_TestRecipient_FullMethodName:   admin,
		v1.RecipientService_PurgeRecipient_FullMethodName:  admin,
		v1.RecipientService_DoctorRecipient_FullMethodName: admin,
		v1.RecipientService_TestFilter_FullMethodName:      admin,
		v1.RecipientService_WatchRecipients_FullMethodName: service,

		v1.SettingsService_GetSmtpSettings_FullMethodName:     read,
		v1.SettingsService_UpdateSmtpSettings_FullMethodName:  admin,
		v1.SettingsService_GetEmailSettings_FullMethodName:    read,
		v1.SettingsService_UpdateEmailSettings_FullMethodName: admin,
		v1.SettingsService_ListCustomFields_FullMethodName:    admin,
		v1.SettingsService_GetCustomField_FullMethodName:      read,
		v1.SettingsService_CreateCustomField_FullMethodName:   admin,
		v1.SettingsService_UpdateCustomField_FullMethodName:   admin,
		v1.SettingsService_DeleteCustomField_FullMethodName:   admin,
		v1.SettingsService_ListEventTypes_FullMethodName:      admin,
		v1.SettingsService_GetEventType_FullMethodName:        read,
		v1.SettingsService_CreateEventType_FullMethodName:     admin,
		v1.SettingsService_UpdateEventType_FullMethodName:     admin,
		v1.SettingsService_DeleteEventType_FullMethodName:     admin,
		v1.SettingsService_ListAppliances_FullMethodName:      admin,
		v1.SettingsService_GetAppliance_FullMethodName:        read,
		v1.SettingsService_CreateAppliance_FullMethodName:     admin,
		v1.SettingsService_RotateAppliance_FullMethodName:     admin,
		v1.SettingsService_DeleteAppliance_FullMethodName:     admin,
		v1.SettingsService_WatchSettings_FullMethodName:       service,

		v1.EventService_PublishEvent_FullMethodName: publish,
		v1.EventService_ListEvents_FullMethodName:   admin,
		v1.EventService_GetEvent_FullMethodName:     read,

		v1.DeliveryService_ListDeliveries_FullMethodName:  admin,
		v1.DeliveryService_RetryDeliveries_FullMethodName: admin,

		v1.StatusService_GetStatus_FullMethodName:   read,
		v1.StatusService_WatchStatus_FullMethodName: read,

		"/grpc.health.v1.Health/Check": open,
		"/grpc.health.v1.Health/Watch": open,
		"/grpc.health.v1.Health/List":  open,

		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      read,
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": read,
	}
}
