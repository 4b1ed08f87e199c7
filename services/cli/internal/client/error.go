package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// ExitCode has its own codes for not found and conflict.
func (e *APIError) ExitCode() int {
	switch e.code {
	case codes.NotFound:
		return exit.CodeNotFound
	case codes.AlreadyExists, codes.Aborted:
		return exit.CodeConflict
	default:
		return exit.CodeFailed
	}
}

// Violation is a fault in one field of a request.
type Violation struct {
	Field       string `json:"field"`
	Reason      string `json:"reason"`
	Description string `json:"description"`
}

// APIError is a refusal of the server: a google.rpc.Status.
type APIError struct {
	code       codes.Code
	message    string
	violations []Violation
}

// Error is the server's message, or the line above the faults of fields.
func (e *APIError) Error() string {
	switch n := len(e.violations); {
	case e.code != codes.InvalidArgument || n == 0:
		return e.message
	case n == 1:
		return "1 field is not valid:"
	default:
		return fmt.Sprintf("%d fields are not valid:", n)
	}
}

func unreachable(base string, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	var untrusted *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &untrusted):
		return fmt.Errorf("reach %s: %w: name its authority with --ca-file or --ca-fingerprint, or use --data DIR on the server's host", base,
			err)
	case errors.As(err, &plain), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("reach %s: %w: it does not speak TLS: use http:// in --url or OUTBOUND_URL", base, err)
	}
	return fmt.Errorf("reach %s: %w: check that Outbound runs there, or set the address with --url, --data or OUTBOUND_URL", base, err)
}

// refusal reads a google.rpc.Status as far as the body is one.
func refusal(httpStatus int, body []byte) error {
	var status struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Details []struct {
			FieldViolations []Violation `json:"fieldViolations"`
		} `json:"details"`
	}
	if httpStatus == http.StatusBadRequest && strings.Contains(string(body), "HTTP request to an HTTPS server") {
		return &APIError{code: codes.Unavailable, message: "the server speaks TLS: use https:// in --url or OUTBOUND_URL"}
	}
	if err := json.Unmarshal(body, &status); err != nil || status.Message == "" {
		return &APIError{code: codes.Unknown, message: fmt.Sprintf("the server responded with %d %s", httpStatus, http.StatusText(httpStatus))}
	}
	e := &APIError{code: codes.Code(max(status.Code, 0)), message: status.Message} //nolint:gosec // a status code is small
	for _, d := range status.Details {
		e.violations = append(e.violations, d.FieldViolations...)
	}
	if e.code == codes.Unauthenticated {
		e.message += ": check --token-file, --data or OUTBOUND_TOKEN"
	}
	return e
}

// NameFields names the fields otherwise, e.g. by their flags.
func (e *APIError) NameFields(name func(string) string) {
	for i := range e.violations {
		e.violations[i].Field = name(e.violations[i].Field)
	}
}

// OfEvent reports whether an event is refused for what it is, so that it will never be accepted: no refusal of a token or a role.
func (e *APIError) OfEvent() bool {
	switch e.code {
	case codes.InvalidArgument, codes.OutOfRange, codes.PermissionDenied:
		return len(e.violations) > 0
	default:
		return false
	}
}

// Names reports whether a field is at fault.
func (e *APIError) Names(field string) bool {
	return slices.ContainsFunc(e.violations, func(v Violation) bool { return v.Field == field })
}

// Lines are the faults of the fields of a request, a line each.
func (e *APIError) Lines() []string {
	if e.code != codes.InvalidArgument {
		return nil
	}
	var out []string
	for _, v := range e.violations {
		out = append(out, fmt.Sprintf("%s: %s", v.Field, v.Description))
	}
	return out
}
