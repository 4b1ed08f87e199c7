package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// fault is why the server would refuse a step.
type fault struct {
	// Field in the spelling of the REST surface; empty if the whole is refused.
	Field       string `json:"field,omitempty"`
	Description string `json:"description"`

	code codes.Code
}

// showDryRun is a dry run: it shows what would be done and everything that is wrong with it.
func (p *application) showDryRun(ctx context.Context, c *client, steps []*step, misshapen []error) error {
	var much *tooMuch
	if err := check(ctx, c, steps); errors.As(err, &much) {
		return fmt.Errorf("%w: use fewer files for a dry run", err)
	} else if err != nil {
		return err
	}
	err := p.carryOut(ctx, steps)
	if wrong := faulty(steps, misshapen); wrong != nil {
		return wrong
	}
	return err
}

// mostChecked is how many changes the server checks at once, largestCheck how many bytes of JSON it takes for that.
const (
	mostChecked  = 5_000
	largestCheck = 4<<20 - 1<<10
)

// tooMuch says that there are more changes than the server checks at once. They depend on each other, so they are not checked in parts.
type tooMuch struct{ changes, bytes int }

func (e *tooMuch) Error() string {
	return fmt.Sprintf("%d changes of %.1f MiB are too many to validate at once: the limit is %d changes of %d MiB",
		e.changes, float64(e.bytes)/(1<<20), mostChecked, 4)
}

// check asks the server about all that would be done, and notes its refusals in the steps.
func check(ctx context.Context, c *client, steps []*step) error {
	q, asked := &outboundv1.CheckChangesRequest{}, []*step{}
	for _, s := range steps {
		for _, field := range s.Missing {
			s.Faults = append(s.Faults, fault{Field: field, Description: "is neither in the file nor stored: add it as ${file:PATH} or ${env:NAME}", code: codes.InvalidArgument})
		}
		if s.planned != nil {
			q.Changes, asked = append(q.Changes, s.planned), append(asked, s)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	if body, err := protojson.Marshal(q); err != nil || len(asked) > mostChecked || len(body) > largestCheck {
		return &tooMuch{changes: len(asked), bytes: len(body)}
	}
	out := &outboundv1.CheckChangesResponse{}
	if err := c.call(ctx, http.MethodPost, "/v1/changes:check", q, out); err != nil {
		return fmt.Errorf("validate the changes: %w", err)
	}
	if len(out.GetResults()) != len(asked) {
		return fmt.Errorf("validate the changes: the server returned %d results for %d changes", len(out.GetResults()), len(asked))
	}
	for i, s := range asked {
		s.note(out.GetResults()[i])
	}
	return nil
}

// note stores why a step would be refused. A missing field is reported once.
func (s *step) note(x *outboundv1.CheckedChange) {
	code := codes.Code(max(x.GetCode(), 0)) //nolint:gosec // a status code is small
	switch {
	case code == codes.OK:
	case code != codes.InvalidArgument || len(x.GetFaults()) == 0:
		s.Faults = append(s.Faults, fault{Description: x.GetMessage(), code: code})
	default:
		for _, f := range x.GetFaults() {
			if !slices.Contains(s.Missing, f.GetField()) {
				s.Faults = append(s.Faults, fault{Field: f.GetField(), Description: f.GetDescription(), code: code})
			}
		}
	}
}

// faultyError lists all errors in declarations, one per line.
type faultyError struct {
	lines []string
	exit  int
}

// faulty is the error of steps that would be refused and of what is no resource; nil if there is neither.
func faulty(steps []*step, misshapen []error) error {
	e, refused, conflicts := &faultyError{exit: ExitUsage}, 0, 0
	for _, err := range misshapen {
		e.lines = append(e.lines, err.Error())
	}
	for _, s := range steps {
		for _, f := range s.Faults {
			line := fmt.Sprintf("%s (%s): %s", s.where, s.Resource, f.Description)
			if f.Field != "" {
				line = fmt.Sprintf("%s (%s), %s: %s", s.where, s.Resource, f.Field, f.Description)
			}
			e.lines = append(e.lines, line)
			refused++
			if f.code == codes.AlreadyExists || f.code == codes.Aborted {
				conflicts++
			}
		}
	}
	switch {
	case len(e.lines) == 0:
		return nil
	case len(misshapen) == 1 && refused == 0:
		return misshapen[0]
	case refused > 0 && conflicts == len(e.lines):
		e.exit = ExitConflict
	case refused > 0:
		e.exit = ExitFailed
	}
	return e
}

// Error is the first line; those of the faults follow it.
func (e *faultyError) Error() string {
	if len(e.lines) == 1 {
		return "1 field is not valid, and nothing was changed:"
	}
	return fmt.Sprintf("%d fields are not valid, and nothing was changed:", len(e.lines))
}

// ExitCode is that of wrong usage if the server was not needed to see it.
func (e *faultyError) ExitCode() int { return e.exit }

// plannedCreation is the call that creates a resource, for the server to be asked about.
func plannedCreation(want proto.Message) *outboundv1.PlannedChange {
	switch r := want.(type) {
	case *outboundv1.EventType:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_CreateEventType{CreateEventType: &outboundv1.CreateEventTypeRequest{EventType: r}}}
	case *outboundv1.CustomField:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_CreateCustomField{CreateCustomField: &outboundv1.CreateCustomFieldRequest{CustomField: r}}}
	case *outboundv1.Appliance:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_CreateAppliance{CreateAppliance: &outboundv1.CreateApplianceRequest{Appliance: r}}}
	case *outboundv1.Recipient:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_CreateRecipient{CreateRecipient: &outboundv1.CreateRecipientRequest{Recipient: r}}}
	default:
		return &outboundv1.PlannedChange{}
	}
}

// plannedUpdate is the call that changes the fields of a mask. The id is that of what is there: a file may name it in another way.
func plannedUpdate(want proto.Message, id string, paths []string) *outboundv1.PlannedChange {
	mask := &fieldmaskpb.FieldMask{Paths: paths}
	switch r := proto.Clone(want).(type) {
	case *outboundv1.EventType:
		r.Id = id
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateEventType{UpdateEventType: &outboundv1.UpdateEventTypeRequest{EventType: r, UpdateMask: mask}}}
	case *outboundv1.CustomField:
		r.CodeName = id
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateCustomField{UpdateCustomField: &outboundv1.UpdateCustomFieldRequest{CustomField: r, UpdateMask: mask}}}
	case *outboundv1.SmtpSettings:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateSmtpSettings{UpdateSmtpSettings: &outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: r, UpdateMask: mask}}}
	case *outboundv1.EmailSettings:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateEmailSettings{UpdateEmailSettings: &outboundv1.UpdateEmailSettingsRequest{EmailSettings: r, UpdateMask: mask}}}
	case *outboundv1.Appliance:
		r.Id = id
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateAppliance{UpdateAppliance: &outboundv1.UpdateApplianceRequest{Appliance: r, UpdateMask: mask}}}
	case *outboundv1.Recipient:
		r.Id = id
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_UpdateRecipient{UpdateRecipient: &outboundv1.UpdateRecipientRequest{Recipient: r, UpdateMask: mask}}}
	default:
		return &outboundv1.PlannedChange{}
	}
}

// plannedDeletion is the call that deletes what was looked at.
func plannedDeletion(kind string, l leftover) *outboundv1.PlannedChange {
	switch kind {
	case kindEventType:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_DeleteEventType{DeleteEventType: &outboundv1.DeleteEventTypeRequest{Id: l.id, Etag: l.etag}}}
	case kindCustomField:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_DeleteCustomField{DeleteCustomField: &outboundv1.DeleteCustomFieldRequest{CodeName: l.id, Etag: l.etag}}}
	case kindAppliance:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_DeleteAppliance{DeleteAppliance: &outboundv1.DeleteApplianceRequest{Id: l.id, Etag: l.etag}}}
	default:
		return &outboundv1.PlannedChange{Call: &outboundv1.PlannedChange_DeleteRecipient{DeleteRecipient: &outboundv1.DeleteRecipientRequest{Id: l.id, Etag: l.etag}}}
	}
}
