package history_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// configuration is a config service that knows what a test says, and does not change.
type configuration struct {
	outboundv1.UnimplementedRecipientServiceServer
	outboundv1.UnimplementedSettingsServiceServer
	recipients []*outboundv1.Recipient
	settings   *outboundv1.WatchSettingsResponse
}

func (c *configuration) WatchRecipients(_ *outboundv1.WatchRecipientsRequest, s outboundv1.RecipientService_WatchRecipientsServer) error {
	for _, r := range c.recipients {
		stored := &outboundv1.StoredRecipient{Recipient: r, StartSequence: 1, Revision: 1}
		if err := s.Send(&outboundv1.WatchRecipientsResponse{
			Change: &outboundv1.WatchRecipientsResponse_Recipient{Recipient: stored},
		}); err != nil {
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

func (c *configuration) WatchSettings(_ *outboundv1.WatchSettingsRequest, s outboundv1.SettingsService_WatchSettingsServer) error {
	if err := s.Send(c.settings); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}

// fixture is a history service on a real broker, reached by gRPC.
type fixture struct {
	t          testing.TB
	broker     *bustest.Server
	bus        *bus.Conn
	log        *deliverylog.Log
	publisher  *bus.Publisher
	config     *configclient.Client
	deliveries outboundv1.DeliveryServiceClient
	events     outboundv1.EventServiceClient
	status     outboundv1.StatusServiceClient
	tokens     rpc.Tokens
	kind       history.Broker
	// read are the records read so far, readTo the last of them.
	read   []deliverylog.StoredRecord
	readTo uint64
}

func newFixture(t testing.TB, broker history.Broker, recipients ...*outboundv1.Recipient) *fixture {
	t.Helper()
	return newFixtureWith(t, broker, &outboundv1.SmtpSettings{}, recipients...)
}

// newFixtureWith is newHouse with a relay.
func newFixtureWith(t testing.TB, broker history.Broker, smtp *outboundv1.SmtpSettings, recipients ...*outboundv1.Recipient) *fixture {
	t.Helper()
	b := bustest.Start(t)
	h := &fixture{t: t, broker: b, bus: b.Conn()}
	h.log, h.publisher = deliverylog.New(h.bus), bus.NewPublisher(h.bus)
	t.Cleanup(h.log.Close)
	t.Cleanup(h.publisher.Close)
	tokens := rpc.Tokens{Admin: "admin", Service: "service"}

	settings := &outboundv1.WatchSettingsResponse{Smtp: smtp, Email: &outboundv1.EmailSettings{}}
	for _, id := range []string{"a1", "a2"} {
		settings.Appliances = append(settings.Appliances, &outboundv1.StoredAppliance{
			Appliance: &outboundv1.Appliance{Id: id}, TokenSha256: make([]byte, 32),
		})
	}
	known := &configuration{recipients: recipients, settings: settings}
	conn := serve(t, tokens, "service", func(s *grpc.Server) {
		outboundv1.RegisterRecipientServiceServer(s, known)
		outboundv1.RegisterSettingsServiceServer(s, known)
	})
	h.config = configclient.New(conn, configclient.Options{Settings: true})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = h.config.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	<-h.config.Ready()
	for _, r := range h.config.Recipients() {
		if err := control.New(h.bus).EnsureConsumer(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}

	h.tokens, h.kind = tokens, broker
	h.start(history.DefaultOptions())
	return h
}

// start starts a service on what is stored, and asks it from then on.
func (h *fixture) start(o history.Options) *history.Service {
	h.t.Helper()
	s, err := history.New(o, history.Deps{
		Bus: h.bus, Log: h.log, Publisher: h.publisher, Config: h.config, Broker: h.kind, Version: "test",
	})
	if err != nil {
		h.t.Fatal(err)
	}
	conn := serve(h.t, h.tokens, "admin", func(g *grpc.Server) { s.Register(g) })
	h.deliveries, h.events, h.status = outboundv1.NewDeliveryServiceClient(conn), outboundv1.NewEventServiceClient(conn),
		outboundv1.NewStatusServiceClient(conn)
	return s
}

func serve(t testing.TB, tokens rpc.Tokens, token string, register func(*grpc.Server)) *grpc.ClientConn {
	t.Helper()
	server := rpc.NewServer(rpc.ServerOptions{Authenticator: tokens, Errors: rpc.BrokerAway(bus.Unanswered())})
	register(server)
	local := rpc.InProcess(server)
	conn, err := local.Dial(token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		_ = local.Close()
	})
	return conn
}

func httpRecipient(id string, types ...string) *outboundv1.Recipient {
	return &outboundv1.Recipient{
		Id: id, DisplayName: "The " + id, Enabled: proto.Bool(true), EventTypes: types,
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{Url: "https://receiver.example/hook"}},
	}
}

// accept stores an event and its intake record, as ingest does.
func (h *fixture) accept(appliance, id string) *event.Event {
	h.t.Helper()
	return h.acceptType(appliance, id, "support_conference_end")
}

func (h *fixture) acceptType(appliance, id, eventType string) *event.Event {
	h.t.Helper()
	e := h.decodedType(appliance, id, eventType)
	r, err := h.publisher.Accept(h.t.Context(), e)
	if err != nil {
		h.t.Fatal(err)
	}
	h.appendIntake(event.IntakeRecord{
		Accepted: true, Appliance: appliance, EventID: id, Type: e.Type, Session: e.Session, ExternalKey: e.ExternalKey,
		EventTime: &e.Time, Time: time.Now(), Sequence: r.Sequence, Via: "http",
	})
	return e
}

func (h *fixture) decoded(appliance, id string) *event.Event {
	h.t.Helper()
	return h.decodedType(appliance, id, "support_conference_end")
}

// decodedType is an event as ingest reads it.
func (h *fixture) decodedType(appliance, id, eventType string) *event.Event {
	h.t.Helper()
	raw, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": id, "source": appliance, "type": eventType, "time": time.Now().UTC().Format(time.RFC3339Nano),
		"subject": "s-1", "datacontenttype": "application/json", "data": map[string]any{"external_key": "INC 1"},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	e, faults := event.Decode(raw)
	if len(faults) > 0 {
		h.t.Fatal(faults)
	}
	return e
}

// unlessStored is the error of an append. The answer of a slow broker may come too late, and the repeat of a record that is stored is
// refused.
func unlessStored(err error) error {
	if errors.Is(err, delivery.ErrAlreadyRecorded) || errors.Is(err, delivery.ErrConflict) {
		return nil
	}
	return err
}

func (h *fixture) appendIntake(rec event.IntakeRecord) {
	h.t.Helper()
	ch := make(chan error, 1)
	h.log.AppendIntake(rec, func(err error) { ch <- unlessStored(err) })
	if err := <-ch; err != nil {
		h.t.Fatal(err)
	}
}

// attempted records an attempt, as a sender does.
func (h *fixture) attempted(e *event.Event, recipient, replay string, attempt int, state delivery.State) {
	h.t.Helper()
	now := time.Now()
	rec := delivery.Record{
		Recipient: recipient, Channel: "http", EventID: e.ID, Appliance: e.Appliance, Type: e.Type, Session: e.Session,
		ExternalKey: e.ExternalKey, ReplayID: replay, Sequence: 1, State: state, Reason: reasons.OK, Attempt: attempt,
		Status: 200, TookMicros: 1500, Accepted: now, FirstAttempt: &now, LastAttempt: &now, Expire: now.Add(time.Hour),
	}
	if state != delivery.StateDelivered {
		rec.Reason, rec.Status, rec.Detail = reasons.HTTPStatus, 500, "answered 500"
	}
	if state == delivery.StateRetrying {
		next := now.Add(time.Minute)
		rec.NextAttempt = &next
	}
	ch := make(chan error, 1)
	h.log.AppendAttempt(rec, func(err error) { ch <- unlessStored(err) })
	if err := <-ch; err != nil {
		h.t.Fatal(err)
	}
}

func (h *fixture) list(req *outboundv1.ListDeliveriesRequest) *outboundv1.ListDeliveriesResponse {
	h.t.Helper()
	resp, err := h.deliveries.ListDeliveries(h.t.Context(), req)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp
}

func names(list []*outboundv1.Delivery) []string {
	out := make([]string, 0, len(list))
	for _, d := range list {
		name := fmt.Sprintf("%s/%s %s %d", d.GetRecipientId(), d.GetEventId(), d.GetState(), d.GetAttempts())
		if d.GetReplayId() != "" {
			name += " replay"
		}
		out = append(out, name)
	}
	return out
}

func wantCode(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("got %v, want %s", err, code)
	}
}
