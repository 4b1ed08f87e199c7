package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// serve starts a server in process and gives a client with token.
func serve(t testing.TB, o rpc.ServerOptions, register func(grpc.ServiceRegistrar), token string) *grpc.ClientConn {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := rpc.NewServer(o)
	register(s)
	local := rpc.InProcess(s)
	conn, err := local.Dial(token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if err := errors.Join(conn.Close(), local.Close()); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// recipients answers as its functions say.
type recipients struct {
	v1.UnimplementedRecipientServiceServer
	get    func(ctx context.Context, r *v1.GetRecipientRequest) (*v1.Recipient, error)
	create func(ctx context.Context, r *v1.CreateRecipientRequest) (*v1.Recipient, error)
	update func(ctx context.Context, r *v1.UpdateRecipientRequest) (*v1.Recipient, error)
	watch  func(s grpc.ServerStreamingServer[v1.WatchRecipientsResponse]) error
}

func (r *recipients) GetRecipient(ctx context.Context, q *v1.GetRecipientRequest) (*v1.Recipient, error) {
	return r.get(ctx, q)
}
func (r *recipients) CreateRecipient(ctx context.Context, q *v1.CreateRecipientRequest) (*v1.Recipient, error) {
	return r.create(ctx, q)
}

func (r *recipients) UpdateRecipient(ctx context.Context, q *v1.UpdateRecipientRequest) (*v1.Recipient, error) {
	return r.update(ctx, q)
}

func (r *recipients) WatchRecipients(_ *v1.WatchRecipientsRequest, s grpc.ServerStreamingServer[v1.WatchRecipientsResponse]) error {
	return r.watch(s)
}

func (r *recipients) register(s grpc.ServiceRegistrar) { v1.RegisterRecipientServiceServer(s, r) }

// get asks for a recipient from a handler that ends with err, or panics.
func get(t *testing.T, o rpc.ServerOptions, handler func(ctx context.Context) error) error {
	t.Helper()
	o.Authenticator = known{}
	h := &recipients{get: func(ctx context.Context, _ *v1.GetRecipientRequest) (*v1.Recipient, error) {
		return &v1.Recipient{}, handler(ctx)
	}}
	conn := serve(t, o, h.register, adminToken)
	_, err := v1.NewRecipientServiceClient(conn).GetRecipient(t.Context(), &v1.GetRecipientRequest{Id: "crm"})
	return err
}

func TestErrorsBecomeStatusesByOneTable(t *testing.T) {
	full := errors.New("stream is full")
	rows := []rpc.Row{{Is: full, Code: codes.ResourceExhausted, Text: "no room"}}
	for name, c := range map[string]struct {
		err  error
		code codes.Code
		text string
	}{
		"none":      {nil, codes.OK, ""},
		"status":    {status.Error(codes.DataLoss, "x"), codes.DataLoss, "x"},
		"wrapped":   {fmt.Errorf("get it: %w", rpc.NotFound("recipient", "crm")), codes.NotFound, `recipient "crm" does not exist`},
		"row":       {fmt.Errorf("accept: %w", full), codes.ResourceExhausted, "no room"},
		"cancelled": {context.Canceled, codes.Canceled, "the call was cancelled"},
		"deadline":  {context.DeadlineExceeded, codes.DeadlineExceeded, "the call exceeded its deadline"},
		"violations": {event.Violations{{Field: "id", Reason: event.ReasonMissing, Description: "is missing"}}, codes.InvalidArgument,
			"id: is missing"},
		"not found": {rpc.NotFound("recipient", "crm"), codes.NotFound, `recipient "crm" does not exist`},
		"taken": {rpc.AlreadyExists("displayName", "CRM", "choose another"), codes.AlreadyExists,
			`displayName "CRM" is taken: choose another`},
		"stale": {rpc.Aborted("recipient", "crm"), codes.Aborted,
			`recipient "crm" was changed by someone else: read it again and repeat the change`},
		"precondition": {rpc.FailedPrecondition("RELAY_UNSET", "no relay"), codes.FailedPrecondition, "no relay"},
		"large":        {rpc.TooLarge("event", "too large"), codes.OutOfRange, "too large"},
		"full":         {rpc.Full("EVENTS_FULL", "full"), codes.ResourceExhausted, "full"},
		"away":         {rpc.Unavailable("away"), codes.Unavailable, "away"},
		"later":        {rpc.Unimplemented("purging"), codes.Unimplemented, "purging is not available in this version"},
		"unknown":      {errors.New("/secret/path exploded"), codes.Internal, "internal error: see the service's log"},
	} {
		t.Run(name, func(t *testing.T) {
			err := get(t, rpc.ServerOptions{Errors: rows}, func(context.Context) error { return c.err })
			if s := status.Convert(err); s.Code() != c.code || s.Message() != c.text {
				t.Errorf("answered %s %q, want %s %q", s.Code(), s.Message(), c.code, c.text)
			}
		})
	}
}

func TestAPanicIsInternalAndIsLogged(t *testing.T) {
	var log bytes.Buffer
	err := get(t, rpc.ServerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(context.Context) error { panic("the sky fell") })
	if s := status.Convert(err); s.Code() != codes.Internal || strings.Contains(s.Message(), "sky") || len(s.Details()) != 0 {
		t.Errorf("answered %v", err)
	}
	if text := log.String(); !strings.Contains(text, "the sky fell") || !strings.Contains(text, "server_test.go") {
		t.Errorf("log lacks the panic or its stack: %s", text)
	}
}

func TestACallWithoutADeadlineGetsOneAndKnowsItsCaller(t *testing.T) {
	err := get(t, rpc.ServerOptions{}, func(ctx context.Context) error {
		_, bounded := ctx.Deadline()
		if p, ok := rpc.PrincipalFrom(ctx); !bounded || !ok || p.Role != rpc.RoleAdmin {
			return fmt.Errorf("deadline %v, principal %v", bounded, p)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func broken() *v1.Recipient {
	return &v1.Recipient{
		Id: "No Good", EventTypes: []string{"ok_type", "NOT OK"},
		Channel: &v1.Recipient_Http{Http: &v1.HttpRecipient{Url: "", RetryInterval: durationpb.New(time.Millisecond)}},
	}
}

func TestEveryFaultOfARequestIsToldAtOnceInJSONsSpelling(t *testing.T) {
	h := &recipients{create: func(context.Context, *v1.CreateRecipientRequest) (*v1.Recipient, error) {
		return nil, errors.New("handler was called")
	}}
	client := v1.NewRecipientServiceClient(serve(t, rpc.ServerOptions{Authenticator: known{}}, h.register, adminToken))
	_, err := client.CreateRecipient(t.Context(), &v1.CreateRecipientRequest{Recipient: broken()})
	if status.Code(err) != codes.InvalidArgument {
		t.Fatalf("answered %v", err)
	}
	fields := map[string]bool{}
	for _, v := range rpc.ViolationsOf(err) {
		fields[v.Field] = true
		if v.Reason == "" || v.Description == "" {
			t.Errorf("%s lacks reason or description: %+v", v.Field, v)
		}
	}
	for _, want := range []string{"recipient.id", "recipient.displayName", "recipient.eventTypes[1]", "recipient.http.url",
		"recipient.http.retryInterval"} {
		if !fields[want] {
			t.Errorf("no violation of %s among %v", want, fields)
		}
	}
}

func TestAHandlerMayValidateItselfAndAddWhatItKnows(t *testing.T) {
	validator, err := rpc.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	h := &recipients{create: func(_ context.Context, q *v1.CreateRecipientRequest) (*v1.Recipient, error) {
		faults, err := validator.Check(q.GetRecipient(), "recipient")
		if err != nil {
			return nil, err
		}
		return nil, rpc.InvalidArgument(append(faults,
			rpc.Violation{Field: "recipient.eventTypes[0]", Reason: "UNKNOWN_TYPE", Description: "is not known"})...)
	}}
	o := rpc.ServerOptions{Authenticator: known{}, HandlerValidates: []string{v1.RecipientService_CreateRecipient_FullMethodName}}
	_, err = v1.NewRecipientServiceClient(serve(t, o, h.register, adminToken)).CreateRecipient(t.Context(),
		&v1.CreateRecipientRequest{Recipient: broken()})
	text := fmt.Sprint(rpc.ViolationsOf(err))
	for _, want := range []string{"recipient.eventTypes[0]", "recipient.displayName", "recipient.http.url"} {
		if !strings.Contains(text, want) {
			t.Errorf("no violation of %s: %s", want, text)
		}
	}
}

func TestHealthNeedsNoTokenAndReflectionDoes(t *testing.T) {
	stranger := serve(t, rpc.ServerOptions{Authenticator: known{}}, everything, "")
	answer, err := healthpb.NewHealthClient(stranger).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", answer, err)
	}
	for token, want := range map[string]codes.Code{"": codes.Unauthenticated, adminToken: codes.OK, applianceToken: codes.PermissionDenied} {
		conn := serve(t, rpc.ServerOptions{Authenticator: known{}}, everything, token)
		s, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
		if _, err := s.Recv(); status.Code(err) != want {
			t.Errorf("reflection with token %q: %v, want %s", token, err, want)
		}
	}
}

func TestStreamsEndWhenTheServerStops(t *testing.T) {
	stop, watching := make(chan struct{}), make(chan struct{})
	h := &recipients{watch: func(s grpc.ServerStreamingServer[v1.WatchRecipientsResponse]) error {
		close(watching)
		<-s.Context().Done()
		return s.Context().Err()
	}}
	s, err := v1.NewRecipientServiceClient(serve(t, rpc.ServerOptions{Authenticator: known{}, Stop: stop}, h.register, serviceToken)).
		WatchRecipients(t.Context(), &v1.WatchRecipientsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	<-watching
	close(stop)
	if _, err := s.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("stream ended with %v, want UNAVAILABLE", err)
	}
}

func TestOverTCPACallUnderWayIsFinishedAndAClientWaitsForItsServer(t *testing.T) {
	address := porttest.Address(t)
	conn, err := rpc.Dial(address, adminToken)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	began, let := make(chan struct{}), make(chan struct{})
	h := &recipients{get: func(context.Context, *v1.GetRecipientRequest) (*v1.Recipient, error) {
		close(began)
		<-let
		return &v1.Recipient{Id: "crm"}, nil
	}}
	var wg sync.WaitGroup
	wg.Go(func() {
		r, err := v1.NewRecipientServiceClient(conn).GetRecipient(t.Context(), &v1.GetRecipientRequest{Id: "crm"})
		if err != nil || r.GetId() != "crm" {
			t.Errorf("answered %v, %v", r, err)
		}
	})
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := rpc.NewServer(rpc.ServerOptions{Authenticator: known{}})
	h.register(s)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- rpc.Serve(ctx, s, l) }()
	<-began
	cancel()
	close(let)
	wg.Wait()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestTokenFilesAreReadAgainWhenTheyChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.token")
	write := func(token string, at time.Time) {
		if err := errors.Join(os.WriteFile(path, []byte(token+"\n"), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	is := func(f *rpc.TokenFiles, token string, want error) {
		t.Helper()
		if err := f.Check(); err != nil {
			t.Fatal(err)
		}
		p, err := f.Authenticate(t.Context(), token)
		if !errors.Is(err, want) || (want == nil && p.Role != rpc.RoleAdmin) {
			t.Errorf("%s is %v, %v: want %v", token, p, err, want)
		}
	}
	f := rpc.FileTokens(path, "")
	if err := f.Check(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("absent file: %v", err)
	}
	write("old", time.Unix(1, 0))
	is(f, "old", nil)
	is(f, "", rpc.ErrUnknownToken)
	write("new", time.Unix(2, 0))
	is(f, "new", nil)
	is(f, "old", rpc.ErrUnknownToken)
	both := rpc.Authenticators{f, known{}}
	if p, err := both.Authenticate(t.Context(), applianceToken); err != nil || p.Appliance != "a-1" {
		t.Errorf("second authenticator was not asked: %v, %v", p, err)
	}
}

func TestALocalClientMayBeMadeBeforeItsServerAndEitherMayBeMissing(t *testing.T) {
	if err := rpc.NewLocal().Close(); err != nil {
		t.Errorf("close without a server: %v", err)
	}
	local := rpc.NewLocal()
	conn, err := local.Dial(adminToken)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := v1.NewRecipientServiceClient(conn).GetRecipient(t.Context(), &v1.GetRecipientRequest{Id: "crm"})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("early call ended with %v, want the server's UNIMPLEMENTED", err)
		}
	})
	s := rpc.NewServer(rpc.ServerOptions{Authenticator: known{}})
	everything(s)
	local.Serve(s)
	wg.Wait()
	s.Stop()
	if err := errors.Join(conn.Close(), local.Close()); err != nil {
		t.Error(err)
	}
}
