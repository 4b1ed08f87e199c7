package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// AuditLog stores entries.
type AuditLog interface {
	// Ready is why no entry can be stored now; nil: one can.
	Ready(ctx context.Context) error
	// Append stores an entry.
	Append(ctx context.Context, e audit.Entry) (audit.Stored, error)
	// Fill is the part of the log that is used, from 0 to 1.
	Fill(ctx context.Context) (float64, error)
}

// Audit writes calls to the audit log. One serves all servers of a process.
type Audit struct {
	log    AuditLog
	logger *slog.Logger
	rules  map[string]AuditRule

	mu sync.Mutex
	// pending are entries of what was done that could not be stored yet. Nothing is changed meanwhile.
	pending []audit.Entry
	// failures bound the entries of denied and refused calls, leftOut counts those that were left out.
	failures failures
	leftOut  uint64
}

// NewAudit returns what writes to a log. Nil logger: the process's default.
func NewAudit(log AuditLog, logger *slog.Logger) *Audit {
	if logger == nil {
		logger = slog.Default()
	}
	return &Audit{log: log, logger: logger, rules: AuditRules(), failures: failures{of: map[string]*turns{}}}
}

// rule is that of a method. One that is not declared is audited under its own name.
func (a *Audit) rule(method string) AuditRule {
	if a == nil {
		return AuditRule{}
	}
	r, ok := a.rules[method]
	if !ok {
		r = AuditRule{Action: strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(method, "/outbound.v1."), "/", "."))}
	}
	return r
}

// notAudited is the reason of a change that is refused because it can't be audited.
const reasonNotAudited = "NOT_AUDITED"

// auditTimeout bounds what is written after a call.
const auditTimeout = 5 * time.Second

// Ready is why no change can be made now: its entry could not be stored.
func (a *Audit) Ready(ctx context.Context) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.pending) > 0 {
		if _, err := a.log.Append(ctx, a.pending[0]); err != nil {
			return notAuditable(err)
		}
		a.pending = a.pending[1:]
	}
	if err := a.log.Ready(ctx); err != nil {
		return notAuditable(err)
	}
	return nil
}

func notAuditable(err error) error {
	return UnavailableFor(reasonNotAudited, fmt.Sprintf("nothing was changed, because it could not be audited: %v. Reading and deliveries go "+
		"on. If the audit log is full, raise streams.auditMaxBytes and restart", err))
}

// Record writes an entry of something that was done. If it can't be stored, the error says so, and nothing is changed until it is.
func (a *Audit) Record(ctx context.Context, e audit.Entry) error {
	if a == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	e.LeftOut = a.leftOut
	_, err := a.log.Append(ctx, e)
	if err == nil {
		a.leftOut = 0
		return nil
	}
	e.LeftOut = 0
	a.logger.ErrorContext(ctx, "audit entry not stored, retrying", telemetry.KeyMethod, e.Action, telemetry.KeyError, err.Error())
	a.pending = append(a.pending, e)
	return UnavailableFor(reasonNotAudited, fmt.Sprintf("it was done, but its audit entry could not be stored: %v. Nothing else is changed "+
		"until it is", err))
}

// tell writes an entry of a call that was denied or refused, unless there are too many. Their number is told with the next entry.
func (a *Audit) tell(ctx context.Context, e audit.Entry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	fill, err := a.log.Fill(ctx)
	if err != nil || fill > failureFill || !a.failures.take(e.Address, time.Now()) {
		a.leftOut++
		return
	}
	e.LeftOut = a.leftOut
	if _, err := a.log.Append(ctx, e); err != nil {
		a.leftOut++
		a.logger.WarnContext(ctx, "audit entry of a refused call not stored", telemetry.KeyMethod, e.Action, telemetry.KeyError, err.Error())
		return
	}
	a.leftOut = 0
}

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
		g.audit.tell(ctx, e)
	}
	return err
}

// call is a call on its way.
type call struct {
	method string
	rule   AuditRule
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

// The bounds of entries of denied and refused calls: from one address 30 at once and 4 a minute, from all 200 at once and 20 a minute;
// and none when the log is half full, so that they never keep a change out.
const (
	failuresOfOne = 30
	failuresOfAll = 200
	everyOfOne    = 15 * time.Second
	everyOfAll    = 3 * time.Second
	failureFill   = 0.5
	// maxAddresses bounds the memory for addresses.
	maxAddresses = 4096
)

// turns is a bucket of tokens.
type turns struct {
	left float64
	at   time.Time
}

func (t *turns) refill(now time.Time, most int, every time.Duration) {
	t.left = min(float64(most), t.left+float64(now.Sub(t.at))/float64(every))
	t.at = now
}

// failures bound entries by address.
type failures struct {
	all turns
	of  map[string]*turns
}

func (f *failures) take(address string, now time.Time) bool {
	f.all.refill(now, failuresOfAll, everyOfAll)
	one := f.of[address]
	if one == nil {
		if len(f.of) >= maxAddresses {
			clear(f.of)
		}
		one = &turns{left: failuresOfOne, at: now}
		f.of[address] = one
	}
	one.refill(now, failuresOfOne, everyOfOne)
	if f.all.left < 1 || one.left < 1 {
		return false
	}
	f.all.left--
	one.left--
	return true
}
