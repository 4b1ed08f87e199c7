package config

import (
	"context"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/recipients"
	"github.com/outbound-events/outbound/services/config/internal/watch"
)

// unimplementedRecipients are the methods that nothing implements. They are embedded deeper than the implementations, so
// that those are the ones that are promoted.
type unimplementedRecipients struct {
	outboundv1.UnimplementedRecipientServiceServer
}

// recipientServer is RecipientService. What it embeds implements the methods; its own methods are those with validate_only.
type recipientServer struct {
	unimplementedRecipients
	*recipients.Recipients
	*recipients.Tester
	*recipients.Previewer
	*watch.RecipientFeed
	service *Service
}

// CreateRecipient implements outboundv1.RecipientServiceServer.
func (s recipientServer) CreateRecipient(ctx context.Context, q *outboundv1.CreateRecipientRequest) (*outboundv1.Recipient, error) {
	if !q.GetValidateOnly() {
		return s.service.live.CreateRecipient(ctx, q)
	}
	return validateOnly(ctx, s.service, func(r *resources) (*outboundv1.Recipient, error) { return r.CreateRecipient(ctx, q) })
}

// UpdateRecipient implements outboundv1.RecipientServiceServer.
func (s recipientServer) UpdateRecipient(ctx context.Context, q *outboundv1.UpdateRecipientRequest) (*outboundv1.Recipient, error) {
	if !q.GetValidateOnly() {
		return s.service.live.UpdateRecipient(ctx, q)
	}
	return validateOnly(ctx, s.service, func(r *resources) (*outboundv1.Recipient, error) { return r.UpdateRecipient(ctx, q) })
}
