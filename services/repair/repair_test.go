package repair_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/bus/storecheck"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/repair"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// broker is an embedded broker on a data folder, watched over.
type broker struct {
	t       *testing.T
	server  *embed.Server
	conn    *bus.Conn
	watcher *storecheck.Watcher
	err     error
}

// open does what a start of the all-in-one does.
func open(t *testing.T, data string) *broker {
	t.Helper()
	b := &broker{t: t}
	file := storecheck.File{Path: filepath.Join(data, "inventory.json")}
	known, err := file.Load(t.Context())
	must(t, err)
	report, err := embed.InspectStore(embed.Store{Dir: filepath.Join(data, "broker")})
	must(t, err)
	lost, mendable := storecheck.Files(report, known)
	if len(lost) > 0 {
		b.err = storecheck.Damage(lost)
		return b
	}
	if len(mendable) > 0 {
		_, err = embed.MendStore(t.Context(), embed.Store{Dir: filepath.Join(data, "broker")}, mendable, bus.DefaultStreamOptions())
		must(t, err)
	}
	b.server, err = embed.Start(embed.Options{StoreDir: filepath.Join(data, "broker"), Host: "127.0.0.1", Port: -1, SyncAlways: true})
	must(t, err)
	b.conn, err = bus.Connect(t.Context(), bus.Options{User: embed.CoreUser, Password: b.server.CorePassword(), InProcess: b.server})
	must(t, err)
	b.watcher = storecheck.NewWatcher(storecheck.Options{Conn: b.conn, Keeper: file, Every: time.Millisecond})
	b.err = b.watcher.Open(t.Context(), bus.DefaultStreamOptions())
	return b
}

func (b *broker) close() {
	if b.conn != nil {
		b.conn.Close()
		b.server.Shutdown()
	}
}

// events are how many are accepted before the damage; the recipient crm wants them all and has got none.
const events = 40

func sample(id string) *event.Event {
	return event.Sample(event.Catalogue()[0], "a1", id, time.Now(), nil)
}

// killed is a copy of a data folder, taken while the broker runs, as a kill leaves it.
func killed(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	b := open(t, data)
	must(t, b.err)
	defer b.close()
	kv, err := b.conn.Bucket(t.Context(), bus.BucketRecipients)
	must(t, err)
	stored := &outboundv1.StoredRecipient{StartSequence: 1, Recipient: &outboundv1.Recipient{Id: "crm", DisplayName: "CRM",
		EventTypes: []string{event.Catalogue()[0].ID},
		Channel:    &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{Url: "https://crm.example"}}}}
	raw, err := proto.Marshal(stored)
	must(t, err)
	_, err = kv.Create(t.Context(), "r.crm", raw)
	must(t, err)
	for _, name := range []string{bus.BucketSettings, bus.BucketStatus, bus.BucketReplays} {
		kv, err := b.conn.Bucket(t.Context(), name)
		must(t, err)
		for i := range 5 {
			_, err = kv.Create(t.Context(), fmt.Sprint("k.", i), []byte(strings.Repeat("v", 200)))
			must(t, err)
		}
	}
	must(t, control.New(b.conn).EnsureConsumer(t.Context(), crm()))
	accept(t, b.conn, "e", events)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.watcher.Run(ctx) }()
	file := storecheck.File{Path: filepath.Join(data, "inventory.json")}
	waittest.NoError(t, "the inventory to be complete", func() error {
		i, err := file.Load(ctx)
		if err != nil || i == nil || i.Streams[bus.StreamEvents].Last < events || i.Streams[bus.StreamHistory].Last < events {
			return fmt.Errorf("%v: %w", i, err)
		}
		return nil
	})
	cancel()
	must(t, <-done)
	copied := t.TempDir()
	must(t, os.CopyFS(filepath.Join(copied, "d"), os.DirFS(data)))
	return filepath.Join(copied, "d")
}

// accept publishes events and records their acceptance.
func accept(t *testing.T, c *bus.Conn, prefix string, n int) {
	t.Helper()
	p, log := bus.NewPublisher(c), deliverylog.New(c)
	for i := range n {
		e := sample(fmt.Sprint(prefix, i))
		receipt, err := p.Accept(t.Context(), e)
		must(t, err)
		log.AppendIntake(event.IntakeRecord{Accepted: true, Appliance: e.Appliance, EventID: e.ID, Type: e.Type, Time: time.Now(),
			Sequence: receipt.Sequence, Via: "nats"}, nil)
	}
	p.Close()
	log.Close()
}

// crm is the recipient as its consumer is made.
func crm() *recipient.Recipient {
	return &recipient.Recipient{ID: "crm", HTTP: &recipient.HTTPTarget{}, EventTypes: []string{event.Catalogue()[0].ID}, StartSequence: 1}
}

// change rewrites a file.
func change(t *testing.T, path string, f func([]byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, f(raw), 0o600))
}

func flip(b []byte) []byte {
	for i := range 16 {
		b[len(b)/2+i] ^= 0xff
	}
	return b
}

func cut(b []byte) []byte { return b[:max(len(b)-3000, len(b)/2)] }

func empty([]byte) []byte { return nil }

// damages are the kinds of damage to a stream's folder.
func damages() map[string]func(t *testing.T, dir string) {
	on := func(file string, f func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) { change(t, filepath.Join(dir, file), f) }
	}
	return map[string]func(t *testing.T, dir string){
		"gone":           func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) },
		"messages gone":  func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "msgs"))) },
		"block flipped":  on("msgs/1.blk", flip),
		"block cut":      on("msgs/1.blk", cut),
		"block empty":    on("msgs/1.blk", empty),
		"settings empty": on("meta.inf", empty), "settings flipped": on("meta.inf", flip), "sum flipped": on("meta.sum", empty),
	}
}

// counts are the deliveries to crm that wait, and those that were ended because their event is gone.
func (b *broker) counts() (waiting, ended int) {
	b.t.Helper()
	must(b.t, control.New(b.conn).EnsureConsumer(b.t.Context(), crm()))
	q, err := control.New(b.conn).Queue(b.t.Context(), recipient.HTTP, "crm")
	must(b.t, err)
	records, err := deliverylog.NewReader(b.conn).Attempts(b.t.Context(), deliverylog.AttemptFilter{Recipient: "crm"}, 0, 1_000)
	must(b.t, err)
	for _, r := range records {
		if r.State != delivery.StateCancelled || r.Reason != "event_lost" {
			b.t.Errorf("record %+v", r)
		}
	}
	return int(q.Messages), len(records)
}

// TestADamagedStoreIsRefusedAndRepairedOrWhole damages each stream in each way. Either the start names the stream and a repair accounts for
// every delivery, or nothing is missing. In both cases what is accepted afterwards reaches the queue.
func TestADamagedStoreIsRefusedAndRepairedOrWhole(t *testing.T) {
	whole := killed(t)
	for _, stream := range []string{bus.StreamEvents, bus.StreamHistory, "KV_outbound_recipients", "KV_outbound_settings",
		"KV_outbound_status", "KV_outbound_replays"} {
		for kind, damage := range damages() {
			t.Run(stream+" "+kind, func(t *testing.T) {
				data := filepath.Join(t.TempDir(), "d")
				must(t, os.CopyFS(data, os.DirFS(whole)))
				damage(t, filepath.Join(data, "broker", "jetstream", "CORE", "streams", stream))
				refused := refusedAndRepaired(t, data, stream)
				b := open(t, data)
				defer b.close()
				must(t, b.err)
				waiting, ended := b.counts()
				if waiting+ended != events || ended > 0 && !refused {
					t.Errorf("of %d deliveries %d wait and %d were ended; refused: %v", events, waiting, ended, refused)
				}
				accept(t, b.conn, "new", 5)
				waittest.Until(t, "the new events to be queued", func() bool {
					now, _ := b.counts()
					return now == waiting+5
				})
			})
		}
	}
}

// refusedAndRepaired reports whether the start was refused; then it has named the stream, and the store was repaired.
func refusedAndRepaired(t *testing.T, data, stream string) bool {
	t.Helper()
	b := open(t, data)
	b.close()
	if b.err == nil {
		return false
	}
	if !errors.Is(b.err, bus.ErrDamaged) || !strings.Contains(b.err.Error(), strings.TrimPrefix(stream, "KV_")) {
		t.Fatalf("refused with %v", b.err)
	}
	s, err := repair.Open(t.Context(), repair.Options{Data: data, Streams: bus.DefaultStreamOptions()})
	must(t, err)
	defer s.Close()
	if found := strings.Join(s.Findings(), " "); !strings.Contains(found, strings.TrimPrefix(stream, "KV_")) {
		t.Errorf("found %q", found)
	}
	text, err := s.Repair(t.Context())
	must(t, err)
	t.Log(text)
	return true
}

func TestADamagedQueueIsBuiltAgain(t *testing.T) {
	whole := killed(t)
	for kind, damage := range map[string]func(string){
		"state empty":    func(dir string) { must(t, os.WriteFile(filepath.Join(dir, "o.dat"), nil, 0o600)) },
		"settings empty": func(dir string) { must(t, os.WriteFile(filepath.Join(dir, "meta.inf"), nil, 0o600)) },
		"gone":           func(dir string) { must(t, os.RemoveAll(dir)) },
	} {
		t.Run(kind, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "d")
			must(t, os.CopyFS(data, os.DirFS(whole)))
			damage(filepath.Join(data, "broker", "jetstream", "CORE", "streams", "EVENTS", "obs", "http-crm"))
			b := open(t, data)
			defer b.close()
			must(t, b.err)
			if waiting, ended := b.counts(); waiting != events || ended != 0 {
				t.Errorf("%d wait and %d were ended, want %d and none", waiting, ended, events)
			}
		})
	}
}

func TestTheQueueOfALostRecipientIsEndedOnRequest(t *testing.T) {
	data := killed(t)
	must(t, os.RemoveAll(filepath.Join(data, "broker", "jetstream", "CORE", "streams", "KV_outbound_recipients")))
	if !refusedAndRepaired(t, data, "KV_outbound_recipients") {
		t.Fatal("the start was not refused")
	}
	s, err := repair.Open(t.Context(), repair.Options{Data: data, Streams: bus.DefaultStreamOptions()})
	must(t, err)
	n, err := s.CancelQueue(t.Context(), "crm")
	must(t, err)
	s.Close()
	if n != events {
		t.Errorf("%d deliveries were ended, want %d", n, events)
	}
	b := open(t, data)
	defer b.close()
	must(t, b.err)
	if _, err := control.New(b.conn).Queue(t.Context(), recipient.HTTP, "crm"); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("the queue: %v", err)
	}
}
