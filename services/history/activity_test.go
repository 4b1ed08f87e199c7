package history_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/certtest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

// running starts another history service on the same broker, which runs until the test ends.
func (h *fixture) running(adapt func(*history.Deps)) outboundv1.StatusServiceClient {
	h.t.Helper()
	deps := history.Deps{Bus: h.bus, Log: h.log, Publisher: h.publisher, Config: h.config, Broker: history.EmbeddedAlways, Version: "test"}
	if adapt != nil {
		adapt(&deps)
	}
	s, err := history.New(history.DefaultOptions(), deps)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	h.t.Cleanup(func() { cancel(); <-done })
	return outboundv1.NewStatusServiceClient(serve(h.t, tokens(), "admin", func(g *grpc.Server) { s.Register(g) }))
}

// eventually waits for a fact.
func (h *fixture) eventually(what string, fact func() bool) {
	h.t.Helper()
	waittest.Until(h.t, what, fact)
}

func tokens() rpc.Tokens { return rpc.Tokens{Admin: "admin", Service: "service"} }

func TestTheDayOfEachRecipientIsCounted(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("good", "support_conference_end"),
		httpRecipient("bad", "support_conference_end"), httpRecipient("idle", "support_conference_end"))
	e1, e2 := h.accept("a1", "e-1"), h.accept("a1", "e-2")
	h.attempted(e1, "good", "", 1, delivery.StateRetrying)
	h.attempted(e1, "good", "", 2, delivery.StateDelivered)
	status := h.running(nil)
	counted := func(id string) (delivered, failed int64, r *outboundv1.RecipientStatus) {
		s, err := status.GetStatus(t.Context(), &outboundv1.GetStatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r = range s.GetRecipients() {
			if r.GetRecipientId() == id {
				break
			}
		}
		for _, a := range r.GetActivity() {
			delivered, failed = delivered+a.GetDelivered(), failed+a.GetFailed()
		}
		return delivered, failed, r
	}
	h.eventually("what was before is counted", func() bool { d, f, _ := counted("good"); return d == 1 && f == 1 })
	h.attempted(e2, "good", "", 1, delivery.StateDelivered)
	h.attempted(e1, "bad", "", 1, delivery.StateRetrying)
	h.attempted(e1, "bad", "", 2, delivery.StateExpired)
	h.attempted(e2, "bad", "", 1, delivery.StateRejected)
	h.attempted(e2, "bad", "replay-1", 0, delivery.StateSkipped)
	h.attempted(e1, "bad", "replay-2", 0, delivery.StateCancelled)
	h.eventually("what comes is counted", func() bool {
		d, f, _ := counted("good")
		d2, f2, _ := counted("bad")
		return d == 2 && f == 1 && d2 == 0 && f2 == 3
	})
	_, _, good := counted("good")
	if n := len(good.GetActivity()); n == 0 || n > 2 {
		t.Errorf("%d hours are told of what happened within a minute", n)
	}
	hour := time.Now().Truncate(time.Hour)
	if at := good.GetActivity()[len(good.GetActivity())-1].GetStartTime().AsTime(); hour.Sub(at) > time.Hour || at.Minute()+at.Second() != 0 {
		t.Errorf("the last hour begins at %s", at)
	}
	if good.GetLastDeliveredTime() == nil || good.GetLastAttemptTime() == nil || good.GetChannel() != "http" {
		t.Errorf("it is %v", good)
	}
	_, _, bad := counted("bad")
	if bad.GetLastDeliveredTime() != nil || bad.GetLastAttemptTime() == nil {
		t.Errorf("of who never got anything is told %v", bad)
	}
	if d, f, idle := counted("idle"); d != 0 || f != 0 || len(idle.GetActivity()) != 0 || idle.GetLastAttemptTime() != nil {
		t.Errorf("of an idle one is told %v", idle)
	}
}

func TestProcessesAnswerInTheStatus(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = control.New(h.bus).Announce(ctx, func() []string { return []string{"The disk is full."} }, control.NewPresence("http-sender", "1.2"),
			control.NewPresence("config", "1.3"),
			control.NewPresence("http-sender", "1.1"))
	}()
	defer func() { cancel(); <-gone }()
	status := h.running(func(d *history.Deps) { d.FreeBytes = func() (uint64, error) { return 42, nil } })
	var last *outboundv1.Status
	names := func() string {
		s, err := status.GetStatus(t.Context(), &outboundv1.GetStatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		last = s
		var out []string
		for _, x := range s.GetServices() {
			out = append(out, x.GetName())
			if x.GetInstance() == "" || x.GetVersion() == "" || x.GetStartTime() == nil {
				t.Errorf("a process is told as %v", x)
			}
		}
		return strings.Join(out, " ")
	}
	h.eventually("all processes are told", func() bool { return names() == "config http-sender http-sender" })
	if d := last.GetDisk(); !d.GetFreeKnown() || d.GetFreeBytes() != 42 || d.GetLimitBytes() != 768<<20 {
		t.Errorf("the disk is %v", d)
	}
	if n := last.GetNotices(); !slices.ContainsFunc(n, func(text string) bool {
		return strings.HasPrefix(text, "http-sender on ") && strings.HasSuffix(text, ": The disk is full.")
	}) {
		t.Errorf("the notice of a process is missing in %q", n)
	}
	cancel()
	h.eventually("those that have gone are not", func() bool { return names() == "" })
}

func TestStreamsTellTheirBounds(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r", "support_conference_end"))
	h.attempted(h.accept("a1", "e-1"), "r", "", 1, delivery.StateDelivered)
	s, err := h.status.GetStatus(t.Context(), &outboundv1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	used := uint64(0)
	for i, want := range []struct {
		name              string
		messages, bytes   uint64
		days, maxMessages uint64
	}{{"EVENTS", 1, 256 << 20, 8, 0}, {"HISTORY", 2, 256 << 20, 7, 500_000}, {"NOTICES", 0, 256 << 20, 7, 0}} {
		x := s.GetStreams()[i]
		used += x.GetBytes()
		if x.GetName() != want.name || x.GetMessages() != want.messages || x.GetMaxBytes() != want.bytes ||
			x.GetMaxMessages() != want.maxMessages ||
			x.GetMaxAge().AsDuration() != time.Duration(want.days)*24*time.Hour || (x.GetFirstTime() != nil) != (want.messages > 0) {
			t.Errorf("stream %d is %v, want %+v", i, x, want)
		}
	}
	if s.GetDisk().GetUsedBytes() != used || s.GetDisk().GetFreeKnown() {
		t.Errorf("the disk is %v, want %d used", s.GetDisk(), used)
	}
}

func TestAFillingStreamOfEventsIsToldFromFourFifthsOn(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways)
	o := bustest.StreamOptions()
	o.EventsMaxBytes = 64 << 10
	if err := h.bus.EnsureStreams(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	seen := map[bool]int{}
	for n := 0; seen[true] == 0; n++ {
		h.accept("a1", fmt.Sprintf("e-%d", n))
		s, err := h.status.GetStatus(t.Context(), &outboundv1.GetStatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		told := strings.Contains(strings.Join(s.GetNotices(), "\n"), "% full. When it is full, events are refused")
		if used := s.GetStreams()[0].GetUsedPercent(); told != (used >= 80) {
			t.Fatalf("at %d %% it is told: %t", used, told)
		}
		seen[told]++
	}
	if seen[false] < 10 {
		t.Errorf("it was told after %d events", seen[false])
	}
}

func TestWhatEndsIsToldSoonestFirst(t *testing.T) {
	now := time.Now()
	soon, client, gone := httpRecipient("soon", "support_conference_end"), httpRecipient("client", "support_conference_end"),
		httpRecipient("gone", "support_conference_end")
	soon.GetHttp().CaCertificatePem = certificate(t, "Root A", now.Add(10*24*time.Hour)) + certificate(t, "Root B", now.Add(400*24*time.Hour))
	client.GetHttp().Auth = &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_ClientCertificate{ClientCertificate: &outboundv1.ClientCertificate{
		CertificatePem: certificate(t, "us", now.Add(20*24*time.Hour)) + certificate(t, "Our Root", now.Add(5*24*time.Hour)),
	}}}
	// The secret ss-3 succeeds ss-2, and ss-1 has no successor of its kind.
	gone.GetHttp().SigningSecrets = []*outboundv1.SigningSecret{{Id: "ss-1", ExpireTime: timestamppb.New(now.Add(-time.Hour))},
		{Id: "ss-2", Kind: outboundv1.SigningSecret_ED25519, ExpireTime: timestamppb.New(now.Add(time.Hour))},
		{Id: "ss-3", Kind: outboundv1.SigningSecret_ED25519}}
	relay := &outboundv1.SmtpSettings{Host: "mail.example.com", FromAddress: "o@example.com",
		CaCertificatePem: certificate(t, "Relay Root", now.Add(90*24*time.Hour))}
	h := newFixtureWith(t, history.EmbeddedAlways, relay, soon, client, gone)
	for range 2 {
		s, err := h.status.GetStatus(t.Context(), &outboundv1.GetStatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range s.GetExpiries() {
			got = append(got, x.GetKind()+" "+x.GetResource()+" "+x.GetSubject())
		}
		want := "signing_secret recipients/gone ss-1, ca_certificate recipients/soon CN=Root A, client_certificate recipients/client CN=us, " +
			"ca_certificate settings/smtp CN=Relay Root, ca_certificate recipients/soon CN=Root B"
		if strings.Join(got, ", ") != want {
			t.Errorf("told\n %s, want\n %s", strings.Join(got, ", "), want)
		}
		notices := strings.Join(s.GetNotices(), "\n")
		for _, part := range []string{"The signing secret of recipients/gone (ss-1) expired on",
			"The CA certificate of recipients/soon (CN=Root A) expires on", "The client certificate of recipients/client (CN=us) expires on"} {
			if !strings.Contains(notices, part) {
				t.Errorf("no notice %q in\n%s", part, notices)
			}
		}
		if strings.Contains(notices, "Root B") || strings.Contains(notices, "Relay Root") {
			t.Errorf("what ends later has a notice:\n%s", notices)
		}
	}
}

// certificate is a self-signed one that ends at a time.
func certificate(t *testing.T, name string, end time.Time) string {
	t.Helper()
	return certtest.SelfSigned(t, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.NotBefore, c.NotAfter = name, true, end.Add(-1000*24*time.Hour), end
	}).PEM
}
