package rpc

import (
	"slices"

	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Rule defines who can call a method. The zero value allows nobody.
type Rule struct {
	// Open methods need no token.
	Open  bool
	Roles []Role
	// Services are those that may, of the callers with RoleService.
	Services []string
}

// Allows reports whether a role may.
func (r Rule) Allows(role Role) bool { return r.Open || slices.Contains(r.Roles, role) }

// Rules maps each full method name to its rule. Other methods can't be called.
//
// Viewers see everything but what holds sealed secrets; operators also manage recipients and deliveries; admins everything
// else. Services read, each what it needs. Appliances publish. Receivers pull what is theirs.
func Rules() map[string]Rule {
	all := roles()
	for method, services := range grants() {
		rule := all[method]
		rule.Services = services
		all[method] = rule
	}
	return all
}

// roles are the rules by roles alone.
func roles() map[string]Rule {
	open := Rule{Open: true}
	admin := Rule{Roles: []Role{RoleAdmin}}
	operate := Rule{Roles: []Role{RoleAdmin, RoleOperator}}
	view := Rule{Roles: []Role{RoleAdmin, RoleOperator, RoleViewer}}
	read := Rule{Roles: []Role{RoleAdmin, RoleOperator, RoleViewer, RoleService}}
	service := Rule{Roles: []Role{RoleService}}
	pull := Rule{Roles: []Role{RoleAdmin, RoleOperator, RoleReceiver}}
	publish := Rule{Roles: []Role{RoleAdmin, RoleAppliance}}
	return map[string]Rule{
		v1.RecipientService_ListRecipients_FullMethodName:      view,
		v1.RecipientService_GetRecipient_FullMethodName:        read,
		v1.RecipientService_CreateRecipient_FullMethodName:     operate,
		v1.RecipientService_UpdateRecipient_FullMethodName:     operate,
		v1.RecipientService_DeleteRecipient_FullMethodName:     operate,
		v1.RecipientService_TestRecipient_FullMethodName:       operate,
		v1.RecipientService_PreviewRecipient_FullMethodName:    view,
		v1.RecipientService_PurgeRecipient_FullMethodName:      operate,
		v1.RecipientService_RotateSigningSecret_FullMethodName: operate,
		v1.RecipientService_DoctorRecipient_FullMethodName:     operate,
		v1.RecipientService_TestFilter_FullMethodName:          view,
		v1.RecipientService_WatchRecipients_FullMethodName:     service,
		v1.RecipientService_RequestBookmark_FullMethodName:     service,

		v1.SettingsService_GetSmtpSettings_FullMethodName:     read,
		v1.SettingsService_UpdateSmtpSettings_FullMethodName:  admin,
		v1.SettingsService_SendTestEmail_FullMethodName:       admin,
		v1.SettingsService_GetEmailSettings_FullMethodName:    read,
		v1.SettingsService_UpdateEmailSettings_FullMethodName: admin,
		v1.SettingsService_ListCustomFields_FullMethodName:    view,
		v1.SettingsService_GetCustomField_FullMethodName:      read,
		v1.SettingsService_CreateCustomField_FullMethodName:   admin,
		v1.SettingsService_UpdateCustomField_FullMethodName:   admin,
		v1.SettingsService_DeleteCustomField_FullMethodName:   admin,
		v1.SettingsService_ListEventTypes_FullMethodName:      view,
		v1.SettingsService_GetEventType_FullMethodName:        read,
		v1.SettingsService_CreateEventType_FullMethodName:     admin,
		v1.SettingsService_UpdateEventType_FullMethodName:     admin,
		v1.SettingsService_DeleteEventType_FullMethodName:     admin,
		v1.SettingsService_ListMacros_FullMethodName:          view,
		v1.SettingsService_ListAppliances_FullMethodName:      view,
		v1.SettingsService_GetAppliance_FullMethodName:        read,
		v1.SettingsService_CreateAppliance_FullMethodName:     admin,
		v1.SettingsService_UpdateAppliance_FullMethodName:     admin,
		v1.SettingsService_RotateAppliance_FullMethodName:     admin,
		v1.SettingsService_DeleteAppliance_FullMethodName:     admin,
		v1.SettingsService_CheckChanges_FullMethodName:        view,
		v1.SettingsService_ListRevisions_FullMethodName:       view,
		v1.SettingsService_RollBack_FullMethodName:            admin,
		v1.SettingsService_WatchSettings_FullMethodName:       service,
		v1.SettingsService_KeepRelayToken_FullMethodName:      service,

		v1.AccessService_GetSelf_FullMethodName:          view,
		v1.AccessService_ChangePassword_FullMethodName:   view,
		v1.AccessService_ListUsers_FullMethodName:        {Roles: []Role{RoleAdmin, RoleService}},
		v1.AccessService_CreateUser_FullMethodName:       admin,
		v1.AccessService_UpdateUser_FullMethodName:       admin,
		v1.AccessService_DeleteUser_FullMethodName:       admin,
		v1.AccessService_ListTokens_FullMethodName:       admin,
		v1.AccessService_CreateToken_FullMethodName:      admin,
		v1.AccessService_DeleteToken_FullMethodName:      admin,
		v1.AccessService_SignIn_FullMethodName:           service,
		v1.AccessService_SignInWithOpenID_FullMethodName: service,

		v1.BackupService_DownloadBackup_FullMethodName: admin,

		v1.KeyService_ListKeys_FullMethodName:   admin,
		v1.KeyService_RotateKeys_FullMethodName: admin,

		v1.AuditService_ListAuditEntries_FullMethodName: admin,
		v1.AuditService_ExportAudit_FullMethodName:      admin,
		v1.AuditService_RecordSession_FullMethodName:    service,

		v1.EventService_PublishEvent_FullMethodName: publish,
		v1.EventService_ListEvents_FullMethodName:   view,
		v1.EventService_GetEvent_FullMethodName:     read,

		v1.DeliveryService_ListDeliveries_FullMethodName:        view,
		v1.DeliveryService_GetDelivery_FullMethodName:           view,
		v1.DeliveryService_TailDeliveries_FullMethodName:        view,
		v1.DeliveryService_ProveDelivery_FullMethodName:         view,
		v1.DeliveryService_VerifyDeliveries_FullMethodName:      view,
		v1.DeliveryService_GetCheckpointKey_FullMethodName:      view,
		v1.DeliveryService_PullDeliveries_FullMethodName:        pull,
		v1.DeliveryService_AcknowledgeDeliveries_FullMethodName: pull,
		v1.DeliveryService_RetryDeliveries_FullMethodName:       operate,
		v1.DeliveryService_SendNow_FullMethodName:               operate,
		v1.DeliveryService_ProbeRecipient_FullMethodName:        operate,
		v1.DeliveryService_ExtendDeliveries_FullMethodName:      operate,
		v1.DeliveryService_CancelDeliveries_FullMethodName:      operate,
		v1.DeliveryService_PreviewReplay_FullMethodName:         view,
		v1.DeliveryService_CreateReplay_FullMethodName:          operate,
		v1.DeliveryService_ListReplays_FullMethodName:           view,
		v1.DeliveryService_GetReplay_FullMethodName:             view,
		v1.DeliveryService_CancelReplay_FullMethodName:          operate,

		v1.StatusService_GetStatus_FullMethodName:     read,
		v1.StatusService_WatchStatus_FullMethodName:   read,
		v1.StatusService_GetTimeSeries_FullMethodName: read,

		"/grpc.health.v1.Health/Check": open,
		"/grpc.health.v1.Health/Watch": open,
		"/grpc.health.v1.Health/List":  open,

		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      read,
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": read,
	}
}
