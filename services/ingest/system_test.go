package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/rpc/eventhttp"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/ingest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

const (
	adminToken   = "admin-token"
	serviceToken = "service-token"
)

func tokenOf(appliance string) string    { return "token-of-" + appliance }
func passwordOf(appliance string) string { return "password-of-" + appliance }

// aliases are types of other publishers.
var aliases = map[string][]string{kind: {"com.example.session.Ended", "a type/with anything: é"}}

// settings answers WatchSettings as the config service would. Before known is closed it tells nothing.
type settings struct {
	outboundv1.UnimplementedSettingsServiceServer
	known      chan struct{}
	appliances []string
	limited    map[string]int32
}

func (s *settings) WatchSettings(_ *outboundv1.WatchSettingsRequest,
	stream grpc.ServerStreamingServer[outboundv1.WatchSettingsResponse]) error {
	select {
	case <-s.known:
	case <-stream.Context().Done():
		return nil
	}
	all := &outboundv1.WatchSettingsResponse{Smtp: &outboundv1.SmtpSettings{}, Email: &outboundv1.EmailSettings{}}
	for _, t := range event.Catalogue() {
		all.EventTypes = append(all.EventTypes, &outboundv1.EventType{Id: t.ID, DisplayName: t.DisplayName, BuiltIn: true,
			Aliases: aliases[t.ID]})
	}
	all.EventTypes = append(all.EventTypes, &outboundv1.EventType{Id: "backup_done", DisplayName: "Backup done"})
	for _, id := range s.appliances {
		all.Appliances = append(all.Appliances, &outboundv1.StoredAppliance{
			Appliance:   &outboundv1.Appliance{Id: id, MaxEventsPerSecond: s.limited[id]},
			TokenSha256: secret.HashToken(tokenOf(id)), PasswordBcrypt: bcryptOf(passwordOf(id)),
		})
	}
	if err := stream.Send(all); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func bcryptOf(password string) string {
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(h)
}

// counts is an Observer.
type counts struct {
	mu sync.Mutex
	m  map[string]int
}

func (c *counts) Decided(decision, reason, via string) { c.add(decision + " " + reason + " " + via) }
func (c *counts) Unrecorded()                          { c.add("unrecorded") }
func (c *counts) Limited(appliance string)             { c.add("limited " + appliance) }

func (c *counts) Answered(_ context.Context, decision, via string, _ time.Duration) {
	c.add("answered " + decision + " " + via)
}

func (c *counts) add(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m[key]++
}

func (c *counts) of(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.m[key]
}

// fixture is ingest with all that is around it: a broker with accounts, settings, gRPC and HTTP.
type fixture struct {
	t       *testing.T
	broker  *embed.Server
	bus     *bus.Conn
	history *deliverylog.Log
	service *ingest.Service
	config  *configclient.Client
	client  outboundv1.EventServiceClient
	url     string
	counts  *counts
	known   chan struct{}
	stop    func()
}

type fixtureOptions struct {
	options       ingest.Options
	streams       bus.StreamOptions
	unknownConfig bool
	// clock is the clock of ingest; nil: the right one.
	clock func() time.Time
	// notices, log and limited, by appliance and events a second, if set, are the service's.
	notices *notice.Board
	log     *slog.Logger
	limited map[string]int32
	// before, if set, is called when the broker runs and the service does not yet.
	before func(h *fixture)
}

func defaults() fixtureOptions {
	streams := bus.DefaultStreamOptions()
	streams.EventsMaxBytes, streams.HistoryMaxBytes = 256<<20, 256<<20
	return fixtureOptions{options: ingest.DefaultOptions(), streams: streams}
}

func open(t *testing.T, o fixtureOptions, appliances ...string) *fixture {
	t.Helper()
	h := &fixture{t: t, counts: &counts{m: map[string]int{}}, known: make(chan struct{})}
	h.startBroker(o, appliances)
	if o.before != nil {
		o.before(h)
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	if o.log == nil {
		o.log = quiet
	}
	local := h.startConfig(quiet, &settings{known: h.known, appliances: appliances, limited: o.limited})
	conn, err := local.Dial(serviceToken)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	h.config = configclient.New(conn, configclient.Options{NoRecipients: true, Settings: true, Logger: quiet})
	h.background(h.config.Run)
	h.service, err = ingest.New(o.options, ingest.Deps{Bus: h.bus, Config: h.config, Observer: h.counts, Logger: o.log, Notices: o.notices})
	must(t, err)
	h.startAPI(quiet, h.config)
	h.stop = h.background(h.service.Run)
	if !o.unknownConfig {
		close(h.known)
		h.awaitReady()
	}
	return h
}

func (h *fixture) awaitReady() {
	h.t.Helper()
	h.until(func() error { return h.service.Ready(h.t.Context()) })
}

// until repeats what must come true.
func (h *fixture) until(f func() error) {
	h.t.Helper()
	waittest.NoError(h.t, "what must come true", f)
}

func (h *fixture) startBroker(o fixtureOptions, appliances []string) {
	t := h.t
	t.Helper()
	var err error
	h.broker, err = embed.Start(embed.Options{StoreDir: t.TempDir(), Host: "127.0.0.1", Port: -1, SyncAlways: true,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	must(t, err)
	t.Cleanup(h.broker.Shutdown)
	var list []embed.Appliance
	for _, id := range appliances {
		list = append(list, embed.Appliance{ID: id, PasswordBcrypt: bcryptOf(passwordOf(id))})
	}
	must(t, h.broker.SetAppliances(list))
	h.bus, err = bus.Connect(t.Context(), bus.Options{User: embed.CoreUser, Password: h.broker.CorePassword(), InProcess: h.broker,
		Name: "ingest", Clock: o.clock})
	must(t, err)
	t.Cleanup(h.bus.Close)
	must(t, h.bus.EnsureStreams(t.Context(), o.streams))
	h.history = deliverylog.New(h.bus)
	t.Cleanup(h.history.Close)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *fixture) startConfig(quiet *slog.Logger, known *settings) *rpc.Local {
	s := rpc.NewServer(rpc.ServerOptions{Authenticator: rpc.Tokens{Service: serviceToken}, Logger: quiet})
	outboundv1.RegisterSettingsServiceServer(s, known)
	local := rpc.InProcess(s)
	h.t.Cleanup(func() { s.Stop(); _ = local.Close() })
	return local
}

func (h *fixture) startAPI(quiet *slog.Logger, config *configclient.Client) {
	s := rpc.NewServer(rpc.ServerOptions{Authenticator: rpc.Authenticators{rpc.Tokens{Admin: adminToken},
		ingest.NewApplianceTokens(config)}, Logger: quiet})
	h.service.Register(s)
	local := rpc.InProcess(s)
	h.t.Cleanup(func() { s.Stop(); _ = local.Close() })
	conn, err := local.Dial("")
	must(h.t, err)
	h.t.Cleanup(func() { _ = conn.Close() })
	h.client = outboundv1.NewEventServiceClient(conn)
	mux := http.NewServeMux()
	mux.Handle(eventhttp.Pattern, eventhttp.New(h.client))
	web := httptest.NewServer(mux)
	h.t.Cleanup(web.Close)
	h.url = web.URL + "/v1/events"
}

// background runs f until the test ends, or until what it returns is called.
func (h *fixture) background(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				h.t.Error(err)
			}
		})
	}
	h.t.Cleanup(stop)
	return stop
}

// appliance is a stock client with an appliance's credentials.
func (h *fixture) appliance(id string) *nats.Conn {
	h.t.Helper()
	nc, err := nats.Connect(h.broker.Addr(), nats.UserInfo(id, passwordOf(id)), nats.Timeout(waittest.Limit))
	must(h.t, err)
	h.t.Cleanup(nc.Close)
	return nc
}

// reply is an answer over either way.
type reply struct {
	EventID   string      `json:"eventId"`
	Sequence  json.Number `json:"sequence"`
	Duplicate bool        `json:"duplicate"`
	Code      int         `json:"code"`
	Message   string      `json:"message"`
	Details   []struct {
		Violations event.Violations `json:"fieldViolations"`
	} `json:"details"`
	Header nats.Header `json:"-"`
	Status int         `json:"-"`
}

func (r reply) violations() event.Violations {
	var all event.Violations
	for _, d := range r.Details {
		all = append(all, d.Violations...)
	}
	return all
}

func (h *fixture) request(nc *nats.Conn, subject string, raw []byte) reply {
	h.t.Helper()
	m, err := nc.Request(subject, raw, waittest.Limit)
	must(h.t, err)
	r := reply{Header: m.Header}
	must(h.t, json.Unmarshal(m.Data, &r))
	return r
}

func (h *fixture) post(token, contentType string, body []byte, headers ...string) reply {
	h.t.Helper()
	q, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url, bytes.NewReader(body))
	must(h.t, err)
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Content-Type", contentType)
	for i := 0; i < len(headers); i += 2 {
		q.Header.Add(headers[i], headers[i+1])
	}
	a, err := http.DefaultClient.Do(q)
	must(h.t, err)
	defer func() { _ = a.Body.Close() }()
	b, err := io.ReadAll(a.Body)
	must(h.t, err)
	r := reply{Status: a.StatusCode, Header: nats.Header(a.Header)}
	if err := json.Unmarshal(b, &r); err != nil {
		h.t.Fatalf("%d %s: %v", a.StatusCode, b, err)
	}
	http.DefaultClient.CloseIdleConnections()
	return r
}

// newest is the newest decision on an appliance's events.
func (h *fixture) newest(appliance string, accepted bool) (event.IntakeRecord, error) {
	list, err := h.history.Intakes(h.t.Context(), appliance, accepted, !accepted, 0, 1)
	if err != nil {
		return event.IntakeRecord{}, err
	}
	if len(list) == 0 {
		return event.IntakeRecord{}, fmt.Errorf("no record of %q", appliance)
	}
	return list[0].IntakeRecord, nil
}
