package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// Failure is an error with a message for users.
type Failure struct {
	Status      int
	Title, Text string
}

// Error implements error.
func (f *Failure) Error() string { return f.Title + ": " + f.Text }

// Fail returns an error with a message for users.
func Fail(status int, title, text string) error {
	return &Failure{Status: status, Title: title, Text: text}
}

// The failures of the site.
var (
	errNoPage      = Fail(http.StatusNotFound, "Page not found", "Check the address, or the page may have been removed.")
	errRole        = Fail(http.StatusForbidden, "Permission denied", "Ask an administrator for another role.")
	errCrossOrigin = Fail(http.StatusForbidden, "Cross-site request refused",
		"The form was submitted from another site. Submit it again from the console.")
)

// crash is a panic of a handler.
type crash struct{ value, stack string }

func (c *crash) Error() string { return "handler panicked: " + c.value }

func panicked(p any) error { return &crash{fmt.Sprint(p), string(debug.Stack())} }

// fail shows an error as a page, or as a notice for an htmx request.
func (s *Site) fail(r *Request, err error) {
	if status.Code(err) == codes.Unauthenticated && r.session != "" {
		// The credentials of the session are no longer valid, e.g. a revoked token.
		r.SignOut()
		_ = r.toSignIn()
		return
	}
	f := s.explain(r, err)
	if wantsStream(r) {
		http.Error(r.W, f.Title, f.Status)
		return
	}
	r.status = f.Status
	if r.Part() {
		r.W.Header().Set("HX-Retarget", "#notices")
		r.W.Header().Set("HX-Reswap", "beforeend")
		r.flashes = nil
		r.area = s.core
		v := r.view(nil)
		v.Flashes = append(v.Flashes, Flash{Bad, f.Title + ". " + f.Text})
		err = r.write("error", "flash-list", v)
	} else {
		r.area = s.core
		err = r.write("error", "layout", r.view(f))
	}
	if err != nil {
		s.Logger.Error("an error page could not be rendered", telemetry.KeyError, err.Error())
		http.Error(r.W, f.Title, f.Status)
	}
}

func wantsStream(r *Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

func wantsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// explain converts an error to a message for users. It logs internal errors.
func (s *Site) explain(r *Request, err error) *Failure {
	var failure *Failure
	var large *http.MaxBytesError
	var broke *crash
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.As(err, &large):
		return &Failure{http.StatusRequestEntityTooLarge, "Request too large", fmt.Sprintf("The limit is %d bytes.", large.Limit)}
	case errors.As(err, &broke):
		s.Logger.Error("page panicked", telemetry.KeyPath, r.URL.Path, telemetry.KeyError, broke.value, logkey.Stack, broke.stack)
		return unexpected()
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Failure{http.StatusServiceUnavailable, "Request timed out", "Try again in a moment."}
	}
	return s.explainStatus(r, err)
}

func unexpected() *Failure {
	return &Failure{http.StatusInternalServerError, "Something went wrong", "See the console's log for details. Saved data is not affected."}
}

// explainStatus converts the status of a service to a message. The messages of the services are meant for users.
func (s *Site) explainStatus(r *Request, err error) *Failure {
	st, ok := status.FromError(err)
	if !ok {
		s.Logger.Error("page ended with an unknown error", telemetry.KeyPath, r.URL.Path, telemetry.KeyError, err.Error())
		return unexpected()
	}
	text := sentence(st.Message())
	switch st.Code() {
	case codes.NotFound:
		return &Failure{http.StatusNotFound, "Not found", text}
	case codes.PermissionDenied:
		return &Failure{http.StatusForbidden, "Permission denied", "Ask an administrator for another role."}
	case codes.Unauthenticated:
		return &Failure{http.StatusUnauthorized, "Sign-in required", text}
	case codes.InvalidArgument, codes.OutOfRange:
		return &Failure{http.StatusBadRequest, "Invalid request", text}
	case codes.FailedPrecondition:
		return &Failure{http.StatusConflict, "Not possible in the current state", text}
	case codes.AlreadyExists, codes.Aborted:
		return &Failure{http.StatusConflict, "Conflict", text}
	case codes.ResourceExhausted:
		return &Failure{http.StatusTooManyRequests, "Limit reached", text}
	case codes.Unimplemented:
		return &Failure{http.StatusNotImplemented, "Not supported in this release", text}
	case codes.Unavailable:
		if len(st.Details()) == 0 {
			// Do not show the address of the service.
			text = "A service is unavailable. Try again in a moment."
		}
		return &Failure{http.StatusServiceUnavailable, "Service unavailable", text}
	case codes.DeadlineExceeded, codes.Canceled:
		return &Failure{http.StatusServiceUnavailable, "Request timed out", "Try again in a moment."}
	default:
		s.Logger.Error("page ended with an error of a service", telemetry.KeyPath, r.URL.Path, telemetry.KeyError, err.Error())
		return unexpected()
	}
}

// capital capitalizes the first letter.
func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// sentence capitalizes the first letter and adds a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	text = capital(text)
	if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "?") && !strings.HasSuffix(text, "!") {
		text += "."
	}
	return text
}
