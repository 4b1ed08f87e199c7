package config_test

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/auditlog"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/dnstest"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/rpc/audited"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// fixture is a config service on a broker of its own, reached over gRPC.
type fixture struct {
	t      *testing.T
	broker *bustest.Server
	bus    *bus.Conn
	// own is the service's connection to the broker, if it has one of its own.
	own      *bus.Conn
	sealer   *secret.Sealer
	admin    outboundv1.RecipientServiceClient
	settings outboundv1.SettingsServiceClient
	backups  outboundv1.BackupServiceClient
	keys     outboundv1.KeyServiceClient
	services outboundv1.RecipientServiceClient
	watcher  outboundv1.SettingsServiceClient
	stop     func()
	// resolver knows every name.
	resolver *net.Resolver
	// conn is a connection with the services' token.
	conn *grpc.ClientConn
	// notices take those of the service that is run next.
	notices *notice.Board
	// hold is the lease's of the service that is run next, if there is one.
	hold func(context.Context) error
	// service is the service itself, which also tells whose a token is.
	service *config.Service
}

func start(t *testing.T, adapt ...func(*config.Options)) *fixture {
	t.Helper()
	b := bustest.Start(t)
	sealer, err := secret.LoadOrCreateKey(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	h := &fixture{t: t, broker: b, bus: b.Conn(), sealer: sealer, resolver: dnstest.Start(t, names)}
	h.run(adapt...)
	return h
}

// names has public addresses for all but a few.
func names(name string) []netip.Addr {
	switch name {
	case "inside.example.com":
		return []netip.Addr{netip.MustParseAddr("10.1.2.3")}
	case "nowhere.example.com":
		return nil
	default:
		return []netip.Addr{netip.MustParseAddr("93.184.215.14")}
	}
}

// run starts the service; a second call is a restart after stop, or a replica.
func (h *fixture) run(adapt ...func(*config.Options)) {
	h.t.Helper()
	o := config.DefaultOptions()
	for _, f := range adapt {
		f(&o)
	}
	conn := cmp.Or(h.own, h.bus)
	publisher := bus.NewPublisher(conn)
	s, err := config.New(o, config.Deps{Bus: conn, Publisher: publisher, Sealer: h.sealer, Resolver: h.resolver, Notices: h.notices,
		Hold: h.hold, KeysSettledFor: time.Millisecond})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	server := rpc.NewServer(rpc.ServerOptions{Authenticator: rpc.Tokens{Admin: "admin", Service: "service"},
		HandlerValidates: config.HandlerValidates(), Stop: ctx.Done(), Audit: audited.New(auditlog.New(conn), nil)})
	if err := s.Open(ctx); err != nil {
		h.t.Fatal(err)
	}
	s.Register(server)
	local := rpc.InProcess(server)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	admin, err := local.Dial("admin")
	if err != nil {
		h.t.Fatal(err)
	}
	service, err := local.Dial("service")
	if err != nil {
		h.t.Fatal(err)
	}
	stopped := false
	h.stop = func() {
		if stopped {
			return
		}
		stopped = true
		_, _ = admin.Close(), service.Close()
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("run ended with %v", err)
		}
		server.Stop()
		_ = local.Close()
		publisher.Close()
	}
	h.t.Cleanup(h.stop)
	h.conn, h.service = service, s
	h.admin, h.settings = outboundv1.NewRecipientServiceClient(admin), outboundv1.NewSettingsServiceClient(admin)
	h.backups, h.keys = outboundv1.NewBackupServiceClient(admin), outboundv1.NewKeyServiceClient(admin)
	h.services, h.watcher = outboundv1.NewRecipientServiceClient(service), outboundv1.NewSettingsServiceClient(service)
}

func (h *fixture) ctx() context.Context {
	ctx, cancel := waittest.Context(context.Background())
	h.t.Cleanup(cancel)
	return ctx
}

func (h *fixture) create(r *outboundv1.Recipient) *outboundv1.Recipient {
	h.t.Helper()
	out, err := h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: r})
	if err != nil {
		h.t.Fatalf("create %q: %v", r.GetDisplayName(), err)
	}
	return out
}

// bucket opens a bucket beside the service's back.
func (h *fixture) bucket(name string) *bus.Bucket {
	h.t.Helper()
	b, err := h.bus.Bucket(h.ctx(), name)
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// eventually waits for a fact.
func (h *fixture) eventually(what string, fact func() bool) {
	h.t.Helper()
	waittest.Until(h.t, what, fact)
}

func httpRecipient(name string) *outboundv1.Recipient {
	return &outboundv1.Recipient{
		DisplayName: name, EventTypes: []string{"support_conference_begin", "support_conference_end"},
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{Url: "https://receiver.example.com/hook"}},
	}
}

func emailRecipient(name string) *outboundv1.Recipient {
	return &outboundv1.Recipient{
		DisplayName: name, EventTypes: []string{"support_conference_end"},
		Channel: &outboundv1.Recipient_Email{Email: &outboundv1.EmailRecipient{Addresses: []string{"ops@example.com"}}},
	}
}

func seconds(n float64) *durationpb.Duration {
	return durationpb.New(time.Duration(n * float64(time.Second)))
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Fatalf("answered %v, want %s", err, want)
	}
}

// wantFields checks that exactly these fields were found at fault.
func wantFields(t *testing.T, err error, want ...string) {
	t.Helper()
	wantCode(t, err, codes.InvalidArgument)
	var got []string
	for _, v := range rpc.ViolationsOf(err) {
		if v.Description == "" {
			t.Errorf("the fault of %s is not described", v.Field)
		}
		got = append(got, v.Field)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("found at fault\n %q, want\n %q\n%v", got, want, err)
	}
}

// waits waits until a queue holds n events. The broker counts an event a moment after it has confirmed it.
func (h *fixture) waits(id string, n uint64) {
	h.t.Helper()
	h.eventually(fmt.Sprintf("%d events wait for %s", n, id), func() bool {
		b, err := control.New(h.bus).Backlog(h.ctx(), recipient.HTTP, id)
		return err == nil && b.Waiting == n
	})
}
