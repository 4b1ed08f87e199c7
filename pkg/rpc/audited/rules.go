package audited

import (
	"maps"

	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Rule says how calls of a method are written to the audit log.
type Rule struct {
	// Action is the word for it, e.g. recipient.update; empty: calls are not audited, unless they are denied.
	Action string
	// Object is what it is done to. Parts in braces are fields of the request, else of the response, of which the first one that is set
	// counts: recipients/{recipient.id|id}.
	Object string
	// Actor, in the same way, is who acts, where the caller is a service.
	Actor string
	// Request says that the request is kept: it holds no secrets.
	Request bool
	// GoesOn says that the call is made even if nothing can be audited now: it changes nothing.
	GoesOn bool
}

// Rules maps each full method name to its rule. A method that is not there is audited under its own name.
func Rules() map[string]Rule {
	out := configuration()
	maps.Copy(out, others())
	for _, reads := range notAudited() {
		out[reads] = Rule{}
	}
	return out
}

// configuration are the methods of recipients and settings.
func configuration() map[string]Rule {
	const (
		recipient = "recipients/{recipient.id|id}"
		field     = "custom-fields/{custom_field.code_name|code_name}"
		kind      = "event-types/{event_type.id|id}"
		appliance = "appliances/{appliance.id|id}"
	)
	return map[string]Rule{
		v1.RecipientService_CreateRecipient_FullMethodName:     {Action: "recipient.create", Object: recipient},
		v1.RecipientService_UpdateRecipient_FullMethodName:     {Action: "recipient.update", Object: recipient},
		v1.RecipientService_DeleteRecipient_FullMethodName:     {Action: "recipient.delete", Object: recipient},
		v1.RecipientService_PurgeRecipient_FullMethodName:      {Action: "recipient.purge", Object: recipient, Request: true},
		v1.RecipientService_RotateSigningSecret_FullMethodName: {Action: "recipient.rotate-secret", Object: recipient},
		v1.RecipientService_TestRecipient_FullMethodName:       {Action: "recipient.test", Object: recipient},
		v1.RecipientService_DoctorRecipient_FullMethodName:     {Action: "recipient.doctor", Object: recipient},

		v1.SettingsService_UpdateSmtpSettings_FullMethodName:  {Action: "smtp.update", Object: "settings/smtp"},
		v1.SettingsService_SendTestEmail_FullMethodName:       {Action: "smtp.test", Object: "settings/smtp"},
		v1.SettingsService_UpdateEmailSettings_FullMethodName: {Action: "email.update", Object: "settings/email"},
		v1.SettingsService_CreateCustomField_FullMethodName:   {Action: "custom-field.create", Object: field},
		v1.SettingsService_UpdateCustomField_FullMethodName:   {Action: "custom-field.update", Object: field},
		v1.SettingsService_DeleteCustomField_FullMethodName:   {Action: "custom-field.delete", Object: field},
		v1.SettingsService_CreateEventType_FullMethodName:     {Action: "event-type.create", Object: kind},
		v1.SettingsService_UpdateEventType_FullMethodName:     {Action: "event-type.update", Object: kind},
		v1.SettingsService_DeleteEventType_FullMethodName:     {Action: "event-type.delete", Object: kind},
		v1.SettingsService_CreateAppliance_FullMethodName:     {Action: "appliance.create", Object: appliance},
		v1.SettingsService_UpdateAppliance_FullMethodName:     {Action: "appliance.update", Object: appliance},
		v1.SettingsService_RotateAppliance_FullMethodName:     {Action: "appliance.rotate", Object: appliance},
		v1.SettingsService_DeleteAppliance_FullMethodName:     {Action: "appliance.delete", Object: appliance},
		v1.SettingsService_RollBack_FullMethodName:            {Action: "revision.roll-back", Object: "{resource}"},
	}
}

// others are those of users, sessions, deliveries, backups and of the log itself.
func others() map[string]Rule {
	const user = "users/{user.name|name}"
	return map[string]Rule{
		v1.AccessService_ChangePassword_FullMethodName: {Action: "user.change-password"},
		v1.AccessService_CreateUser_FullMethodName:     {Action: "user.create", Object: user},
		v1.AccessService_UpdateUser_FullMethodName:     {Action: "user.update", Object: user},
		v1.AccessService_DeleteUser_FullMethodName:     {Action: "user.delete", Object: user},
		v1.AccessService_CreateToken_FullMethodName:    {Action: "token.create", Object: "tokens/{token.id|id}"},
		v1.AccessService_DeleteToken_FullMethodName:    {Action: "token.delete", Object: "tokens/{id}"},
		v1.AccessService_SignIn_FullMethodName:         {Action: "session.sign-in", Object: "users/{name}", Actor: "{name}", GoesOn: true},
		v1.AccessService_SignInWithOpenID_FullMethodName: {Action: "session.sign-in-openid", Object: "users/{user.name|name}",
			Actor: "{user.name|name}"},

		v1.KeyService_RotateKeys_FullMethodName:        {Action: "keys.rotate", Object: "keys/{to}"},
		v1.BackupService_DownloadBackup_FullMethodName: {Action: "backup.download", Object: "backups", Request: true},

		v1.DeliveryService_RetryDeliveries_FullMethodName:  {Action: "delivery.retry", Request: true},
		v1.DeliveryService_SendNow_FullMethodName:          {Action: "delivery.send-now", Request: true},
		v1.DeliveryService_ProbeRecipient_FullMethodName:   {Action: "recipient.probe", Object: "recipients/{id}"},
		v1.DeliveryService_ExtendDeliveries_FullMethodName: {Action: "delivery.extend", Request: true},
		v1.DeliveryService_CancelDeliveries_FullMethodName: {Action: "delivery.cancel", Request: true},
		v1.DeliveryService_CreateReplay_FullMethodName:     {Action: "replay.create", Object: "replays/{id}", Request: true},
		v1.DeliveryService_CancelReplay_FullMethodName:     {Action: "replay.cancel", Object: "replays/{id}"},

		v1.AuditService_RecordSession_FullMethodName: {Action: "session", GoesOn: true},
		v1.AuditService_ExportAudit_FullMethodName:   {Action: "audit.export", Object: "audit", Request: true, GoesOn: true},
	}
}

// notAudited are the methods that change nothing, or that are recorded elsewhere: events, and what receivers acknowledge, in HISTORY.
func notAudited() []string {
	return []string{
		v1.RecipientService_ListRecipients_FullMethodName, v1.RecipientService_GetRecipient_FullMethodName,
		v1.RecipientService_PreviewRecipient_FullMethodName, v1.RecipientService_TestFilter_FullMethodName,
		v1.RecipientService_WatchRecipients_FullMethodName, v1.RecipientService_RequestBookmark_FullMethodName,
		v1.SettingsService_GetSmtpSettings_FullMethodName, v1.SettingsService_GetEmailSettings_FullMethodName,
		v1.SettingsService_ListCustomFields_FullMethodName, v1.SettingsService_GetCustomField_FullMethodName,
		v1.SettingsService_ListEventTypes_FullMethodName, v1.SettingsService_GetEventType_FullMethodName,
		v1.SettingsService_ListMacros_FullMethodName, v1.SettingsService_ListAppliances_FullMethodName,
		v1.SettingsService_GetAppliance_FullMethodName, v1.SettingsService_CheckChanges_FullMethodName,
		v1.SettingsService_ListRevisions_FullMethodName, v1.SettingsService_WatchSettings_FullMethodName,
		v1.SettingsService_KeepRelayToken_FullMethodName,
		v1.AccessService_GetSelf_FullMethodName, v1.AccessService_ListUsers_FullMethodName, v1.AccessService_ListTokens_FullMethodName,
		v1.EventService_PublishEvent_FullMethodName, v1.EventService_ListEvents_FullMethodName, v1.EventService_GetEvent_FullMethodName,
		v1.DeliveryService_ListDeliveries_FullMethodName, v1.DeliveryService_GetDelivery_FullMethodName,
		v1.DeliveryService_TailDeliveries_FullMethodName, v1.DeliveryService_PreviewReplay_FullMethodName,
		v1.DeliveryService_ListReplays_FullMethodName, v1.DeliveryService_GetReplay_FullMethodName,
		v1.DeliveryService_ProveDelivery_FullMethodName, v1.DeliveryService_VerifyDeliveries_FullMethodName,
		v1.DeliveryService_GetCheckpointKey_FullMethodName,
		v1.DeliveryService_PullDeliveries_FullMethodName, v1.DeliveryService_AcknowledgeDeliveries_FullMethodName,
		v1.StatusService_GetStatus_FullMethodName, v1.StatusService_WatchStatus_FullMethodName,
		v1.StatusService_GetTimeSeries_FullMethodName,
		v1.AuditService_ListAuditEntries_FullMethodName, v1.KeyService_ListKeys_FullMethodName,
		"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "/grpc.health.v1.Health/List",
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
	}
}
