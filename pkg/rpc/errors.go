package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc/quota"
)

// domain is the domain of every ErrorInfo of ours.
const domain = "outbound"

// Violation is one fault of a request.
type Violation struct {
	// Field is the path in JSON's spelling, e.g. recipient.http.retryInterval.
	Field string
	// Reason is the fault as a word, e.g. UNKNOWN_TYPE; may be empty.
	Reason string
	// Description says what is wrong and what to do.
	Description string
}

// InvalidArgument is the error of a request with these faults, all of which the caller gets as google.rpc.BadRequest.
func InvalidArgument(violations ...Violation) error {
	bad := &errdetails.BadRequest{}
	words := make([]string, 0, len(violations))
	for _, v := range violations {
		bad.FieldViolations = append(bad.FieldViolations,
			&errdetails.BadRequest_FieldViolation{Field: v.Field, Reason: v.Reason, Description: v.Description})
		words = append(words, strings.TrimPrefix(v.Field+": "+v.Description, ": "))
	}
	return withDetails(codes.InvalidArgument, strings.Join(words, "; "), bad)
}

// FromEvent turns the faults of an event into faults of a request.
func FromEvent(violations event.Violations) []Violation {
	out := make([]Violation, 0, len(violations))
	for _, v := range violations {
		out = append(out, Violation{Field: v.Field, Reason: v.Reason, Description: v.Description})
	}
	return out
}

// NotFound is the error of a call for something that does not exist, e.g. NotFound("recipient", "crm").
func NotFound(kind, id string) error {
	return NotFoundSaying(kind, id, fmt.Sprintf("%s %q does not exist", kind, id))
}

// NotFoundSaying is NotFound in words of its own.
func NotFoundSaying(kind, id, text string) error {
	return withDetails(codes.NotFound, text,
		&errdetails.ResourceInfo{ResourceType: kind, ResourceName: id, Description: "does not exist"})
}

// AlreadyExists is the error of a value that is taken. remedy says what to do.
func AlreadyExists(field, value, remedy string) error {
	text := fmt.Sprintf("%s %q is taken: %s", field, value, remedy)
	return withDetails(codes.AlreadyExists, text,
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Reason: "TAKEN", Description: text}}})
}

// Aborted is the error of a change to something that changed meanwhile: its etag is no longer what the caller saw.
func Aborted(kind, id string) error {
	return withDetails(codes.Aborted, fmt.Sprintf("%s %q was changed by someone else: read it again and repeat the change", kind, id),
		&errdetails.ErrorInfo{Reason: "STALE_ETAG", Domain: domain, Metadata: map[string]string{"resource": kind, "id": id}})
}

// FailedPrecondition is the error of a call that cannot be answered before something else is done. reason is one word.
func FailedPrecondition(reason, text string) error {
	return withDetails(codes.FailedPrecondition, text, &errdetails.ErrorInfo{Reason: reason, Domain: domain})
}

// TooLarge is the error of a request above a size limit. HTTP says 413.
func TooLarge(field, text string) error {
	return withDetails(codes.OutOfRange, text,
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Reason: event.ReasonTooLarge,
			Description: text}}})
}

// Full is the error of a call that is refused because there is no room, or not now. reason is one word.
func Full(reason, text string) error {
	return withDetails(codes.ResourceExhausted, text, &errdetails.ErrorInfo{Reason: reason, Domain: domain})
}

// Limited is the error of a call beyond a limit, with the time after which to try again. reason is one word. HTTP says 429 with
// Retry-After.
func Limited(reason, text string, wait time.Duration) error {
	return withDetails(codes.ResourceExhausted, text, &errdetails.ErrorInfo{Reason: reason, Domain: domain},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
}

// RetryAfter is the time after which an answered error says to try again, in whole seconds as HTTP has it (RFC 9110, 10.2.3); 0: it
// says none.
func RetryAfter(s *status.Status) time.Duration {
	for _, d := range s.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			return max(time.Second, (r.GetRetryDelay().AsDuration() + time.Second - 1).Truncate(time.Second))
		}
	}
	return 0
}

// Unavailable is the error of a call that can be repeated later.
func Unavailable(text string) error { return UnavailableFor("UNAVAILABLE", text) }

// UnavailableFor is Unavailable with a reason of one word, for callers that branch on it.
func UnavailableFor(reason, text string) error {
	return withDetails(codes.Unavailable, text, &errdetails.ErrorInfo{Reason: reason, Domain: domain})
}

// Unimplemented is the error of a method that is not in this release.
func Unimplemented(what string) error {
	return status.Errorf(codes.Unimplemented, "%s is not available in this version", what)
}

// withDetails makes a status with details, which cannot fail for the messages used here; if it did, they would be left out.
func withDetails(code codes.Code, text string, details ...protoadapt.MessageV1) error {
	s := status.New(code, text)
	if full, err := s.WithDetails(details...); err == nil {
		s = full
	}
	return s.Err()
}

// ViolationsOf lists the faults that an answered error holds, for clients.
func ViolationsOf(err error) []Violation {
	var out []Violation
	for _, d := range status.Convert(err).Details() {
		bad, ok := d.(*errdetails.BadRequest)
		if !ok {
			continue
		}
		for _, v := range bad.GetFieldViolations() {
			out = append(out, Violation{Field: v.GetField(), Reason: v.GetReason(), Description: v.GetDescription()})
		}
	}
	return out
}

// Row says which status an error of ours becomes.
type Row struct {
	Is   error
	Code codes.Code
	// Text the caller gets; empty: the error's own.
	Text string
}

// BrokerAway are the rows of errors that say that the broker does not answer now: while it is away or elects a leader, and while its
// store is opened again. The call can be repeated.
func BrokerAway(errs []error) []Row {
	rows := make([]Row, 0, len(errs))
	for _, err := range errs {
		rows = append(rows, Row{Is: err, Code: codes.Unavailable, Text: "the broker does not respond at the moment: try again"})
	}
	return rows
}

// toStatus is the one table from errors to statuses: what holds a status already, then the service's rows, then those that
// hold everywhere. known is false for an error that is in none; the caller then learns no more than that it is internal.
func toStatus(err error, rows []Row) (s *status.Status, known bool) {
	var violations event.Violations
	var ready interface {
		error
		GRPCStatus() *status.Status
	}
	if errors.As(err, &ready) {
		return ready.GRPCStatus(), true
	}
	var exceeded *quota.Exceeded
	if errors.As(err, &exceeded) {
		return status.Convert(Limited(exceeded.Reason, exceeded.Text, exceeded.Wait)), true
	}
	if errors.As(err, &violations) {
		return status.Convert(InvalidArgument(FromEvent(violations)...)), true
	}
	for _, r := range slices.Concat(rows, commonRows()) {
		if !errors.Is(err, r.Is) {
			continue
		}
		text := r.Text
		if text == "" {
			text = err.Error()
		}
		if r.Code == codes.Unavailable {
			return status.Convert(Unavailable(text)), true
		}
		return status.New(r.Code, text), true
	}
	return status.New(codes.Internal, "internal error: see the service's log"), false
}

func commonRows() []Row {
	return []Row{
		{Is: context.Canceled, Code: codes.Canceled, Text: "the call was cancelled"},
		{Is: context.DeadlineExceeded, Code: codes.DeadlineExceeded, Text: "the call exceeded its deadline"},
	}
}
