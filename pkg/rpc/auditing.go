package rpc

import (
	"context"
	"encoding/json"
	"net"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/rpc/audited"
)

// done writes the entry of a call that has ended, and returns the error that its caller gets.
func (g *interceptors) done(ctx context.Context, c *call, answer any, err error) error {
	if !c.audited() {
		return err
	}
	e := c.entry(ctx, g, answer, err)
	switch {
	case e.Outcome == audit.OK, len(e.Revisions) > 0, e.Outcome == audit.Failed:
		if failed := g.audit.Record(ctx, e); failed != nil && !c.rule.GoesOn && err == nil {
			return failed
		}
	default:
		g.audit.Tell(ctx, e)
	}
	return err
}

// call is a call on its way.
type call struct {
	method string
	rule   audited.Rule
	req    any
	trail  *audit.Trail
	// denied says that the caller was not let in.
	denied bool
}

// audited reports whether a call gets an entry. A denied one always does, one that only validates never.
func (c *call) audited() bool {
	if c.denied {
		return true
	}
	if c.rule.Action == "" {
		return false
	}
	m, ok := c.req.(proto.Message)
	if !ok {
		return true
	}
	fd := m.ProtoReflect().Descriptor().Fields().ByName("validate_only")
	return fd == nil || fd.Kind() != protoreflect.BoolKind || !m.ProtoReflect().Get(fd).Bool()
}

func (c *call) entry(ctx context.Context, g *interceptors, answer any, err error) audit.Entry {
	e := audit.Entry{Action: c.rule.Action, Outcome: outcome(err), Origin: g.origin(ctx)}
	if err != nil {
		e.Reason = status.Convert(err).Message()
	}
	if e.Action == "" {
		e.Action, e.Object = "call", strings.TrimPrefix(c.method, "/outbound.v1.")
	}
	if p, ok := PrincipalFrom(ctx); ok {
		e.Actor, e.Role = p.Name, p.Role.String()
		if p.Role == RoleService && e.Actor == "" {
			e.Actor = "outbound"
		}
		if p.Role == RoleAppliance {
			e.Actor = "appliance " + p.Appliance
		}
	}
	from := messages(c.req, answer)
	if c.rule.Actor != "" {
		e.Actor, e.Role = namedUser(fill(c.rule.Actor, from)), ""
	}
	if object := fill(c.rule.Object, from); object != "" {
		e.Object = object
	}
	if c.rule.Actor != "" && e.Actor == unnamed {
		e.Object = ""
	}
	if c.rule.Request && !c.denied {
		e.Request = requestJSON(c.req)
	}
	if c.trail != nil {
		c.trail.Fill(&e)
	}
	return e
}

// unnamed stands for a name that is none of a user: people type passwords into the wrong field.
const unnamed = "(not a user name)"

// namedUser is a name as it may be kept.
func namedUser(name string) string {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("._@-", r) {
			return unnamed
		}
	}
	if name == "" || len(name) > 64 {
		return unnamed
	}
	return name
}

// outcome is what an entry says of an error.
func outcome(err error) string {
	switch status.Code(err) {
	case codes.OK:
		return audit.OK
	case codes.Unauthenticated, codes.PermissionDenied:
		return audit.Denied
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.Aborted, codes.FailedPrecondition, codes.OutOfRange,
		codes.ResourceExhausted, codes.Unimplemented:
		return audit.Refused
	default:
		return audit.Failed
	}
}

// messages are those of a call that there are.
func messages(all ...any) (out []protoreflect.Message) {
	for _, x := range all {
		if m, ok := x.(proto.Message); ok && m.ProtoReflect().IsValid() {
			out = append(out, m.ProtoReflect())
		}
	}
	return out
}

// fill replaces the parts in braces by fields of messages. Without one the result is empty.
func fill(template string, from []protoreflect.Message) string {
	before, rest, ok := strings.Cut(template, "{")
	if !ok {
		return template
	}
	paths, after, _ := strings.Cut(rest, "}")
	for path := range strings.SplitSeq(paths, "|") {
		for _, m := range from {
			if value := valueAt(m, path); value != "" {
				return before + value + after
			}
		}
	}
	return ""
}

// valueAt is the text at a dotted path of fields; empty if there is none.
func valueAt(m protoreflect.Message, path string) string {
	name, rest, more := strings.Cut(path, ".")
	fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
	switch {
	case fd == nil || fd.IsList() || fd.IsMap():
		return ""
	case more && fd.Message() != nil:
		return valueAt(m.Get(fd).Message(), rest)
	case !more && fd.Kind() == protoreflect.StringKind:
		return m.Get(fd).String()
	default:
		return ""
	}
}

// requestJSON is a request without what is marked as secret.
func requestJSON(req any) json.RawMessage {
	m, ok := req.(proto.Message)
	if !ok {
		return nil
	}
	m = proto.Clone(m)
	redact(m.ProtoReflect())
	raw, err := protojson.Marshal(m)
	if err != nil {
		return nil
	}
	return raw
}

// redact clears fields that are marked as secret in the proto files.
func redact(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		o, _ := fd.Options().(*descriptorpb.FieldOptions)
		switch {
		case o.GetDebugRedact():
			m.Clear(fd)
		case fd.IsMap():
			if fd.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { redact(v.Message()); return true })
			}
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				redact(v.List().Get(i).Message())
			}
		case fd.Message() != nil:
			redact(v.Message())
		}
		return true
	})
}

const viaGRPC = "grpc"

// speaksForOthers reports whether the caller may say where a call came from: the console may, by its certificate or its token.
func (g *interceptors) speaksForOthers(ctx context.Context, proof string) bool {
	if service, proved := peerService(ctx); proved {
		return Principal{Role: RoleService, Service: service}.acts()
	}
	p, err := g.auth.Authenticate(ctx, proof)
	return err == nil && p.acts()
}

// origin returns where a call came from: what the console says of it, else the peer.
func (g *interceptors) origin(ctx context.Context) audit.Origin {
	if o, proof, ok := audited.Said(ctx); ok && g.speaksForOthers(ctx, proof) {
		return o
	}
	o := audit.Origin{Via: viaGRPC, Agent: strings.Join(metadata.ValueFromIncomingContext(ctx, "user-agent"), ", ")}
	if p, ok := peer.FromContext(ctx); ok {
		if host, _, err := net.SplitHostPort(p.Addr.String()); err == nil {
			o.Address = host
		}
	}
	return o
}
