package config

import (
	"context"
	"errors"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// HandlerValidates names the methods that hold their requests against the rules themselves, so that they answer the faults
// which the rules find together with those that only they know. Servers give it to rpc.ServerOptions.
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

// violations collects what is wrong with a request, field by field. Fields are in the spelling of the JSON body.
type violations struct {
	list []rpc.Violation
}

// add notes a fault. A field has one: the first found is the nearest to the cause.
func (v *violations) add(field, reason, description string) {
	for _, f := range v.list {
		if f.Field == field {
			return
		}
	}
	v.list = append(v.list, rpc.Violation{Field: field, Reason: reason, Description: description})
}

// check notes err, if there is one, as the fault of a field.
func (v *violations) check(field string, err error) {
	if err != nil {
		v.add(field, reasonInvalid, err.Error())
	}
}

// The reasons of violations beyond those of the rules.
const (
	reasonInvalid     = "INVALID"
	reasonMissing     = "MISSING"
	reasonDuplicate   = "DUPLICATE"
	reasonReserved    = "RESERVED_NAME"
	reasonUnknownType = "UNKNOWN_TYPE"
	reasonNotByEmail  = "NOT_BY_EMAIL"
	reasonImmutable   = "IMMUTABLE"
	reasonUnsupported = "UNSUPPORTED"
	reasonUnknownMask = "UNKNOWN_FIELD"
)

// err is INVALID_ARGUMENT with all that was collected, or nil.
func (v *violations) err() error {
	if len(v.list) == 0 {
		return nil
	}
	return rpc.InvalidArgument(v.list...)
}

// rules notes what the validation rules of the contract find in a message. root stands for the message itself.
func (s *Service) rules(v *violations, m proto.Message, root string) error {
	found, err := s.validator.Check(m, "")
	if err != nil {
		return err
	}
	for _, f := range found {
		if f.Field == "" {
			f.Field = root
		}
		v.add(f.Field, f.Reason, f.Description)
	}
	return nil
}

// failed makes an answer of an error of ours or of the broker's. An answer stays what it is; the end of the caller's time is
// told by pkg/rpc.
func failed(ctx context.Context, err error) error {
	var is interface{ GRPCStatus() *status.Status }
	if err == nil || errors.As(err, &is) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return rpc.Unavailable(err.Error() + ": try again in a moment")
}
