// Package consoletest starts a console for tests of its pages: on a real port, with fake services of the test and signed-in users.
package consoletest

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/session"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console"
)

// The tokens of the system and the password of its users. The users are named like their roles: viewer, operator and admin.
const (
	AdminToken   = "admin-token"
	serviceToken = "service-token"
	Password     = "correct horse battery"
)

// System is a console with its services.
type System struct {
	t testing.TB
	// URL is the address of the console, e.g. http://127.0.0.1:4711.
	URL string
	// Access is the fake AccessService.
	Access *Access
	// Log is the log of the console.
	Log *waittest.Log
	// Link is the one-time link of a first start.
	Link chan string
}

// Options are the options of a test system.
type Options struct {
	// Register registers the fake services, except AccessService.
	Register func(grpc.ServiceRegistrar)
	// Users is the AccessService. Default: viewer, operator and admin.
	Users *Access
	// Options changes the options of the console.
	Options func(*console.Options)
	// Deps changes the dependencies of the console.
	Deps func(*console.Deps)
}

// Start starts a console, which stops with the test.
func Start(t testing.TB, o Options) *System {
	t.Helper()
	h := &System{t: t, Access: NewAccess(), Log: &waittest.Log{}, Link: make(chan string, 1)}
	server := rpc.NewServer(rpc.ServerOptions{Authenticator: rpc.Tokens{Admin: AdminToken, Service: serviceToken},
		Logger: slog.New(slog.DiscardHandler)})
	if o.Users != nil {
		h.Access = o.Users
	}
	outboundv1.RegisterAccessServiceServer(server, h.Access)
	if o.Register != nil {
		o.Register(server)
	}
	local := rpc.InProcess(server)
	bare, signed := h.dial(local, ""), h.dial(local, serviceToken)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.URL = "http://" + l.Addr().String()
	options := console.DefaultOptions()
	if o.Options != nil {
		o.Options(&options)
	}
	deps := console.Deps{
		Config: bare, Ingest: bare, History: bare, Signed: console.Neighbours{Config: signed, Ingest: signed, History: signed},
		Listener: l, Ops: process.Ops{}, Store: session.NewMemory(), Logger: slog.New(slog.NewTextHandler(h.Log, nil)), Version: "test",
		FirstStart: func(link string) { h.Link <- link },
	}
	if o.Deps != nil {
		o.Deps(&deps)
	}
	c, err := console.New(options, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_, _ = bare.Close(), signed.Close()
		server.Stop()
		_ = local.Close()
	})
	return h
}

func (h *System) dial(local *rpc.Local, token string) *grpc.ClientConn {
	h.t.Helper()
	conn, err := local.Dial(token)
	if err != nil {
		h.t.Fatal(err)
	}
	return conn
}

// As returns a browser signed in as viewer, operator or admin.
func (h *System) As(role string) *Browser {
	h.t.Helper()
	b := h.Browser()
	if a := b.Post("/sign-in", url.Values{"name": {role}, "password": {Password}}); a.Status != http.StatusSeeOther {
		h.t.Fatalf("%s is not let in: %d %s", role, a.Status, a.Body)
	}
	return b
}

// Browser returns a browser that is not signed in.
func (h *System) Browser() *Browser { return NewBrowser(h.t, h.URL) }

// NewBrowser returns a browser for an address.
func NewBrowser(t testing.TB, url string) *Browser {
	return &Browser{t: t, URL: url, Cookies: map[string]string{}, Header: http.Header{}}
}

// Browser keeps cookies like a browser on loopback, which accepts Secure cookies. It does not follow redirects.
type Browser struct {
	t       testing.TB
	URL     string
	Cookies map[string]string
	// Header is sent with every request, e.g. HX-Request: true.
	Header http.Header
}

// Answer is a response.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Get requests a page.
func (b *Browser) Get(path string) Answer {
	b.t.Helper()
	return b.Do(http.MethodGet, path, nil)
}

// Post submits a form with the headers of a same-origin request.
func (b *Browser) Post(path string, form url.Values) Answer {
	b.t.Helper()
	return b.Do(http.MethodPost, path, form, "Origin", b.URL, "Sec-Fetch-Site", "same-origin")
}

// Do sends a request with headers in pairs.
func (b *Browser) Do(method, path string, form url.Values, header ...string) Answer {
	b.t.Helper()
	resp := b.open(method, path, form, header...)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return Answer{resp.StatusCode, resp.Header, string(body)}
}

// Stream opens a streaming response. The test closes its body.
func (b *Browser) Stream(path string) *http.Response {
	b.t.Helper()
	return b.open(http.MethodGet, path, nil, "Accept", "text/event-stream")
}

func (b *Browser) open(method, path string, form url.Values, header ...string) *http.Response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, values := range b.Header {
		req.Header[name] = values
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	for name, value := range b.Cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			delete(b.Cookies, c.Name)
		} else {
			b.Cookies[c.Name] = c.Value
		}
	}
	return resp
}

// empty implements services with empty responses.
func empty() *emptypb.Empty { return &emptypb.Empty{} }

func now() *timestamppb.Timestamp { return timestamppb.Now() }
