package config

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/recipients"
	"github.com/outbound-events/outbound/services/config/internal/settings"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// stores are where recipients and settings are stored.
type stores struct{ recipients, settings store.Store }

// resources are the recipients and settings in one pair of stores.
type resources struct {
	*recipients.Recipients
	*settings.Settings
}

// newResources returns the recipients and settings in a pair of stores.
func (s *Service) newResources(in stores, c recipients.Consumers, p recipients.Prechecker) *resources {
	stored := store.NewRecipients(in.recipients)
	all := settings.New(settings.Deps{
		Parts: store.NewParts(in.settings), Recipients: stored, Rules: s.rules, Sealer: s.deps.Sealer, Bus: s.deps.Bus,
		Now: s.deps.Bus.Now,
	})
	return &resources{Settings: all, Recipients: recipients.New(recipients.Deps{
		Stored: stored, Names: store.NewNames(in.recipients, s.options.OrphanAge, s.deps.Bus.Now), Consumers: c, Prechecker: p,
		Checker: recipients.NewChecker(recipient.URLPolicy(s.options.URLPolicy), s.rules, s.filters, all), Sealer: s.deps.Sealer, Bus: s.deps.Bus,
		Now: s.deps.Bus.Now,
	})}
}

// dryRun returns the recipients and settings on copies of the buckets in memory, without consumers. They answer what the live ones would
// answer, and change nothing.
func (s *Service) dryRun(ctx context.Context, p recipients.Prechecker) (*resources, error) {
	r, err := store.NewMemory(ctx, s.recipientsKV, s.deps.Bus.Now)
	if err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	all, err := store.NewMemory(ctx, s.settingsKV, s.deps.Bus.Now)
	if err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	return s.newResources(stores{recipients: r, settings: all}, recipients.NoConsumers{}, p), nil
}

// validateOnly answers a call with validate_only.
func validateOnly[A proto.Message](ctx context.Context, s *Service, call func(*resources) (A, error)) (A, error) {
	var none A
	r, err := s.dryRun(ctx, s.prechecker())
	if err != nil {
		return none, err
	}
	out, err := call(r)
	if err != nil {
		return none, err
	}
	conceal(out.ProtoReflect())
	return out, nil
}

// conceal clears what holds only if the change is made: etags and generated secrets.
func conceal(m protoreflect.Message) {
	if key, ok := m.Interface().(*outboundv1.SigningSecret); ok && key.GetSecret() != "" {
		key.PublicKey = ""
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		options, _ := fd.Options().(*descriptorpb.FieldOptions)
		switch {
		case fd.Name() == "etag", options.GetDebugRedact():
			m.Clear(fd)
		case fd.Message() == nil || fd.IsMap():
		case fd.IsList():
			for i := range v.List().Len() {
				conceal(v.List().Get(i).Message())
			}
		default:
			conceal(v.Message())
		}
		return true
	})
}

// CheckChanges implements outboundv1.SettingsServiceServer. It makes the changes in a dry run, one after another, and goes on after a
// fault.
func (s settingsServer) CheckChanges(ctx context.Context, q *outboundv1.CheckChangesRequest) (*outboundv1.CheckChangesResponse, error) {
	// The answer has no warnings, and looking up many names would take long.
	r, err := s.service.dryRun(ctx, recipients.NoPrecheck{})
	if err != nil {
		return nil, err
	}
	out := &outboundv1.CheckChangesResponse{}
	for _, c := range q.GetChanges() {
		checked, err := checkResult(r.tryChange(ctx, c))
		if err != nil {
			return nil, err
		}
		out.Results = append(out.Results, checked)
	}
	return out, nil
}

// checkResult returns the result of a change in a dry run. It returns errors that say nothing about the change.
func checkResult(err error) (*outboundv1.CheckedChange, error) {
	s, ok := status.FromError(err)
	if !ok || s.Code() == codes.Unavailable || s.Code() == codes.Internal {
		return nil, err
	}
	out := &outboundv1.CheckedChange{Code: int32(s.Code()), Message: s.Message()} //nolint:gosec // a status code is small
	for _, v := range rpc.ViolationsOf(err) {
		out.Faults = append(out.Faults, &outboundv1.FieldFault{Field: v.Field, Reason: v.Reason, Description: v.Description})
	}
	return out, nil
}

// tryChange makes a planned change in a dry run.
func (r *resources) tryChange(ctx context.Context, c *outboundv1.PlannedChange) error {
	var err error
	switch x := c.GetCall().(type) {
	case *outboundv1.PlannedChange_CreateRecipient:
		_, err = r.CreateRecipient(ctx, x.CreateRecipient)
	case *outboundv1.PlannedChange_UpdateRecipient:
		_, err = r.UpdateRecipient(ctx, x.UpdateRecipient)
	case *outboundv1.PlannedChange_DeleteRecipient:
		_, err = r.DeleteRecipient(ctx, x.DeleteRecipient)
	case *outboundv1.PlannedChange_UpdateSmtpSettings:
		_, err = r.UpdateSmtpSettings(ctx, x.UpdateSmtpSettings)
	case *outboundv1.PlannedChange_UpdateEmailSettings:
		_, err = r.UpdateEmailSettings(ctx, x.UpdateEmailSettings)
	case *outboundv1.PlannedChange_CreateAppliance:
		_, err = r.CreateAppliance(ctx, x.CreateAppliance)
	case *outboundv1.PlannedChange_UpdateAppliance:
		_, err = r.UpdateAppliance(ctx, x.UpdateAppliance)
	case *outboundv1.PlannedChange_DeleteAppliance:
		_, err = r.DeleteAppliance(ctx, x.DeleteAppliance)
	default:
		return r.tryTypeOrField(ctx, c)
	}
	return err
}

// tryTypeOrField makes a planned change of event types and custom fields.
func (r *resources) tryTypeOrField(ctx context.Context, c *outboundv1.PlannedChange) error {
	var err error
	switch x := c.GetCall().(type) {
	case *outboundv1.PlannedChange_CreateEventType:
		_, err = r.CreateEventType(ctx, x.CreateEventType)
	case *outboundv1.PlannedChange_UpdateEventType:
		_, err = r.UpdateEventType(ctx, x.UpdateEventType)
	case *outboundv1.PlannedChange_DeleteEventType:
		_, err = r.DeleteEventType(ctx, x.DeleteEventType)
	case *outboundv1.PlannedChange_CreateCustomField:
		_, err = r.CreateCustomField(ctx, x.CreateCustomField)
	case *outboundv1.PlannedChange_UpdateCustomField:
		_, err = r.UpdateCustomField(ctx, x.UpdateCustomField)
	case *outboundv1.PlannedChange_DeleteCustomField:
		_, err = r.DeleteCustomField(ctx, x.DeleteCustomField)
	default:
		return rpc.InvalidArgument(rpc.Violation{Field: "call", Reason: validation.Missing, Description: "is empty: set the change"})
	}
	return err
}
