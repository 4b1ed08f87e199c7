// Package eventhttp answers POST /v1/events: it reads a CloudEvent in structured or binary mode (CloudEvents HTTP protocol
// binding 1.0.2) and hands it to EventService.
package eventhttp

import (
	"context"
	"io"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Pattern is where the handler belongs in an http.ServeMux.
const Pattern = "POST /v1/events"

// timeout bounds the wait for an answer.
const timeout = 30 * time.Second

type handler struct {
	events outboundv1.EventServiceClient
}

// New makes the handler. The caller's Authorization header goes with the call, so the client's connection must not send a
// token of its own. Everything about the event, its size too, is decided by EventService, which also records it.
func New(events outboundv1.EventServiceClient) http.Handler { return &handler{events: events} }

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// One byte more than may be is read, so that the intake sees that it is too large; the rest is not.
	body, err := io.ReadAll(io.LimitReader(r.Body, event.MaxSize+1))
	if err != nil {
		fail(w, status.Error(codes.InvalidArgument, "the body is incomplete"))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	if tokens := r.Header.Values("Authorization"); len(tokens) > 0 {
		ctx = metadata.NewOutgoingContext(ctx, metadata.MD{"authorization": tokens})
	}
	answer, err := h.events.PublishEvent(ctx, &outboundv1.PublishEventRequest{
		Source: &outboundv1.PublishEventRequest_Json{Json: structured(r.Header, body)},
	})
	if err != nil {
		fail(w, err)
		return
	}
	write(w, http.StatusOK, answer)
}

func fail(w http.ResponseWriter, err error) {
	s := status.Convert(rpc.Plain(err))
	code := Status(s.Code())
	switch code {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="outbound"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	write(w, code, s.Proto())
}

func write(w http.ResponseWriter, code int, m proto.Message) {
	b, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		// A detail of a kind that is not linked in: say what can be said.
		b, code = []byte(`{"code":13,"message":"the response can't be written","details":[]}`), http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// A caller that has gone hears nothing.
	_, _ = w.Write(b)
}

// Status is the HTTP status of a gRPC code, as intake answers it.
func Status(c codes.Code) int {
	switch c {
	case codes.OK:
		return http.StatusOK
	case codes.InvalidArgument:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.AlreadyExists, codes.Aborted:
		return http.StatusConflict
	case codes.OutOfRange:
		return http.StatusRequestEntityTooLarge
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
