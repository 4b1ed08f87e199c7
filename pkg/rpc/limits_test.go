package rpc_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/rpc/quota"
	"github.com/outbound-events/outbound/pkg/waittest"
	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// watches answers WatchStatus once and then keeps the stream open.
type watches struct {
	v1.UnimplementedStatusServiceServer
}

func (watches) WatchStatus(_ *v1.WatchStatusRequest, out grpc.ServerStreamingServer[v1.Status]) error {
	if err := out.Send(&v1.Status{}); err != nil {
		return err
	}
	<-out.Context().Done()
	return nil
}

func limited(t *testing.T, change func(*quota.Options)) *grpc.ClientConn {
	t.Helper()
	o := rpc.ServerOptions{Authenticator: known{}, Limits: quota.DefaultOptions()}
	change(&o.Limits)
	return serve(t, o, func(r grpc.ServiceRegistrar) { v1.RegisterStatusServiceServer(r, watches{}) }, "")
}

// wantLimited wants RESOURCE_EXHAUSTED with a wait.
func wantLimited(t *testing.T, err error, reason string) {
	t.Helper()
	s := status.Convert(err)
	var info *errdetails.ErrorInfo
	for _, d := range s.Details() {
		if x, ok := d.(*errdetails.ErrorInfo); ok {
			info = x
		}
	}
	if s.Code() != codes.ResourceExhausted || info.GetReason() != reason || rpc.RetryAfter(s) < time.Second {
		t.Errorf("got %v, %v, want RESOURCE_EXHAUSTED for %s with a wait", err, s.Details(), reason)
	}
}

func TestACallerHasSoManyStreamsAndOthersHaveTheirs(t *testing.T) {
	conn := limited(t, func(o *quota.Options) { o.StreamsPerCaller = 3 })
	admin := v1.NewStatusServiceClient(rpc.Bearing(conn, adminToken))
	watch := func(c v1.StatusServiceClient) (context.CancelFunc, error) {
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		s, err := c.WatchStatus(ctx, &v1.WatchStatusRequest{})
		if err == nil {
			_, err = s.Recv()
		}
		return cancel, err
	}
	var leave context.CancelFunc
	for range 3 {
		var err error
		if leave, err = watch(admin); err != nil {
			t.Fatal(err)
		}
	}
	_, err := watch(admin)
	wantLimited(t, err, quota.TooManyStreams)
	if _, err := watch(v1.NewStatusServiceClient(rpc.Bearing(conn, serviceToken))); err != nil {
		t.Errorf("another caller: %v", err)
	}
	leave()
	waittest.NoError(t, "a watch in the place of one that ended", func() error { _, err := watch(admin); return err })
}

func TestStreamsWithoutATokenAreCountedByAddress(t *testing.T) {
	conn := limited(t, func(o *quota.Options) { o.StreamsPerCaller = 2 })
	for i := range 3 {
		s, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err == nil {
			_, err = s.Recv()
		}
		if i < 2 && err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			wantLimited(t, err, quota.TooManyStreams)
		}
	}
}

// A tail over REST is refused as a stream is.
func TestATailBeyondTheLimitIsAnswered429(t *testing.T) {
	conn := limited(t, func(o *quota.Options) { o.StreamsPerCaller = 1 })
	mux := rpc.NewGateway()
	if err := rpc.RegisterGateway(t.Context(), mux, rpc.Routes{"/outbound.v1.StatusService": conn}); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, web.URL+"/v1/status:watch", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+adminToken)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		if resp.StatusCode != want || i == 1 && resp.Header.Get("Retry-After") != "1" {
			t.Errorf("tail %d is answered %d, %v", i, resp.StatusCode, resp.Header)
		}
	}
}

// raw is a connection of HTTP/2 that does what no client of gRPC does.
type raw struct {
	net.Conn
	*http2.Framer
	t *testing.T
}

func dialRaw(t *testing.T, o rpc.ServerOptions) *raw {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := rpc.NewServer(o)
	v1.RegisterStatusServiceServer(s, watches{})
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { s.Stop(); serving.Wait() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	r := &raw{c, http2.NewFramer(c, c), t}
	if _, err := c.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.WriteSettings(), c.SetDeadline(time.Now().Add(waittest.Limit))); err != nil {
		t.Fatal(err)
	}
	return r
}

// call begins a call and sends no request.
func (r *raw) call(stream uint32, method string) error {
	var b strings.Builder
	e := hpack.NewEncoder(&b)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "x"}, {"te", "trailers"},
		{"content-type", "application/grpc"}, {"authorization", "Bearer " + adminToken}} {
		if err := e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return err
		}
	}
	return r.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte(b.String()), EndHeaders: true})
}

func TestACallWhoseRequestNeverComesEnds(t *testing.T) {
	for name, method := range map[string]string{
		"stream": v1.StatusService_WatchStatus_FullMethodName, "without a token": healthpb.Health_Watch_FullMethodName,
	} {
		t.Run(name, func(t *testing.T) {
			limits := quota.DefaultOptions()
			limits.RequestTimeout = time.Second
			r := dialRaw(t, rpc.ServerOptions{Authenticator: known{}, Limits: limits})
			if err := r.call(1, method); err != nil {
				t.Fatal(err)
			}
			for {
				f, err := r.ReadFrame()
				if err != nil {
					t.Fatalf("the call does not end: %v", err)
				}
				if h, ok := f.(*http2.HeadersFrame); ok && h.StreamEnded() {
					return
				}
			}
		})
	}
}

// One connection that begins and resets calls as fast as it can (CVE-2023-44487) leaves a server that answers others.
func TestResetCallsLeaveAServerThatAnswers(t *testing.T) {
	r := dialRaw(t, rpc.ServerOptions{Authenticator: known{}, Limits: quota.DefaultOptions()})
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			if _, err := r.ReadFrame(); err != nil {
				return
			}
		}
	})
	defer reading.Wait()
	defer func() { _ = r.Close() }()
	for i := range uint32(5000) {
		if err := r.call(2*i+1, v1.StatusService_WatchStatus_FullMethodName); err != nil {
			return // the server has had enough of it
		}
		if err := r.WriteRSTStream(2*i+1, http2.ErrCodeCancel); err != nil {
			return
		}
	}
	conn, err := rpc.Dial(r.RemoteAddr().String(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	if _, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
}
