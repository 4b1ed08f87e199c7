package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/rpc/audited"
	"github.com/outbound-events/outbound/pkg/rpc/quota"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// interceptors is what every call passes before and after its handler.
type interceptors struct {
	auth     Authenticator
	fresh    *quota.NewTokens
	log      *slog.Logger
	rules    map[string]Rule
	rows     []Row
	exempt   []string
	validate *Validator
	// broken says why requests cannot be validated; then none is let through.
	broken error
	stop   <-chan struct{}
	quota  *quota.Quota
	// patience is how long a stream may take to send its request.
	patience time.Duration
	audit    *audited.Writer
}

func newInterceptors(o ServerOptions) *interceptors {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Authenticator == nil {
		o.Authenticator = Tokens{}
	}
	g := &interceptors{auth: o.Authenticator, log: o.Logger, rules: Rules(), rows: o.Errors, exempt: o.HandlerValidates,
		stop: o.Stop, audit: o.Audit}
	if o.Limits == (quota.Options{}) {
		o.Limits = quota.DefaultOptions()
	}
	g.fresh = quota.AwaitTokens()
	g.quota, g.patience = quota.New(o.Limits), o.Limits.RequestTimeout
	g.validate, g.broken = NewValidator()
	return g
}

func (g *interceptors) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (answer any, err error) {
	defer func() { err = g.toStatus(info.FullMethod, recover(), err) }()
	if !hasDeadline(ctx) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultDeadline)
		defer cancel()
	}
	c := &call{method: info.FullMethod, rule: g.audit.Rule(info.FullMethod), req: req}
	ctx, err = g.enter(ctx, c)
	if err != nil {
		return nil, err
	}
	if err = g.check(info.FullMethod, req); err == nil {
		answer, err = g.handled(ctx, info.FullMethod, req, handle)
	}
	if err != nil {
		err = g.toStatus(info.FullMethod, nil, err)
	}
	if err = g.done(ctx, c, answer, err); err != nil {
		return nil, err
	}
	return answer, nil
}

// handled has a call handled if its caller is within the limits.
func (g *interceptors) handled(ctx context.Context, method string, req any, handle grpc.UnaryHandler) (any, error) {
	release, err := g.call(ctx, method)
	if err != nil {
		return nil, err
	}
	defer release()
	return handle(ctx, req)
}

// enter lets a call in, or says why not, which is audited. A change is not let in while it can't be audited.
func (g *interceptors) enter(ctx context.Context, c *call) (context.Context, error) {
	inside, err := g.admit(ctx, c.method)
	switch {
	case err != nil:
		c.denied = outcome(err) == audit.Denied
		if g.audit != nil && c.denied {
			_ = g.done(ctx, c, nil, err)
		}
		return nil, err
	case c.rule.Action == "" || !c.audited():
		return inside, nil
	case !c.rule.GoesOn:
		if err := g.audit.Ready(inside); err != nil {
			return nil, err
		}
	}
	inside, c.trail = audit.WithTrail(inside)
	return inside, nil
}

func (g *interceptors) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer func() { err = g.toStatus(info.FullMethod, recover(), err) }()
	ctx, cancel := context.WithCancelCause(ss.Context())
	defer cancel(nil)
	defer g.endWith(cancel)()
	c := &call{method: info.FullMethod, rule: g.audit.Rule(info.FullMethod)}
	ctx, err = g.enter(ctx, c)
	if err != nil {
		return err
	}
	check := func(m any) error {
		c.req = m
		return g.check(info.FullMethod, m)
	}
	var release func()
	if release, err = g.open(ctx); err == nil {
		err = handle(srv, &guarded{ServerStream: ss, ctx: ctx, patience: g.patience, check: check})
		release()
	}
	if err != nil {
		err = g.toStatus(info.FullMethod, nil, err)
	}
	err = g.done(ctx, c, nil, err)
	if errors.Is(context.Cause(ctx), errStopping) {
		return Unavailable(errStopping.Error())
	}
	return err
}

var errStopping = errors.New("the service is stopping: try again in a moment")

// endWith cancels when the server stops. The function it returns waits for its goroutine.
func (g *interceptors) endWith(cancel context.CancelCauseFunc) (release func()) {
	if g.stop == nil {
		return func() {}
	}
	over, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-g.stop:
			cancel(errStopping)
		case <-over:
		}
	}()
	return func() { close(over); <-gone }
}

// admit authenticates and authorizes a call. A method without a rule is refused.
func (g *interceptors) admit(ctx context.Context, method string) (context.Context, error) {
	rule := g.rules[method]
	if rule.Open {
		return ctx, nil
	}
	p, err := g.identify(ctx)
	if err == nil {
		if p, err = personOf(ctx, p); err != nil {
			return nil, err
		}
	}
	switch {
	case errors.Is(err, errNoToken):
		return nil, status.Error(codes.Unauthenticated, errNoToken.Error())
	case errors.Is(err, ErrUnknownToken):
		return nil, status.Error(codes.Unauthenticated, "the token is not valid: it may have been rotated or revoked")
	case err != nil:
		g.log.Warn("token not verified", telemetry.KeyMethod, method, telemetry.KeyError, err.Error())
		return nil, Unavailable("tokens can't be verified at the moment: try again")
	case !rule.admits(p):
		return nil, status.Error(codes.PermissionDenied, refusal(p, rule, method))
	}
	return WithPrincipal(ctx, p), nil
}

var errNoToken = errors.New("no token: send the header Authorization: Bearer <token>")

// identify is who calls: the holder of the token, or the service whose certificate the caller holds. A token of services does not make
// another service of who has a certificate.
func (g *interceptors) identify(ctx context.Context) (Principal, error) {
	token, ok := bearer(ctx)
	service, proved := peerService(ctx)
	switch {
	case !ok && proved:
		return Principal{Role: RoleService, Service: service}, nil
	case !ok:
		return Principal{}, errNoToken
	}
	p, err := g.auth.Authenticate(ctx, token)
	if errors.Is(err, ErrUnknownToken) {
		g.fresh.Await(ctx, token, func() bool {
			p, err = g.auth.Authenticate(ctx, token)
			return errors.Is(err, ErrUnknownToken)
		})
	}
	if err == nil && proved && p.Role == RoleService {
		p.Service = service
	}
	return p, err
}

// refusal says who may do what a caller may not.
func refusal(who Principal, rule Rule, method string) string {
	takes := "nobody"
	for _, least := range []Role{RoleViewer, RoleOperator, RoleAdmin, RoleReceiver, RoleAppliance, RoleService} {
		if rule.Allows(least) {
			takes = "the role " + least.String()
			break
		}
	}
	if who.Role == RoleService && rule.Allows(RoleService) {
		takes = "one of the services " + strings.Join(rule.Services, ", ")
	}
	return fmt.Sprintf("%s can't call %s: it requires %s", who.called(), strings.TrimPrefix(method, "/outbound.v1."), takes)
}

// bearer is the token in the call's header.
func bearer(ctx context.Context) (string, bool) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}

// check holds a request against the rules in the proto files.
func (g *interceptors) check(method string, req any) error {
	m, ok := req.(proto.Message)
	if !ok || slices.Contains(g.exempt, method) {
		return nil
	}
	if g.broken != nil {
		return g.broken
	}
	violations, err := g.validate.Check(m, "")
	if err != nil || len(violations) == 0 {
		return err
	}
	return InvalidArgument(violations...)
}

// toStatus turns a panic or an error into the status the caller gets; what no table knows goes to the log.
func (g *interceptors) toStatus(method string, panicked any, err error) error {
	if panicked != nil {
		g.log.Error("handler panicked", telemetry.KeyMethod, method, telemetry.KeyError, fmt.Sprint(panicked),
			logkey.Stack, string(debug.Stack()))
		return status.Error(codes.Internal, "internal error: see the service's log")
	}
	if err == nil {
		return nil
	}
	answered, known := toStatus(err, g.rows)
	if !known {
		g.log.Error("call ended with an unknown error", telemetry.KeyMethod, method, telemetry.KeyError, err.Error())
	}
	return answered.Err()
}
