package config

import (
	"context"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/revisions"
	"github.com/outbound-events/outbound/services/config/internal/settings"
	"github.com/outbound-events/outbound/services/config/internal/watch"
)

// unimplementedSettings are the methods that nothing implements. They are embedded deeper than those of the parts of settings.Settings, so
// that those are the ones that are promoted.
type unimplementedSettings struct {
	wrappedSettings
}

type wrappedSettings struct {
	outboundv1.UnimplementedSettingsServiceServer
}

// settingsServer is SettingsService. What it embeds implements the methods; its own methods are those with validate_only, and CheckChanges.
type settingsServer struct {
	unimplementedSettings
	*settings.Settings
	*revisions.Revisions
	*watch.SettingsFeed
	service *Service
}

// UpdateSmtpSettings implements outboundv1.SettingsServiceServer.
func (s settingsServer) UpdateSmtpSettings(
	ctx context.Context, q *outboundv1.UpdateSmtpSettingsRequest,
) (*outboundv1.SmtpSettings, error) {
	if !q.GetValidateOnly() {
		return s.service.live.UpdateSmtpSettings(ctx, q)
	}
	return validateOnly(ctx, s.service, func(r *resources) (*outboundv1.SmtpSettings, error) { return r.UpdateSmtpSettings(ctx, q) })
}

// UpdateEmailSettings implements outboundv1.SettingsServiceServer.
func (s settingsServer) UpdateEmailSettings(
	ctx context.Context, q *outboundv1.UpdateEmailSettingsRequest,
) (*outboundv1.EmailSettings, error) {
	if !q.GetValidateOnly() {
		return s.service.live.UpdateEmailSettings(ctx, q)
	}
	return validateOnly(ctx, s.service, func(r *resources) (*outboundv1.EmailSettings, error) { return r.UpdateEmailSettings(ctx, q) })
}

// CreateAppliance implements outboundv1.SettingsServiceServer.
func (s settingsServer) CreateAppliance(
	ctx context.Context, q *outboundv1.CreateApplianceRequest,
) (*outboundv1.ApplianceCredentials, error) {
	if !q.GetValidateOnly() {
		return s.service.live.CreateAppliance(ctx, q)
	}
	return validateOnly(ctx, s.service, func(r *resources) (*outboundv1.ApplianceCredentials, error) { return r.CreateAppliance(ctx, q) })
}

// UpdateAppliance implements outboundv1.SettingsServiceServer.
func (s settingsServer) UpdateAppliance(
	ctx context.Context, q *outboundv1.UpdateApplianceRequest,
) (*outboundv1.Appliance, error) {
	if !q.GetValidateOnly() {
		return s.service.live.UpdateAppliance(ctx, q)
	}
	return validateOnly(ctx, s.service, func(r *resources) (*outboundv1.Appliance, error) { return r.UpdateAppliance(ctx, q) })
}

// CreateEventType implements outboundv1.SettingsServiceServer.
func (s settingsServer) CreateEventType(
	ctx context.Context, q *outboundv1.CreateEventTypeRequest,
) (*outboundv1.EventType, error) {
	if !q.GetValidateOnly() {
		return s.service.live.CreateEventType(ctx, q)
	}
	return validateOnly(ctx, s.service, func(r *resources) (*outboundv1.EventType, error) { return r.CreateEventType(ctx, q) })
}

// UpdateEventType implements outboundv1.SettingsServiceServer.
func (s settingsServer) UpdateEventType(
	ctx context.Context, q *outboundv1.UpdateEventTypeRequest,
) (*outboundv1.EventType, error) {
	if !q.GetValidateOnly() {
		return s.service.live.UpdateEventType(ctx, q)
	}
	return validateOnly(ctx, s.service, func(r *resources) (*outboundv1.EventType, error) { return r.UpdateEventType(ctx, q) })
}

// CreateCustomField implements outboundv1.SettingsServiceServer.
func (s settingsServer) CreateCustomField(
	ctx context.Context, q *outboundv1.CreateCustomFieldRequest,
) (*outboundv1.CustomField, error) {
	if !q.GetValidateOnly() {
		return s.service.live.CreateCustomField(ctx, q)
	}
	return validateOnly(ctx, s.service, func(r *resources) (*outboundv1.CustomField, error) { return r.CreateCustomField(ctx, q) })
}

// UpdateCustomField implements outboundv1.SettingsServiceServer.
func (s settingsServer) UpdateCustomField(
	ctx context.Context, q *outboundv1.UpdateCustomFieldRequest,
) (*outboundv1.CustomField, error) {
	if !q.GetValidateOnly() {
		return s.service.live.UpdateCustomField(ctx, q)
	}
	return validateOnly(ctx, s.service, func(r *resources) (*outboundv1.CustomField, error) { return r.UpdateCustomField(ctx, q) })
}
