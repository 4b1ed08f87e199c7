package rpc

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// call admits a unary call by the limits of its caller.
func (g *interceptors) call(ctx context.Context, method string) (release func(), err error) {
	caller, limited := callerOf(ctx)
	if !limited {
		return func() {}, nil
	}
	return g.quota.Call(ctx, method, caller)
}

// open admits a stream by the limits of its caller.
func (g *interceptors) open(ctx context.Context) (release func(), err error) {
	caller, limited := callerOf(ctx)
	if !limited {
		return func() {}, nil
	}
	return g.quota.Stream(caller)
}

// callerOf names who is counted: the user or token, else the address. Services of the installation are not limited: they call for
// everybody.
func callerOf(ctx context.Context) (caller string, limited bool) {
	if p, ok := PrincipalFrom(ctx); ok {
		switch p.Role {
		case RoleService:
			return "", false
		case RoleAppliance:
			return "appliance " + p.Appliance, true
		case RoleAdmin, RoleOperator, RoleViewer, RoleReceiver:
			return "name " + p.Name, true
		}
	}
	from, ok := peer.FromContext(ctx)
	if !ok || from.Addr == nil {
		return "address ", true
	}
	host, _, err := net.SplitHostPort(from.Addr.String())
	if err != nil {
		host = from.Addr.String()
	}
	return "address " + host, true
}

// bounded gives each unary call a deadline before its request has come, for one whose request never comes would stay for ever. A
// stream's request is awaited by guarded.
func bounded(requestTimeout time.Duration) tap.ServerInHandle {
	streams := streamingMethods()
	return func(ctx context.Context, info *tap.Info) (context.Context, error) {
		if _, ok := ctx.Deadline(); ok || streams[info.FullMethodName] {
			return ctx, nil
		}
		bound, cancel := context.WithTimeout(ctx, requestTimeout+defaultDeadline)
		context.AfterFunc(bound, cancel)
		return context.WithValue(bound, openEnded{}, true), nil
	}
}

// openEnded marks the context of a call whose caller has set no deadline.
type openEnded struct{}

// hasDeadline reports whether the caller has set a deadline.
func hasDeadline(ctx context.Context) bool {
	_, ok := ctx.Deadline()
	return ok && ctx.Value(openEnded{}) == nil
}

// streamingMethods are the full names of all methods that are no unary ones, of this program.
func streamingMethods() map[string]bool {
	out := map[string]bool{}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for k := range s.Methods().Len() {
				if m := s.Methods().Get(k); m.IsStreamingServer() || m.IsStreamingClient() {
					out[fmt.Sprintf("/%s/%s", s.FullName(), m.Name())] = true
				}
			}
		}
		return true
	})
	return out
}

// guarded checks what comes in on a stream, and ends one whose request does not come.
type guarded struct {
	grpc.ServerStream
	ctx      context.Context
	check    func(m any) error
	patience time.Duration
	// begun says that a request has come. One goroutine receives.
	begun bool
}

// Context is the call's, with its principal.
func (s *guarded) Context() context.Context { return s.ctx }

// RecvMsg refuses what breaks the rules.
func (s *guarded) RecvMsg(m any) error {
	if err := s.receive(m); err != nil {
		return err
	}
	s.begun = true
	return s.check(m)
}

func (s *guarded) receive(m any) error {
	if s.begun {
		return s.ServerStream.RecvMsg(m)
	}
	came := make(chan error, 1)
	go func() { came <- s.ServerStream.RecvMsg(m) }()
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	select {
	case err := <-came:
		return err
	case <-s.ctx.Done():
		return status.FromContextError(s.ctx.Err()).Err()
	case <-timer.C:
		// The stream's end, which follows, ends the goroutine.
		return status.Errorf(codes.DeadlineExceeded, "no request came within %s: send it with the call", s.patience)
	}
}
