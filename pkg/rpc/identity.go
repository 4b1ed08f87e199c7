package rpc

import (
	"slices"

	"github.com/outbound-events/outbound/pkg/pki"
	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// grants are the methods that services call, and which ones do. What is not here no service calls for itself.
func grants() map[string][]string {
	senders := []string{pki.ServiceHTTPSender, pki.ServiceEmailSender, pki.ServiceShared}
	console := []string{pki.ServiceConsole}
	return map[string][]string{
		v1.RecipientService_WatchRecipients_FullMethodName: append([]string{pki.ServiceHistory}, senders...),
		v1.RecipientService_RequestBookmark_FullMethodName: senders,
		v1.SettingsService_WatchSettings_FullMethodName:    append([]string{pki.ServiceIngest, pki.ServiceHistory}, senders...),
		v1.SettingsService_KeepRelayToken_FullMethodName:   {pki.ServiceEmailSender, pki.ServiceShared},
		v1.AccessService_ListUsers_FullMethodName:          console,
		v1.AccessService_SignIn_FullMethodName:             console,
		v1.AccessService_SignInWithOpenID_FullMethodName:   console,
		v1.RecipientService_GetRecipient_FullMethodName:    {pki.ServiceShared},
		v1.SettingsService_GetSmtpSettings_FullMethodName:  {pki.ServiceShared},
		v1.SettingsService_GetEmailSettings_FullMethodName: {pki.ServiceShared},
		v1.SettingsService_GetCustomField_FullMethodName:   {pki.ServiceShared},
		v1.SettingsService_GetEventType_FullMethodName:     {pki.ServiceShared},
		v1.SettingsService_GetAppliance_FullMethodName:     {pki.ServiceShared},
		v1.EventService_GetEvent_FullMethodName:            {pki.ServiceShared},
		v1.StatusService_GetStatus_FullMethodName:          {pki.ServiceShared},
		v1.StatusService_WatchStatus_FullMethodName:        {pki.ServiceShared},
		v1.StatusService_GetTimeSeries_FullMethodName:      {pki.ServiceShared},

		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      {pki.ServiceShared},
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": {pki.ServiceShared},
	}
}

// AllowsService reports whether a service may, as itself.
func (r Rule) AllowsService(name string) bool {
	return r.Open || slices.Contains(r.Roles, RoleService) && (name == pki.ServiceAny || slices.Contains(r.Services, name))
}

// admits reports whether a caller may.
func (r Rule) admits(p Principal) bool {
	if p.Role == RoleService {
		return r.AllowsService(p.Service)
	}
	return r.Allows(p.Role)
}

// acts reports whether a caller may act for users.
func (p Principal) acts() bool {
	return p.Role == RoleService && (p.Service == pki.ServiceConsole || p.Service == pki.ServiceAny)
}

// called is how a caller is named in a refusal.
func (p Principal) called() string {
	if p.Role == RoleService && p.Service != pki.ServiceAny {
		return "the service " + p.Service
	}
	return "the role " + p.Role.String()
}
