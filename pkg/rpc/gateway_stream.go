package rpc

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// streamPaths are the paths whose answers take as long as it takes: one JSON object a line, while the caller listens.
func streamPaths() map[string]bool {
	paths := map[string]bool{}
	for _, file := range []protoreflect.FileDescriptor{v1.File_outbound_v1_delivery_service_proto, v1.File_outbound_v1_status_service_proto,
		v1.File_outbound_v1_backup_service_proto, v1.File_outbound_v1_audit_service_proto} {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for k := range methods.Len() {
				rule, ok := proto.GetExtension(methods.Get(k).Options(), annotations.E_Http).(*annotations.HttpRule)
				if ok && methods.Get(k).IsStreamingServer() && rule.GetGet() != "" {
					paths[rule.GetGet()] = true
				}
			}
		}
	}
	return paths
}

// contentTypeStream is of answers that are a JSON object a line.
const contentTypeStream = "application/x-ndjson"

// StreamContentType implements runtime.StreamContentType.
func (m *marshaler) StreamContentType(any) string { return contentTypeStream }

// endless lifts a server's bounds from a stream, which ends with its caller or when stop is closed.
func endless(stop <-chan struct{}, next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, path map[string]string) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		over := make(chan struct{})
		var waiting sync.WaitGroup
		defer waiting.Wait()
		defer close(over)
		waiting.Go(func() {
			select {
			case <-stop:
				cancel()
			case <-over:
			}
		})
		c := http.NewResponseController(w)
		// A writer that knows no bounds has none to lift.
		_ = c.SetReadDeadline(time.Time{})
		_ = c.SetWriteDeadline(time.Time{})
		next(&streamWriter{w}, r.WithContext(ctx), path)
	}
}

// streamWriter adds what the gateway, which answers the errors of streams by itself, leaves out: when to try again.
type streamWriter struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *streamWriter) WriteHeader(code int) {
	if code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush implements http.Flusher, which the gateway asks for.
func (w *streamWriter) Flush() {
	// A writer that can't be flushed is that of a test.
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}
