package httpsender_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/throttle"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/httpsender"
)

// recipients tells recipients and one custom field to whoever watches.
type recipients struct {
	outboundv1.UnimplementedRecipientServiceServer
	outboundv1.UnimplementedSettingsServiceServer
	stored []*outboundv1.StoredRecipient
}

func (r *recipients) WatchRecipients(_ *outboundv1.WatchRecipientsRequest,
	s grpc.ServerStreamingServer[outboundv1.WatchRecipientsResponse]) error {
	for _, one := range r.stored {
		if err := s.Send(&outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Recipient{Recipient: one}}); err != nil {
			return err
		}
	}
	if err := s.Send(&outboundv1.WatchRecipientsResponse{
		Change: &outboundv1.WatchRecipientsResponse_Synced{Synced: &emptypb.Empty{}},
	}); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}

func (r *recipients) WatchSettings(_ *outboundv1.WatchSettingsRequest,
	s grpc.ServerStreamingServer[outboundv1.WatchSettingsResponse]) error {
	if err := s.Send(&outboundv1.WatchSettingsResponse{CustomFields: []*outboundv1.CustomField{{CodeName: "region"}},
		EventTypes: []*outboundv1.EventType{{Id: "support_conference_member_added"}}}); err != nil {
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

// replica is a running service. stop ends it in order, once all that it has sent is recorded.
type replica struct {
	seen ends
	stop func()
}

// httpRecipient is a recipient as the config service stores it.
func httpRecipient(id string, types []string, target *outboundv1.HttpRecipient) *outboundv1.StoredRecipient {
	return &outboundv1.StoredRecipient{Revision: 1, StartSequence: 1, Recipient: &outboundv1.Recipient{
		Id: id, DisplayName: id, Enabled: new(true), EventTypes: types, Channel: &outboundv1.Recipient_Http{Http: target},
	}}
}

// startReplica runs the service against a real broker for some recipients until the test ends. Without a limiter it keeps their
// rate limits alone.
func startReplica(t *testing.T, conn *bus.Conn, limiter throttle.Limiter, stored ...*outboundv1.StoredRecipient) replica {
	t.Helper()
	for _, one := range stored {
		want, err := configclient.DecodeRecipient(one, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := control.New(conn).EnsureConsumer(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	server := grpc.NewServer()
	service := &recipients{stored: stored}
	outboundv1.RegisterRecipientServiceServer(server, service)
	outboundv1.RegisterSettingsServiceServer(server, service)
	local := rpc.InProcess(server)
	dialled, err := local.Dial("token")
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := secret.LoadOrCreateKey(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	config := configclient.New(dialled, configclient.Options{Channel: recipient.HTTP, Settings: true, Sealer: sealer})
	o := httpsender.DefaultOptions()
	o.URLPolicy, o.AllowEgress, o.Grace = "any", []string{"127.0.0.0/8"}, time.Second
	seen := ends{make(chan delivery.Report, 1000)}
	s, err := httpsender.New(o, httpsender.Deps{Bus: conn, Config: config, Observer: seen, Limiter: limiter, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- config.Run(ctx) }()
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
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
	t.Cleanup(stop)
	return replica{seen: seen, stop: stop}
}
