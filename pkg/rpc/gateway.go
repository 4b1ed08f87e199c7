package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Bounds of a REST call.
const (
	maxBody     = 4 << 20
	restTimeout = 30 * time.Second
)

// NewGateway makes a mux that gives the gRPC API as REST in protojson: names in lowerCamelCase, enumerations as words, scalars
// always present. A field, a query parameter or a value that is not understood is refused by name. The caller's bearer token
// goes along, and If-Match (see IfMatch). Errors are google.rpc.Status in JSON. Streams end with their callers.
func NewGateway() *runtime.ServeMux { return NewGatewayUntil(nil) }

// NewGatewayUntil is NewGateway, with streams that end when stop is closed as well.
func NewGatewayUntil(stop <-chan struct{}) *runtime.ServeMux {
	return runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newMarshaler()),
		runtime.SetQueryParameterParser(strictQuery{}),
		runtime.WithIncomingHeaderMatcher(incoming),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request,
			err error) {
			WriteError(w, Plain(oversize(r, readText(err))))
		}),
		runtime.WithRoutingErrorHandler(routingError),
		runtime.WithForwardResponseOption(setETag),
		runtime.WithMiddlewares(bound(stop)),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
	)
}

// Plain hides where a service that is away would have been: a stranger may be asking. Services' own errors have details.
func Plain(err error) error {
	if s := status.Convert(err); s.Code() == codes.Unavailable && len(s.Details()) == 0 {
		return Unavailable("the service is not available: try again in a moment")
	}
	return err
}

// RegisterGateway adds every service of the API to mux; calls go out through conn, which may be Routes. Calls fail at once if a service
// is not available.
func RegisterGateway(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error {
	conn = failFast{conn}
	return errors.Join(
		v1.RegisterRecipientServiceHandlerClient(ctx, mux, v1.NewRecipientServiceClient(conn)),
		v1.RegisterSettingsServiceHandlerClient(ctx, mux, v1.NewSettingsServiceClient(conn)),
		v1.RegisterAccessServiceHandlerClient(ctx, mux, v1.NewAccessServiceClient(conn)),
		v1.RegisterBackupServiceHandlerClient(ctx, mux, v1.NewBackupServiceClient(conn)),
		v1.RegisterKeyServiceHandlerClient(ctx, mux, v1.NewKeyServiceClient(conn)),
		v1.RegisterAuditServiceHandlerClient(ctx, mux, v1.NewAuditServiceClient(conn)),
		v1.RegisterEventServiceHandlerClient(ctx, mux, v1.NewEventServiceClient(conn)),
		v1.RegisterDeliveryServiceHandlerClient(ctx, mux, v1.NewDeliveryServiceClient(conn)),
		v1.RegisterStatusServiceHandlerClient(ctx, mux, v1.NewStatusServiceClient(conn)),
	)
}

// Marshaling gives the options with which the API is written as JSON everywhere.
func Marshaling() protojson.MarshalOptions {
	return protojson.MarshalOptions{EmitDefaultValues: true}
}

// incoming names the headers that go along; the gateway itself takes care of Authorization.
func incoming(header string) (string, bool) {
	switch header {
	case "If-Match":
		return ifMatch, true
	case "Traceparent", "Tracestate":
		return strings.ToLower(header), true
	default:
		return "", false
	}
}

// setETag repeats a resource's etag as a header.
func setETag(_ context.Context, w http.ResponseWriter, m proto.Message) error {
	if r, ok := m.(interface{ GetEtag() string }); ok && r.GetEtag() != "" {
		w.Header().Set("ETag", `"`+r.GetEtag()+`"`)
	}
	return nil
}

// body remembers that it was too large, which the generated handlers report only as text.
type body struct {
	io.ReadCloser
	tooLarge bool
}

// Read reads, up to the limit.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	var large *http.MaxBytesError
	b.tooLarge = b.tooLarge || errors.As(err, &large)
	return n, err
}

// bound limits a call's time and the size of its body. A stream has no bound of time.
func bound(stop <-chan struct{}) runtime.Middleware {
	streams := streamPaths()
	return func(next runtime.HandlerFunc) runtime.HandlerFunc {
		stream := endless(stop, next)
		return func(w http.ResponseWriter, r *http.Request, path map[string]string) {
			r.Body = &body{ReadCloser: http.MaxBytesReader(w, r.Body, maxBody)}
			if streams[r.URL.Path] {
				stream(w, r, path)
				return
			}
			ctx, cancel := context.WithTimeout(r.Context(), restTimeout)
			defer cancel()
			limited := r.WithContext(ctx)
			next(w, limited, path)
		}
	}
}

func oversize(r *http.Request, err error) error {
	if b, ok := r.Body.(*body); ok && b.tooLarge {
		return TooLarge("", fmt.Sprintf("request body is larger than %d bytes", maxBody))
	}
	return err
}

// marshaler reads strictly and says where a body goes wrong.
type marshaler struct{ runtime.JSONPb }

func newMarshaler() *marshaler { return &marshaler{runtime.JSONPb{MarshalOptions: Marshaling()}} }

// NewDecoder implements runtime.Marshaler.
func (m *marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		content, err := io.ReadAll(r)
		if err != nil {
			return fmt.Errorf("read the request body: %w", err)
		}
		// The handlers take io.EOF for an empty body.
		if len(bytes.TrimSpace(content)) == 0 {
			return io.EOF
		}
		return m.Unmarshal(content, v)
	})
}

// Unmarshal implements runtime.Marshaler.
func (m *marshaler) Unmarshal(content []byte, v any) error {
	target, ok := message(v)
	if !ok {
		return m.JSONPb.Unmarshal(content, v)
	}
	if err := m.UnmarshalOptions.Unmarshal(content, target); err != nil {
		if unknown := UnknownWords(target.ProtoReflect().Descriptor(), content); len(unknown) > 0 {
			return textError(unknown)
		}
		// protojson begins with "proto:" and a blank that may be a no-break space.
		text := strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
		return errors.New("request body: " + text)
	}
	return nil
}

// message finds the message in what a generated handler wants filled: a message, or a pointer to one that is to be made.
func message(v any) (proto.Message, bool) {
	if m, ok := v.(proto.Message); ok {
		return m, true
	}
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.Elem().Kind() != reflect.Pointer {
		return nil, false
	}
	if p.Elem().IsNil() {
		p.Elem().Set(reflect.New(p.Elem().Type().Elem()))
	}
	m, ok := p.Elem().Interface().(proto.Message)
	return m, ok
}

// strictQuery refuses query parameters that are no fields of the request, which the gateway would pass over.
type strictQuery struct{ runtime.DefaultQueryParser }

// Parse implements runtime.QueryParameterParser.
func (q strictQuery) Parse(m proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	for name := range values {
		if !hasField(m.ProtoReflect().Descriptor(), name) {
			return unknownParameter(m.ProtoReflect().Descriptor(), name)
		}
	}
	if unknown := unknownParameters(m.ProtoReflect().Descriptor(), values); len(unknown) > 0 {
		return textError(unknown)
	}
	return q.DefaultQueryParser.Parse(m, values, filter)
}

// unknownParameter says what was meant if a field inside the request has that name: a filter's, in a tail.
func unknownParameter(m protoreflect.MessageDescriptor, name string) error {
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if path := f.JSONName() + "." + name; !f.IsList() && !f.IsMap() && hasField(m, path) {
			return fmt.Errorf("unknown query parameter %q: use %s", name, path)
		}
	}
	return fmt.Errorf("unknown query parameter %q: see /openapi.json", name)
}

// hasField reports whether a dotted path of field names, in either spelling, leads to a field.
func hasField(m protoreflect.MessageDescriptor, path string) bool {
	fd, _ := fieldAt(m, path)
	return fd != nil
}
