package emailsender_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/emailsender"
)

// configService tells one recipient and the settings, and nothing more.
type configService struct {
	outboundv1.UnimplementedRecipientServiceServer
	outboundv1.UnimplementedSettingsServiceServer
	recipient *outboundv1.Recipient
	settings  *outboundv1.WatchSettingsResponse
	// changes are told as they come, after settings.
	changes chan *outboundv1.WatchSettingsResponse
	// kept are the refresh tokens that were handed back.
	kept chan *outboundv1.KeepRelayTokenRequest
}

func (c *configService) KeepRelayToken(_ context.Context, q *outboundv1.KeepRelayTokenRequest) (*emptypb.Empty, error) {
	c.kept <- q
	return &emptypb.Empty{}, nil
}

func (c *configService) WatchRecipients(_ *outboundv1.WatchRecipientsRequest,
	s grpc.ServerStreamingServer[outboundv1.WatchRecipientsResponse]) error {
	err := s.Send(&outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Recipient{
		Recipient: &outboundv1.StoredRecipient{Recipient: c.recipient, StartSequence: 1, Revision: 1},
	}})
	if err != nil {
		return err
	}
	if err := s.Send(&outboundv1.WatchRecipientsResponse{
		Change: &outboundv1.WatchRecipientsResponse_Synced{Synced: &emptypb.Empty{}},
	}); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}

func (c *configService) WatchSettings(_ *outboundv1.WatchSettingsRequest,
	s grpc.ServerStreamingServer[outboundv1.WatchSettingsResponse]) error {
	next := c.settings
	for {
		if err := s.Send(next); err != nil {
			return err
		}
		select {
		case next = <-c.changes:
		case <-s.Context().Done():
			return nil
		}
	}
}

// mailServer is where a relay of a test listens.
type mailServer interface {
	Host() string
	Port() int
}

// watcher waits for what becomes of deliveries.
type watcher chan delivery.Report

func (watcher) Begin(ctx context.Context, _ *delivery.Delivery) context.Context { return ctx }
func (w watcher) End(_ context.Context, r delivery.Report)                      { w <- r }
func (w watcher) Ended(r delivery.Report)                                       { w <- r }

func (w watcher) next(t *testing.T) delivery.Report {
	t.Helper()
	return waittest.Receive(t, "what becomes of a delivery", w)
}

// start runs a service on a broker of its own until the end of the test.
func start(t *testing.T, srv mailServer, seen watcher, change ...func(*outboundv1.Recipient)) *bus.Conn {
	t.Helper()
	return open(t, srv, fixture{seen: seen, options: options(), adapt: func(c *configService) {
		for _, f := range change {
			f(c.recipient)
		}
	}})
}

// fixture is what a service of a test works in, beside its relay.
type fixture struct {
	seen    watcher
	options emailsender.Options
	// conn is the broker's; nil: one of its own.
	conn    *bus.Conn
	limiter throttle.Limiter
	sealer  *secret.Sealer
	// adapt changes what the config service tells.
	adapt func(*configService)
	// touchEvery is how often the broker is told of what is under way; 0: as in service.
	touchEvery time.Duration
}

// open runs a service until the end of the test.
func open(t *testing.T, srv mailServer, w fixture) *bus.Conn {
	t.Helper()
	fake := &configService{
		recipient: &outboundv1.Recipient{Id: "ops", DisplayName: "Ops", Enabled: new(true), EventTypes: []string{"support_conference_end"},
			Channel: &outboundv1.Recipient_Email{Email: &outboundv1.EmailRecipient{Addresses: []string{alice, bob}}}},
		settings: &outboundv1.WatchSettingsResponse{
			Smtp: &outboundv1.SmtpSettings{Host: srv.Host(), Port: int32(srv.Port()), Encryption: outboundv1.SmtpSettings_Encryption_NONE,
				FromAddress: "outbound@example.com", Etag: "1"},
			Email: &outboundv1.EmailSettings{RetryInterval: durationpb.New(200 * time.Millisecond), RetryDuration: durationpb.New(time.Hour)},
		},
	}
	if w.adapt != nil {
		w.adapt(fake)
	}
	server := grpc.NewServer()
	outboundv1.RegisterRecipientServiceServer(server, fake)
	outboundv1.RegisterSettingsServiceServer(server, fake)
	local := rpc.InProcess(server)
	cc, err := local.Dial("")
	if err != nil {
		t.Fatal(err)
	}
	conn := w.conn
	if conn == nil {
		conn = bustest.Start(t).Conn()
	}
	config := configclient.New(cc, configclient.Options{Channel: recipient.Email, Sealer: w.sealer})
	s, err := emailsender.New(w.options, emailsender.Deps{Bus: conn, Config: config, Observer: w.seen, Limiter: w.limiter})
	if err != nil {
		t.Fatal(err)
	}
	if w.touchEvery > 0 {
		emailsender.TouchEvery(s, w.touchEvery)
	}
	addresses := fake.recipient.GetEmail().GetAddresses()
	err = control.New(conn).EnsureConsumer(t.Context(),
		&recipient.Recipient{ID: "ops", Enabled: true, EventTypes: []string{"support_conference_end"},
			Email: &recipient.EmailTarget{Addresses: addresses}, StartSequence: 1, Order: recipient.Unordered})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, watched := make(chan error, 1), make(chan error, 1)
	go func() { watched <- config.Run(ctx) }()
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		<-watched
		_ = cc.Close()
		server.Stop()
		_ = local.Close()
	})
	return conn
}

func TestAnEventBecomesMailsAndARecord(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	// It is asked again at once over a new connection, for the first one may carry no more.
	srv.Play(smtptest.Script{Rcpt: map[string]*smtptest.Reply{bob: {Code: 451, Message: "later"}}, Times: 2})
	seen := make(watcher, 16)
	conn := start(t, srv, seen)

	publisher := bus.NewPublisher(conn)
	defer publisher.Close()
	e := event.Sample(event.Catalogue()[1], "appliance-1", "e-1", time.Now(), nil)
	if _, err := publisher.Accept(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	first, second := seen.next(t), seen.next(t)
	want(t, first.Verdict, delivery.Retry, reasons.PartlyDelivered)
	want(t, second.Verdict, delivery.Delivered, reasons.OK)
	if first.Delivery.Attempt != 1 || second.Delivery.Attempt != 2 {
		t.Errorf("attempts %d and %d, want 1 and 2", first.Delivery.Attempt, second.Delivery.Attempt)
	}
	counts(t, srv, map[string]int{alice: 1, bob: 1})

	rec := finalRecord(t, conn, e)
	if rec.State != delivery.StateDelivered || rec.Attempt != 2 || rec.Status != 250 || rec.Channel != "email" {
		t.Errorf("record %+v", rec)
	}
	if strings.Contains(rec.Detail+string(rec.Progress)+string(rec.Excerpt), "example.org") {
		t.Error("an address of a person stands in the record")
	}
}

// finalRecord waits for the record that ends a delivery.
func finalRecord(t *testing.T, conn *bus.Conn, e *event.Event) delivery.Record {
	t.Helper()
	return record(t, conn, e, func(r delivery.Record) bool { return r.State.Final() })
}

func TestOptionsAreCheckedAllAtOnce(t *testing.T) {
	if err := emailsender.DefaultOptions().Validate(); err != nil {
		t.Fatal(err)
	}
	err := emailsender.Options{Connections: 0, Timeout: time.Hour, IdleTimeout: 0, HelloName: "a b", Window: 0, Grace: -1,
		ProbeEvery: -1}.Validate()
	for _, path := range []string{"connections", "timeout", "idleTimeout", "helloName", "window", "grace", "probeEvery"} {
		if err == nil || !strings.Contains(err.Error(), path+":") {
			t.Errorf("%s is not named in %v", path, err)
		}
	}
	if _, err := emailsender.New(emailsender.DefaultOptions(), emailsender.Deps{}); err == nil {
		t.Error("a service without doors is made")
	}
}
