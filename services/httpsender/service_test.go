package httpsender_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/httpsender"
)

// recipients tells one recipient and one custom field to whoever watches.
type recipients struct {
	outboundv1.UnimplementedRecipientServiceServer
	outboundv1.UnimplementedSettingsServiceServer
	stored *outboundv1.StoredRecipient
}

func (r *recipients) WatchRecipients(_ *outboundv1.WatchRecipientsRequest, s grpc.ServerStreamingServer[outboundv1.WatchRecipientsResponse]) error {
	if err := s.Send(&outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Recipient{Recipient: r.stored}}); err != nil {
		return err
	}
	if err := s.Send(&outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Synced{Synced: &emptypb.Empty{}}}); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}

func (r *recipients) WatchSettings(_ *outboundv1.WatchSettingsRequest, s grpc.ServerStreamingServer[outboundv1.WatchSettingsResponse]) error {
	if err := s.Send(&outboundv1.WatchSettingsResponse{CustomFields: []*outboundv1.CustomField{{CodeName: "region"}}}); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}

// ends counts what the service reports.
type ends struct{ reports chan delivery.Report }

func (e ends) Begin(ctx context.Context, _ *delivery.Delivery) context.Context { return ctx }
func (e ends) End(_ context.Context, r delivery.Report)                        { e.reports <- r }
func (e ends) Ended(r delivery.Report)                                         { e.reports <- r }

// runService runs the service against a real broker for one recipient until the test ends.
func runService(t *testing.T, conn *bus.Conn, target string) ends {
	t.Helper()
	stored := &outboundv1.StoredRecipient{Revision: 1, StartSequence: 1, Recipient: &outboundv1.Recipient{
		Id: "crm", DisplayName: "CRM", Enabled: new(true), EventTypes: []string{"support_conference_member_added"},
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{
			Url: target, SendCustomFields: true, RetryInterval: durationpb.New(100 * time.Millisecond), RetryDuration: durationpb.New(time.Minute),
		}},
	}}
	server := grpc.NewServer()
	service := &recipients{stored: stored}
	outboundv1.RegisterRecipientServiceServer(server, service)
	outboundv1.RegisterSettingsServiceServer(server, service)
	local := rpc.InProcess(server)
	dialled, err := local.Dial("token")
	if err != nil {
		t.Fatal(err)
	}
	config := configclient.New(dialled, configclient.Options{Channel: recipient.HTTP, Settings: true})
	want, err := configclient.DecodeRecipient(stored, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.EnsureConsumer(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	o := httpsender.DefaultOptions()
	o.URLPolicy, o.AllowEgress, o.Grace = "any", []string{"127.0.0.0/8"}, time.Second
	seen := ends{make(chan delivery.Report, 100)}
	s, err := httpsender.New(o, httpsender.Deps{Bus: conn, Config: config, Observer: seen, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- config.Run(ctx) }()
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("stop: %v", err)
			}
		}
		dialled.Close()
		server.Stop()
		local.Close()
	})
	return seen
}

func TestEventArrivesOnTheFourthTryWithItsVariables(t *testing.T) {
	conn := bustest.Start(t).Conn()
	forms := make(chan url.Values, 10)
	ids := make(chan string, 10)
	var requests atomic.Int64
	r := newReceiver(t, nil, func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			t.Error(err)
		}
		forms <- form
		ids <- q.Header.Get("webhook-id")
		if requests.Add(1) < 4 {
			http.Error(w, "not yet", http.StatusInternalServerError)
		}
	})
	seen := runService(t, conn, r.URL)

	publisher := bus.NewPublisher(conn)
	defer publisher.Close()
	e := decoded(t)
	if _, err := publisher.Accept(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for attempt := 1; attempt <= 4; attempt++ {
		report := <-seen.reports
		want := delivery.Verdict{Kind: delivery.Retry, Reason: delivery.ReasonHTTPStatus}
		if attempt == 4 {
			want = delivery.Verdict{Kind: delivery.Delivered, Reason: delivery.ReasonOK}
		}
		if report.Delivery.Attempt != attempt || report.Verdict.Kind != want.Kind || report.Verdict.Reason != want.Reason {
			t.Errorf("attempt %d: got attempt %d with %+v, want %+v", attempt, report.Delivery.Attempt, report.Verdict, want)
		}
		form, id := <-forms, <-ids
		if form.Get("event") != e.Type || form.Get("display_name") != "Ada Lovelace" || form.Get("custom.region") != "emea" || form.Has("custom.salary") {
			t.Errorf("attempt %d: form is %v", attempt, form)
		}
		if id != "appliance-1~e-1" {
			t.Errorf("attempt %d: webhook-id is %q", attempt, id)
		}
	}
}

func decoded(t *testing.T) *event.Event {
	t.Helper()
	e, violations := event.Decode(joined().Raw)
	if len(violations) > 0 {
		t.Fatal(violations)
	}
	return e
}

func TestServiceWithoutItsDoorsIsNotMade(t *testing.T) {
	if _, err := httpsender.New(httpsender.DefaultOptions(), httpsender.Deps{}); err == nil {
		t.Error("made without doors")
	}
	if _, err := httpsender.New(httpsender.Options{}, httpsender.Deps{}); err == nil {
		t.Error("made without options")
	}
}
