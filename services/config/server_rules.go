package config

import (
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// HandlerValidates names the methods that check their requests against the rules themselves, so that they answer the faults which the
// rules find together with those that only they know. Servers give it to rpc.ServerOptions.
func HandlerValidates() []string {
	return []string{
		outboundv1.RecipientService_CreateRecipient_FullMethodName,
		outboundv1.RecipientService_UpdateRecipient_FullMethodName,
		outboundv1.SettingsService_UpdateSmtpSettings_FullMethodName,
		outboundv1.SettingsService_UpdateEmailSettings_FullMethodName,
		outboundv1.SettingsService_CreateCustomField_FullMethodName,
		outboundv1.SettingsService_UpdateCustomField_FullMethodName,
		outboundv1.SettingsService_CreateEventType_FullMethodName,
		outboundv1.SettingsService_UpdateEventType_FullMethodName,
		outboundv1.SettingsService_CreateAppliance_FullMethodName,
		outboundv1.AccessService_CreateUser_FullMethodName,
		outboundv1.AccessService_CreateToken_FullMethodName,
	}
}
