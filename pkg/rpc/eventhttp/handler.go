// Package eventhttp answers POST /v1/events: it reads CloudEvents in structured, binary or batched mode (CloudEvents HTTP
// protocol binding 1.0.2) and hands them to EventService.
package eventhttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

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
	if !readable(w, r) {
		return
	}
	isBatch := mediaOf(r.Header.Get("Content-Type")) == mediaBatch
	most := int64(event.MaxSize)
	if isBatch {
		most = maxBatchSize
	}
	// One byte more than may be is read, so that the intake sees that it is too large; the rest is not.
	body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
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
	if isBatch {
		h.batch(ctx, w, r, body)
		return
	}
	answer, err := h.publish(ctx, r, Structured(r.Header, body))
	if err != nil {
		fail(w, err)
		return
	}
	send(w, http.StatusOK, encode(answer))
}

func (h *handler) publish(ctx context.Context, r *http.Request, raw []byte) (*outboundv1.PublishEventResponse, error) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		// The request belongs to no trace, but the event may (CloudEvents distributed tracing extension).
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": event.TraceParent(raw)})
	}
	return h.events.PublishEvent(ctx, &outboundv1.PublishEventRequest{
		Source: &outboundv1.PublishEventRequest_Json{Json: raw}, ApplianceId: r.URL.Query().Get("appliance_id"),
	})
}

// readable answers 415 to a body in an encoding or a format that is not understood (RFC 9110, 15.5.16). Such a request says nothing
// about an event, so none is recorded.
func readable(w http.ResponseWriter, r *http.Request) bool {
	for _, value := range r.Header.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(value, ",") {
			if coding = strings.ToLower(strings.TrimSpace(coding)); coding != "" && coding != "identity" {
				w.Header().Set("Accept-Encoding", "identity")
				unsupported(w, fmt.Sprintf("the body has the Content-Encoding %q: send it without one", coding))
				return false
			}
		}
	}
	media := mediaOf(r.Header.Get("Content-Type"))
	if strings.HasPrefix(media, "application/cloudevents") && media != mediaStructured && media != mediaBatch {
		accepted := mediaStructured + ", " + mediaBatch
		w.Header().Set("Accept", accepted)
		unsupported(w, fmt.Sprintf("the format %s is not supported: send one of %s, or the event in binary mode", media, accepted))
		return false
	}
	return true
}

func unsupported(w http.ResponseWriter, text string) {
	send(w, http.StatusUnsupportedMediaType, encode(status.New(codes.InvalidArgument, text).Proto()))
}

func fail(w http.ResponseWriter, err error) {
	s := status.Convert(rpc.Plain(err))
	code := Status(s.Code())
	switch code {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="outbound"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", seconds(rpc.RetryAfter(s)))
	}
	send(w, code, encode(s.Proto()))
}

// seconds is a wait as Retry-After has it, at least a second.
func seconds(wait time.Duration) string { return strconv.Itoa(max(1, int(wait.Seconds()))) }

func send(w http.ResponseWriter, code int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// A caller that has gone hears nothing.
	_, _ = w.Write(body)
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
