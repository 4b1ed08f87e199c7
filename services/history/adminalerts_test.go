package history_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

// alertFixture is a broker where processes alert admin contacts, and all alerts that were sent.
type alertFixture struct {
	*fixture
	settings *outboundv1.WatchSettingsResponse
	known    []*outboundv1.Recipient

	mu      sync.Mutex
	notices []health.Notice
	// running counts the admin alerts, looks what they have looked at so far.
	running atomic.Int64
	looks   atomic.Int64
}

const (
	careTick    = 20 * time.Millisecond
	silentAfter = 700 * time.Millisecond
)

// newAlertFixture has two admin contacts and an appliance a1 that may be silent for silentAfter. Processes are to be started.
func newAlertFixture(t *testing.T, recipients ...*outboundv1.Recipient) *alertFixture {
	t.Helper()
	w := &alertFixture{known: recipients, settings: &outboundv1.WatchSettingsResponse{
		Smtp:  &outboundv1.SmtpSettings{AdminContacts: []string{"one@example.org", "two@example.org"}},
		Email: &outboundv1.EmailSettings{TimeZone: "Europe/Vienna"},
		Appliances: []*outboundv1.StoredAppliance{{TokenSha256: make([]byte, 32), Appliance: &outboundv1.Appliance{
			Id: "a1", DisplayName: "First", CreateTime: timestamppb.Now(), SilentAfter: durationpb.New(silentAfter),
		}}, {TokenSha256: make([]byte, 32), Appliance: &outboundv1.Appliance{Id: "a2", CreateTime: timestamppb.Now()}}},
	}}
	w.fixture = &fixture{t: t, bus: bustest.Start(t).Conn()}
	w.log, w.publisher = deliverylog.New(w.bus), bus.NewPublisher(w.bus)
	t.Cleanup(w.log.Close)
	t.Cleanup(w.publisher.Close)
	w.gather()
	w.countLooks()
	return w
}

// countLooks counts how often the admin alerts look at what is due: at each look, one reads the mark of the stream that fills.
func (w *alertFixture) countLooks() {
	sub, err := w.bus.IntakeConn().Subscribe("$JS.API.DIRECT.GET.KV_"+bus.BucketStatus, func(m *nats.Msg) {
		if strings.Contains(string(m.Data), "mark."+control.MarkFilling) {
			w.looks.Add(1)
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = sub.Unsubscribe() })
}

// looked waits until the admin alerts have looked at what is due several times each.
func (w *alertFixture) looked() {
	w.t.Helper()
	until := w.looks.Load() + 10*w.running.Load()
	waittest.Until(w.t, "the admin alerts to look at what is due", func() bool { return w.looks.Load() >= until })
}

// gather takes what is put on NOTICES.
func (w *alertFixture) gather() {
	notices, err := queue.OpenNotices(w.t.Context(), w.bus)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		defer notices.Close()
		for ctx.Err() == nil {
			_ = notices.Pull(ctx, time.Second, func(n queue.Notice) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.notices = append(w.notices, n.Notice)
				_ = n.Settler.Ack()
			})
		}
	})
	w.t.Cleanup(func() { cancel(); wg.Wait() })
}

// adminAlerts runs one replica of the service until stop or the end of the test.
func (w *alertFixture) adminAlerts() (stop func()) {
	w.t.Helper()
	tokens := rpc.Tokens{Admin: "admin", Service: "service"}
	known := &configuration{recipients: w.known, settings: w.settings}
	conn := serve(w.t, tokens, "service", func(s *grpc.Server) {
		outboundv1.RegisterRecipientServiceServer(s, known)
		outboundv1.RegisterSettingsServiceServer(s, known)
	})
	w.config = configclient.New(conn, configclient.Options{Settings: true})
	o := history.DefaultOptions()
	o.AlertTick = careTick
	s, err := history.New(o, history.Deps{Bus: w.bus, Log: w.log, Publisher: w.publisher, Config: w.config, Broker: history.EmbeddedAlways,
		Version: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.config.Run(ctx) })
	wg.Go(func() { _ = s.Run(ctx) })
	w.running.Add(1)
	stop = sync.OnceFunc(func() { cancel(); wg.Wait(); w.running.Add(-1) })
	w.t.Cleanup(stop)
	<-w.config.Ready()
	for _, r := range w.config.Recipients() {
		if err := control.New(w.bus).EnsureConsumer(w.t.Context(), r); err != nil {
			w.t.Fatal(err)
		}
	}
	conn = serve(w.t, tokens, "admin", func(g *grpc.Server) { s.Register(g) })
	w.status = outboundv1.NewStatusServiceClient(conn)
	return stop
}

// told is what one address was told, in words.
func (w *alertFixture) told(address string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := []string{}
	for _, n := range w.notices {
		if n.To == address {
			out = append(out, string(n.Kind))
		}
	}
	return out
}

// await waits until both addresses were told so much, has the admin alerts look again, and compares.
func (w *alertFixture) await(want ...string) {
	w.t.Helper()
	w.begins(want...)
	w.looked()
	for _, to := range []string{"one@example.org", "two@example.org"} {
		if got := w.told(to); !slices.Equal(got, want) {
			w.t.Fatalf("%s was told %v, want %v", to, got, want)
		}
	}
}

// begins waits until both addresses were told so much, and compares. By now they may have been told more.
func (w *alertFixture) begins(want ...string) {
	w.t.Helper()
	for _, to := range []string{"one@example.org", "two@example.org"} {
		waittest.NoError(w.t, to+" to be told", func() error {
			if got := w.told(to); len(got) < len(want) {
				return fmt.Errorf("it was told %v, want %v", got, want)
			}
			return nil
		})
		if got := w.told(to)[:len(want)]; !slices.Equal(got, want) {
			w.t.Fatalf("%s was told %v, want %v", to, got, want)
		}
	}
}

func (w *alertFixture) last() health.Notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.notices[len(w.notices)-1]
}

func (w *alertFixture) appliance(id string) *outboundv1.ApplianceStatus {
	w.t.Helper()
	s, err := w.status.GetStatus(w.t.Context(), &outboundv1.GetStatusRequest{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, a := range s.GetAppliances() {
		if a.GetApplianceId() == id {
			return a
		}
	}
	w.t.Fatalf("the status does not tell of %s", id)
	return nil
}

func TestASilentApplianceIsToldOfOnceASilence(t *testing.T) {
	w := newAlertFixture(t)
	w.accept("a1", "e-1")
	heard := time.Now()
	first := w.adminAlerts()
	w.adminAlerts()
	w.await("silent")
	n := w.last()
	if s := n.Silence; s == nil || s.Appliance != "a1" || s.Name != "First" || s.Never || s.After != silentAfter || s.Since.After(heard) ||
		heard.Sub(s.Since) > time.Minute || n.At.Sub(s.Since) <= silentAfter {
		t.Errorf("told %+v at %s", s, n.At)
	}
	if a := w.appliance("a1"); !a.GetSilent() || a.GetLastEventTime() == nil || a.GetSilentAfter().AsDuration() != silentAfter ||
		a.GetDisplayName() != "First" {
		t.Errorf("the status says %v", a)
	}
	if told := w.silentNotices(); len(told) != 1 || told[0] != "Silent: First (a1)." {
		t.Errorf("the notices say %q", told)
	}
	if a := w.appliance("a2"); a.GetSilent() || a.GetLastEventTime() != nil || a.GetSilentAfter() != nil {
		t.Errorf("the status says of one without an alarm %v", a)
	}
	first() // a restart tells nothing anew
	w.adminAlerts()
	w.await("silent")
	w.accept("a1", "e-2")
	// From here on it falls silent again after a while, however busy the machine is.
	w.begins("silent", "speaking")
	w.begins("silent", "speaking", "silent")
	w.accept("a1", "e-3")
	w.begins("silent", "speaking", "silent", "speaking")
	ids := map[string]bool{}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.notices {
		ids[n.ID] = true
		if s := n.Silence; n.Kind == health.KindHeardAgain && !s.Until.After(s.Since) {
			t.Errorf("told %+v", s)
		}
	}
	if len(ids) != len(w.notices) {
		t.Errorf("%d notices have %d ids", len(w.notices), len(ids))
	}
}

func TestAnApplianceThatNeverPublishedIsSilentSinceItWasAdded(t *testing.T) {
	w := newAlertFixture(t)
	added := time.Now().Add(-time.Hour)
	w.settings.Appliances[0].Appliance.CreateTime = timestamppb.New(added)
	w.adminAlerts()
	w.await("silent")
	if s := w.last().Silence; !s.Never || !s.Since.Equal(added.UTC()) {
		t.Errorf("told %+v, added at %s", s, added.UTC())
	}
}

func TestAnAdminAlertIsFinishedByAnotherProcessAfterACrash(t *testing.T) {
	added := time.Now().Add(-time.Hour)
	for name, c := range map[string]struct {
		at   time.Time
		want []string
	}{
		"long ago": {time.Now().Add(-time.Minute), []string{"silent"}},
		"just now": {time.Now(), []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAlertFixture(t)
			w.settings.Appliances[0].Appliance.CreateTime = timestamppb.New(added)
			mark := health.AlertState{Of: health.Silence{Since: added}.Key(), At: c.at}
			if _, err := control.NewHealthStore(w.bus).PutMark(t.Context(), control.MarkSilent+"a1", mark, 0); err != nil {
				t.Fatal(err)
			}
			w.adminAlerts()
			w.adminAlerts()
			w.looked()
			w.await(c.want...)
		})
	}
}

func TestAnApplianceWhoseAlarmIsTakenOffIsForgotten(t *testing.T) {
	w := newAlertFixture(t)
	stop := w.adminAlerts()
	w.await("silent")
	stop()
	w.settings.Appliances[0].Appliance.SilentAfter = nil
	stop = w.adminAlerts()
	store := control.NewHealthStore(w.bus)
	waittest.Until(t, "the silence to be forgotten", func() bool {
		_, revision, err := store.Mark(t.Context(), control.MarkSilent+"a1")
		if err != nil {
			t.Fatal(err)
		}
		return revision == 0
	})
	stop()
	w.await("silent")
}

func TestAStreamThatFillsIsToldOfOnceUntilItHasRoom(t *testing.T) {
	w := newAlertFixture(t)
	w.settings.Appliances = nil
	o := bustest.StreamOptions()
	o.EventsMaxBytes = 64 << 10
	if err := w.bus.EnsureStreams(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	w.known = []*outboundv1.Recipient{httpRecipient("slow", "support_conference_end")}
	sent := 0
	fill := func(percent uint64) {
		t.Helper()
		for {
			s, err := control.New(w.bus).StreamStates(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if s[0].Bytes*100/s[0].MaxBytes >= percent {
				return
			}
			sent++
			w.accept("a1", fmt.Sprint("e-", sent))
		}
	}
	w.adminAlerts()
	w.adminAlerts()
	fill(75)
	w.await()
	fill(82)
	w.await("filling")
	if f := w.last().Filling; f.Percent() < 80 || f.Stream != bus.StreamEvents || len(f.Longest) != 1 ||
		f.Longest[0].Recipient != "slow" || f.Longest[0].Waiting < 1 {
		t.Errorf("told %+v", f)
	}
	fill(90)
	w.await("filling")
	o.EventsMaxBytes = 1 << 20
	if err := w.bus.EnsureStreams(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	w.await("filling", "room")
	o.EventsMaxBytes = 64 << 10
	if err := w.bus.EnsureStreams(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	w.await("filling", "room", "filling")
}
