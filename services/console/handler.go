package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/rpc/audited"
	"github.com/outbound-events/outbound/pkg/rpc/eventhttp"
	"github.com/outbound-events/outbound/pkg/session"
	"github.com/outbound-events/outbound/proto/openapi"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/pages/account"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// ownPath reports whether a path belongs to the console and accepts GET only. All other paths belong to the API.
func ownPath(path string) bool {
	switch path {
	case "/", "/openapi.json", "/healthz", "/readyz", "/metrics":
		return true
	default:
		return false
	}
}

func newHandler(o Options, d Deps, methods account.SignInMethods, stop <-chan struct{}) (http.Handler, error) {
	api := rpc.NewGatewayUntil(stop)
	if err := rpc.RegisterGateway(context.Background(), api, d.routes(d.bare())); err != nil {
		return nil, fmt.Errorf("register the REST routes: %w", err)
	}
	rest := bounded(o.MaxBody, onlyGET(api))
	pages, err := newPages(o, d, methods, stop, rest)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /openapi.json", content("application/json", openapi.Document()))
	process.Ops{Checks: slices.Concat(d.Ops.Checks, neighbours(d)), Metrics: d.Ops.Metrics}.Register(mux)
	// Events are not decoded here, so that ingest validates and records the original bytes.
	publish := d.Publish
	if publish == nil {
		publish = rpc.FailFast(d.Ingest)
	}
	mux.Handle(eventhttp.Pattern, eventhttp.New(outboundv1.NewEventServiceClient(publish)))
	mux.Handle("/v1/", rest)
	mux.Handle("/", pages)
	return withOrigin(o, withSecurityHeaders(o, mux)), nil
}

// newPages returns the handler of the console pages. Requests for other paths go to rest.
func newPages(o Options, d Deps, methods account.SignInMethods, stop <-chan struct{}, rest http.Handler) (http.Handler, error) {
	// Validate has checked the proxies.
	proxies, _ := web.ParseProxies(o.TrustedProxies)
	w := web.Deps{
		Bare: rpc.FailFast(d.routes(d.bare())), Sessions: session.New(d.Store, o.Session), Limiter: d.Limiter, Logger: d.Logger,
		Version: d.Version, Proxies: proxies, Origin: strings.ToLower(strings.TrimSuffix(o.PublicURL, "/")), MaxBody: o.MaxBody, Stop: stop,
	}
	if d.Signed.complete() {
		w.Service = rpc.FailFast(d.routes(d.Signed))
	}
	site, err := web.New(w)
	if err != nil {
		return nil, err
	}
	if err := addPages(site, methods); err != nil {
		return nil, err
	}
	return site.Handler(rest)
}

// content serves static content.
func content(kind string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(body)
	})
}

// withOrigin notes where each request comes from, for the audit log.
func withOrigin(o Options, next http.Handler) http.Handler {
	// Validate has checked the proxies.
	proxies, _ := web.ParseProxies(o.TrustedProxies)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := audit.Origin{Address: proxies.Client(r), Agent: r.UserAgent(), Via: "console"}
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			from.Via = "rest"
			if strings.HasPrefix(from.Agent, "outbound-cli/") {
				from.Via = "cli"
			}
		}
		next.ServeHTTP(w, r.WithContext(audited.WithOrigin(r.Context(), from)))
	})
}

// hsts makes browsers use HTTPS alone for this host, for a year (RFC 6797, 6.1).
const hsts = "max-age=31536000"

// withSecurityHeaders adds headers that restrict what browsers do with a response.
func withSecurityHeaders(o Options, next http.Handler) http.Handler {
	// Validate has checked the proxies.
	proxies, _ := web.ParseProxies(o.TrustedProxies)
	public := strings.HasPrefix(strings.ToLower(o.PublicURL), "https://")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		if public || proxies.Secure(r) {
			// A browser ignores it over HTTP (RFC 6797, 8.1), so that a publicUrl is enough to know.
			h.Set("Strict-Transport-Security", hsts)
		}
		next.ServeHTTP(w, r)
	})
}

// onlyGET refuses other methods on the paths of the console. The API checks its own methods.
func onlyGET(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ownPath(r.URL.Path) || r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		refusal := status.New(codes.Unimplemented, r.Method+" is not a method of "+r.URL.Path)
		text, err := rpc.Marshaling().Marshal(refusal.Proto())
		if err != nil {
			rpc.WriteError(w, err)
			return
		}
		w.Header().Set("Allow", "GET, HEAD")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusMethodNotAllowed)
		_, _ = w.Write(text)
	})
}

// bounded reads the whole body before it is decoded, so that an oversized body gets the right status and no service waits for a slow
// client.
func bounded(most int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			rpc.WriteError(w, rpc.TooLarge("", fmt.Sprintf("the request's body is larger than %d bytes", most)))
		case err != nil:
			rpc.WriteError(w, status.Error(codes.InvalidArgument, "the request's body ended before its time"))
		default:
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		}
	})
}
