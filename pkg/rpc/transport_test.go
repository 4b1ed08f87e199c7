package rpc_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/outbound-events/outbound/pkg/pki"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// certified are the files of a service's certificate for loopback.
func certified(t *testing.T, a *pki.Authority, ca, service string) *pki.Files {
	t.Helper()
	dir := t.TempDir()
	if _, err := a.Ensure(dir, pki.Subject{Service: service, Hosts: []string{"127.0.0.1"}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	f, err := pki.Load(pki.Options{CertFile: filepath.Join(dir, pki.FileCert), KeyFile: filepath.Join(dir, pki.FileKey),
		CAFile: filepath.Join(ca, pki.FileCA)}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// secured is a server on the network with TLS, and the authority of its installation.
type secured struct {
	t       *testing.T
	ca      string
	issuer  *pki.Authority
	address string
	local   *rpc.Local
}

func secure(t *testing.T, tokens rpc.Tokens, register func(grpc.ServiceRegistrar)) *secured {
	t.Helper()
	s := &secured{t: t, ca: t.TempDir()}
	var err error
	if s.issuer, err = pki.OpenAuthority(s.ca, time.Now()); err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer(rpc.ServerOptions{Authenticator: tokens, Logger: slog.New(slog.DiscardHandler),
		TLS: certified(t, s.issuer, s.ca, pki.ServiceConfig).Server()})
	register(server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address, s.local = l.Addr().String(), rpc.InProcess(server)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- rpc.Serve(ctx, server, l) }()
	t.Cleanup(func() {
		cancel()
		if err := waittest.Receive(t, "the server's end", ended); err != nil {
			t.Error(err)
		}
		_ = s.local.Close()
	})
	return s
}

// as is a client with the certificate of a service, or none, and a token, or none.
func (s *secured) as(service, token string) *grpc.ClientConn {
	s.t.Helper()
	f := certified(s.t, s.issuer, s.ca, service)
	c := f.Client(s.address, pki.ServiceConfig)
	if service == "" {
		c.GetClientCertificate = nil
	}
	conn, err := rpc.Dial(s.address, token, rpc.WithTLS(c))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// needs is what each service calls as itself, in words. No service calls anything else.
func needs(service string) []string {
	switch service {
	case "ingest":
		return []string{"WatchSettings"}
	case "history":
		return []string{"WatchRecipients", "WatchSettings"}
	case "http-sender":
		return []string{"RequestBookmark", "WatchRecipients", "WatchSettings"}
	case "email-sender":
		return []string{"KeepRelayToken", "RequestBookmark", "WatchRecipients", "WatchSettings"}
	case "console":
		return []string{"ListUsers", "SignIn", "SignInWithOpenID"}
	default:
		return nil
	}
}

func TestAServiceCallsWhatItNeedsAndNothingElse(t *testing.T) {
	s := secure(t, rpc.Tokens{Admin: "a", Service: "s", Narrow: true}, everything)
	n, wrong := 0, 0
	for _, service := range append(pki.ServiceNames(), "stranger") {
		// The service token makes no other service of who has a certificate.
		for _, token := range []string{"", "s"} {
			conn := s.as(service, token)
			var passed []string
			for _, m := range methods(t) {
				n++
				if code := call(t, conn, m); code == codes.Unimplemented || code == codes.InvalidArgument {
					passed = append(passed, string(m.Name()))
				} else if code != codes.PermissionDenied {
					t.Errorf("%s calls %s: %s", service, m.Name(), code)
				}
			}
			slices.Sort(passed)
			if !slices.Equal(passed, needs(service)) {
				wrong++
				t.Errorf("%s with the token %q may call %v, want %v", service, token, passed, needs(service))
			}
		}
	}
	t.Logf("%d calls, %d callers with other methods than theirs", n, wrong)
}

func TestOnlyTheConsoleActsForUsers(t *testing.T) {
	s := secure(t, rpc.Tokens{Admin: "a", Service: "s", Narrow: true}, whoami().register)
	acts := func(conn grpc.ClientConnInterface) error {
		client := v1.NewRecipientServiceClient(rpc.ActingFor(conn, rpc.Principal{Role: rpc.RoleAdmin, Name: "eve"}))
		got, err := client.CreateRecipient(t.Context(), &v1.CreateRecipientRequest{Recipient: valid()})
		if err == nil && got.GetDisplayName() != "eve" {
			t.Errorf("acting as eve is acting as %q", got.GetDisplayName())
		}
		return err
	}
	for _, service := range pki.ServiceNames() {
		for _, token := range []string{"", "s"} {
			err := acts(s.as(service, token))
			if want := service == pki.ServiceConsole; (err == nil) != want || !want && status.Code(err) != codes.PermissionDenied {
				t.Errorf("%s with the token %q acts: %v", service, token, err)
			}
		}
	}
	for token, want := range map[string]codes.Code{"": codes.Unauthenticated, "s": codes.PermissionDenied, "a": codes.PermissionDenied,
		"wrong": codes.Unauthenticated} {
		if err := acts(s.as("", token)); status.Code(err) != want {
			t.Errorf("with the token %q and no certificate: %v, want %s", token, err, want)
		}
	}
	own := serve(t, rpc.ServerOptions{Authenticator: rpc.Tokens{Service: "s", Console: "c"}}, whoami().register, "")
	for token, want := range map[string]codes.Code{"s": codes.PermissionDenied, "c": codes.OK} {
		if err := acts(rpc.Bearing(own, token)); status.Code(err) != want {
			t.Errorf("with the token %q where the console has its own: %v, want %s", token, err, want)
		}
	}
}

func TestACertificateOfAnotherInstallationIsNobodys(t *testing.T) {
	s, other := secure(t, rpc.Tokens{}, everything), secure(t, rpc.Tokens{}, everything)
	c := certified(t, s.issuer, s.ca, pki.ServiceConsole).Client(s.address, pki.ServiceConfig)
	c.GetClientCertificate = certified(t, other.issuer, other.ca, pki.ServiceConsole).Client(s.address, pki.ServiceConfig).GetClientCertificate
	conn, err := rpc.Dial(s.address, "", rpc.WithTLS(c))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = v1.NewStatusServiceClient(rpc.FailFast(conn)).GetStatus(t.Context(), &v1.GetStatusRequest{})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("answered %v, want the connection refused", err)
	}
}

func TestAServerWithTLSIsReachedInsideItsProcessWithoutAndByTheNetworkOnlyWith(t *testing.T) {
	s := secure(t, rpc.Tokens{Admin: "a"}, everything)
	local, err := s.local.Dial("a")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = local.Close() }()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x", "y")
	if _, err := v1.NewStatusServiceClient(local).GetStatus(ctx, &v1.GetStatusRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("in this process: %v", err)
	}
	plain, err := rpc.Dial(s.address, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	if _, err := v1.NewStatusServiceClient(rpc.FailFast(plain)).GetStatus(ctx, &v1.GetStatusRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("in plain text: %v", err)
	}
}

// The table of docs/security.md.
const (
	securityDoc = "../../docs/security.md"
	tableBegin  = "<!-- who may call what: written by a test -->\n"
	tableEnd    = "<!-- end of the table -->"
)

// table says who may call each method, from the descriptors and the rules.
func table(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| method | roles | services, as themselves |\n|---|---|---|\n")
	rules, all := rpc.Rules(), methods(t)
	slices.SortFunc(all, func(x, y protoreflect.MethodDescriptor) int { return strings.Compare(fullMethod(x), fullMethod(y)) })
	for _, m := range all {
		rule := rules[fullMethod(m)]
		var roles []string
		for _, r := range []rpc.Role{rpc.RoleViewer, rpc.RoleOperator, rpc.RoleAdmin, rpc.RoleAppliance} {
			if rule.Allows(r) {
				roles = append(roles, r.String())
			}
		}
		var services []string
		for _, name := range append(pki.ServiceNames(), pki.ServiceShared) {
			if rule.AllowsService(name) {
				services = append(services, name)
			}
		}
		fmt.Fprintf(&b, "| `%s.%s` | %s | %s |\n", m.Parent().Name(), m.Name(), strings.Join(roles, ", "), strings.Join(services, ", "))
	}
	return b.String()
}

func TestTheDocumentSaysWhoMayCallWhat(t *testing.T) {
	raw, err := os.ReadFile(securityDoc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), tableBegin)
	written, after, also := strings.Cut(rest, tableEnd)
	if !ok || !also {
		t.Fatalf("%s has no place for the table", securityDoc)
	}
	want := table(t)
	if os.Getenv("GOLDEN_UPDATE") != "" {
		if err := os.WriteFile(securityDoc, []byte(before+tableBegin+want+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if written != want {
		t.Errorf("%s differs (make golden rewrites it), want\n%s", securityDoc, want)
	}
}
