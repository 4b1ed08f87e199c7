package rpc

import (
	"slices"

	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// The services that call others: what Principal.Service says for RoleService.
const (
	ServiceConfig      = "config"
	ServiceIngest      = "ingest"
	ServiceHistory     = "history"
	ServiceHTTPSender  = "http-sender"
	ServiceEmailSender = "email-sender"
	// ServiceConsole signs people in and acts for them.
	ServiceConsole = "console"
	// ServiceShared is whoever holds the service token, where the console has a token or a certificate of its own.
	ServiceShared = "service token"
	// ServiceAny is whoever holds the service token where the console has neither a token nor a certificate of its own: it may do what any
	// service may, and act for users.
	ServiceAny = "any"
)

// ServiceNames are the services that have an identity, in the order of a table.
func ServiceNames() []string {
	return []string{ServiceConfig, ServiceIngest, ServiceHistory, ServiceHTTPSender, ServiceEmailSender, ServiceConsole}
}

// grants are the methods that services call, and which ones do. What is not here no service calls for itself.
func grants() map[string][]string {
	senders := []string{ServiceHTTPSender, ServiceEmailSender, ServiceShared}
	console := []string{ServiceConsole}
	return map[string][]string{
		v1.RecipientService_WatchRecipients_FullMethodName: append([]string{ServiceHistory}, senders...),
		v1.RecipientService_RequestBookmark_FullMethodName: senders,
		v1.SettingsService_WatchSettings_FullMethodName:    append([]string{ServiceIngest, ServiceHistory}, senders...),
		v1.SettingsService_KeepRelayToken_FullMethodName:   {ServiceEmailSender, ServiceShared},
		v1.AccessService_ListUsers_FullMethodName:          console,
		v1.AccessService_SignIn_FullMethodName:             console,
		v1.AccessService_SignInWithOpenID_FullMethodName:   console,
		v1.RecipientService_GetRecipient_FullMethodName:    {ServiceShared},
		v1.SettingsService_GetSmtpSettings_FullMethodName:  {ServiceShared},
		v1.SettingsService_GetEmailSettings_FullMethodName: {ServiceShared},
		v1.SettingsService_GetCustomField_FullMethodName:   {ServiceShared},
		v1.SettingsService_GetEventType_FullMethodName:     {ServiceShared},
		v1.SettingsService_GetAppliance_FullMethodName:     {ServiceShared},
		v1.EventService_GetEvent_FullMethodName:            {ServiceShared},
		v1.StatusService_GetStatus_FullMethodName:          {ServiceShared},
		v1.StatusService_WatchStatus_FullMethodName:        {ServiceShared},

		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      {ServiceShared},
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": {ServiceShared},
	}
}

// AllowsService reports whether a service may, as itself.
func (r Rule) AllowsService(name string) bool {
	return r.Open || slices.Contains(r.Roles, RoleService) && (name == ServiceAny || slices.Contains(r.Services, name))
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
	return p.Role == RoleService && (p.Service == ServiceConsole || p.Service == ServiceAny)
}

// called is how a caller is named in a refusal.
func (p Principal) called() string {
	if p.Role == RoleService && p.Service != ServiceAny {
		return "the service " + p.Service
	}
	return "the role " + p.Role.String()
}
