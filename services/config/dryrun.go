package config

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// dryRun is a service that does all that this one does, on copies of the buckets: what it answers is what this one would
// answer, and nothing comes of it.
func (s *Service) dryRun(ctx context.Context) (*Service, error) {
	recipients, err := s.recipients.copied(ctx)
	if err != nil {
		return nil, failed(ctx, err)
	}
	settings, err := s.settings.copied(ctx)
	if err != nil {
		return nil, failed(ctx, err)
	}
	return &Service{
		o: s.o, policy: s.policy, bus: s.bus, publisher: s.publisher, sealer: s.sealer, log: s.log, validator: s.validator, guard: s.guard,
		resolver: s.resolver, filters: s.filters, passwords: s.passwords, recipients: recipients, settings: settings,
		turn: make(chan struct{}, 1), reconcileSoon: make(chan struct{}, 1), inDryRun: true,
	}, nil
}

// validateOnly answers a call with validate_only.
func validateOnly[A proto.Message](ctx context.Context, s *Service, call func(*Service) (A, error)) (A, error) {
	var none A
	r, err := s.dryRun(ctx)
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

// conceal takes out of an answer what holds only if the change is made: its etag, and secrets that were made for it.
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

// CheckChanges implements outboundv1.SettingsServiceServer. The changes are tried in a dry run, one after another. A fault of one does not keep
// the next from being looked at.
func (s settingsServer) CheckChanges(ctx context.Context, q *outboundv1.CheckChangesRequest) (*outboundv1.CheckChangesResponse, error) {
	r, err := s.dryRun(ctx)
	if err != nil {
		return nil, err
	}
	// Warnings are not told here, and many names would take long to look up.
	r.withoutPrecheck = true
	out := &outboundv1.CheckChangesResponse{}
	for _, c := range q.GetChanges() {
		checked, err := verdictOn(r.tryChange(ctx, c))
		if err != nil {
			return nil, err
		}
		out.Results = append(out.Results, checked)
	}
	return out, nil
}

// verdictOn tells what became of a change of a dry run. An error that says nothing of the change is returned.
func verdictOn(err error) (*outboundv1.CheckedChange, error) {
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
func (s *Service) tryChange(ctx context.Context, c *outboundv1.PlannedChange) error {
	recipients, settings := recipientServer{Service: s}, settingsServer{Service: s}
	var err error
	switch x := c.GetCall().(type) {
	case *outboundv1.PlannedChange_CreateRecipient:
		_, err = recipients.CreateRecipient(ctx, x.CreateRecipient)
	case *outboundv1.PlannedChange_UpdateRecipient:
		_, err = recipients.UpdateRecipient(ctx, x.UpdateRecipient)
	case *outboundv1.PlannedChange_DeleteRecipient:
		_, err = recipients.DeleteRecipient(ctx, x.DeleteRecipient)
	case *outboundv1.PlannedChange_UpdateSmtpSettings:
		_, err = settings.UpdateSmtpSettings(ctx, x.UpdateSmtpSettings)
	case *outboundv1.PlannedChange_UpdateEmailSettings:
		_, err = settings.UpdateEmailSettings(ctx, x.UpdateEmailSettings)
	case *outboundv1.PlannedChange_CreateAppliance:
		_, err = settings.CreateAppliance(ctx, x.CreateAppliance)
	case *outboundv1.PlannedChange_UpdateAppliance:
		_, err = settings.UpdateAppliance(ctx, x.UpdateAppliance)
	case *outboundv1.PlannedChange_DeleteAppliance:
		_, err = settings.DeleteAppliance(ctx, x.DeleteAppliance)
	default:
		return settings.tryText(ctx, c)
	}
	return err
}

// tryText is the same for types and custom fields.
func (s settingsServer) tryText(ctx context.Context, c *outboundv1.PlannedChange) error {
	var err error
	switch x := c.GetCall().(type) {
	case *outboundv1.PlannedChange_CreateEventType:
		_, err = s.CreateEventType(ctx, x.CreateEventType)
	case *outboundv1.PlannedChange_UpdateEventType:
		_, err = s.UpdateEventType(ctx, x.UpdateEventType)
	case *outboundv1.PlannedChange_DeleteEventType:
		_, err = s.DeleteEventType(ctx, x.DeleteEventType)
	case *outboundv1.PlannedChange_CreateCustomField:
		_, err = s.CreateCustomField(ctx, x.CreateCustomField)
	case *outboundv1.PlannedChange_UpdateCustomField:
		_, err = s.UpdateCustomField(ctx, x.UpdateCustomField)
	case *outboundv1.PlannedChange_DeleteCustomField:
		_, err = s.DeleteCustomField(ctx, x.DeleteCustomField)
	default:
		return rpc.InvalidArgument(rpc.Violation{Field: "call", Reason: reasonMissing, Description: "is empty: set the change"})
	}
	return err
}
