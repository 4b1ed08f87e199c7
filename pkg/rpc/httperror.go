package rpc

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// httpStatus is the HTTP status of a gRPC code.
func httpStatus(code codes.Code) int {
	if code == codes.OutOfRange {
		// The one thing that is out of range here is the size of an event or body.
		return http.StatusRequestEntityTooLarge
	}
	return runtime.HTTPStatusFromCode(code)
}

// WriteError answers a REST call with an error as google.rpc.Status in JSON, details included.
func WriteError(w http.ResponseWriter, err error) {
	s, _ := toStatus(err, nil)
	writeStatus(w, httpStatus(s.Code()), s)
}

func writeStatus(w http.ResponseWriter, code int, s *status.Status) {
	content, err := Marshaling().Marshal(s.Proto())
	if err != nil {
		// A detail of a type this program does not know: the rest is still of use.
		content, _ = Marshaling().Marshal(status.New(s.Code(), s.Message()).Proto())
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if code == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if wait := RetryAfter(s); wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
	}
	w.WriteHeader(code)
	_, _ = w.Write(content)
}

// routingError answers calls that no method is for.
func routingError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	switch code {
	case http.StatusNotFound:
		writeStatus(w, code, status.New(codes.NotFound, fmt.Sprintf("unknown path %s: see /openapi.json", r.URL.Path)))
	case http.StatusMethodNotAllowed:
		writeStatus(w, code, status.New(codes.Unimplemented,
			fmt.Sprintf("method %s is not allowed for %s: see /openapi.json", r.Method, r.URL.Path)))
	default:
		writeStatus(w, code, status.New(codes.InvalidArgument, http.StatusText(code)))
	}
}
