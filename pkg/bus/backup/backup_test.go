package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/backup"
	"github.com/outbound-events/outbound/pkg/bus/storecheck"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// publish stores messages and answers the last one's sequence.
func publish(t *testing.T, c *bus.Conn, subject string, from, to int, body func(i int) string) uint64 {
	t.Helper()
	last := uint64(0)
	for i := from; i < to; i++ {
		m := nats.NewMsg(strings.ReplaceAll(subject, "N", fmt.Sprint(i)))
		m.Header.Set(nats.MsgIdHdr, fmt.Sprintf("%s-%d", subject, i))
		m.Data = []byte(body(i))
		// A broker that was just restarted may lose a publish over the old connection.
		waittest.NoError(t, "a message to be stored", func() error {
			ack, err := c.JS.PublishMsg(t.Context(), m)
			if err == nil {
				last = ack.Sequence
			}
			return err
		})
	}
	return last
}

func event(i int) string { return fmt.Sprintf(`{"id":"e-%d","pad":"%s"}`, i, strings.Repeat("x", 900)) }

func record(i int) string { return fmt.Sprintf(`{"sequence":%d}`, i+1) }

// fill makes a system with 300 events, of which a consumer has settled the first 100 and holds 50 more.
func fill(t *testing.T, c *bus.Conn) {
	t.Helper()
	publish(t, c, "outbound.events.a1.t", 0, 300, event)
	publish(t, c, "outbound.history.intake.a1.accepted.e-N", 0, 300, record)
	events, err := c.JS.Stream(t.Context(), bus.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := events.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "http-crm", AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: time.Second, MaxDeliver: -1, FilterSubjects: []string{"outbound.events.*.t", "outbound.replay.crm"}})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := consumer.Fetch(150)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for m := range batch.Messages() {
		if n++; n <= 100 {
			if err := m.DoubleAck(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for key, value := range map[string]string{"r.crm": "1", "name.x": "crm"} {
		put(t, c, bus.BucketRecipients, key, value)
	}
	put(t, c, bus.BucketSettings, "smtp", "relay")
	put(t, c, bus.BucketStatus, "mark.intake.x", `{"sequence":300}`)
}

func put(t *testing.T, c *bus.Conn, bucket, key, value string) {
	t.Helper()
	b, err := c.Bucket(t.Context(), bucket)
	if err == nil {
		_, err = b.Write(t.Context(), key, []byte(value), 0, bus.Note{Actor: "admin", Action: "created"})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// take writes a backup to a file.
func take(t *testing.T, c *bus.Conn, deliveries bool) (string, backup.Manifest) {
	t.Helper()
	var b bytes.Buffer
	h := backup.Header{Version: "1", CreateTime: time.Now(), Deliveries: deliveries}
	m, err := backup.Take(t.Context(), c, backup.Options{Header: h}, &b)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, b.Bytes()), m
}

func write(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "b.tar")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string) *backup.File {
	t.Helper()
	f, err := backup.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func info(t *testing.T, c *bus.Conn, stream string) *jetstream.StreamInfo {
	t.Helper()
	s, err := c.JS.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo()
}

func TestARestoredSystemGoesOnWhereItWas(t *testing.T) {
	broker := bustest.Start(t)
	from, to := bustest.Start(t).Conn(), broker.Conn()
	fill(t, from)
	path, m := take(t, from, true)
	if m.EventsSequence != 300 || len(m.Parts) != 9 {
		t.Errorf("the manifest says %+v", m)
	}
	publish(t, to, "outbound.events.a9.t", 0, 5, event) // what is there is replaced
	r, err := restore(t, to, path)
	if err != nil || len(r.Parts) != 9 || r.RemovedRecords != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	sameStreams(t, from, to)
	theRestOfTheQueue(t, to)
	// The broker knows the message ids of what it got from a backup once it has started again.
	broker.Restart()
	waittest.Until(t, "the connection", to.Connected)
	if again := publish(t, to, "outbound.events.a1.t", 299, 300, event); again != 300 {
		t.Errorf("a repeated event is stored as %d", again)
	}
	if next := publish(t, to, "outbound.events.a1.t", 300, 301, event); next != 301 {
		t.Errorf("a new event has sequence %d", next)
	}
	b, err := to.Bucket(t.Context(), bus.BucketRecipients)
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Changes(t.Context(), "r.crm", 0, 5)
	if err != nil || len(got) != 1 || got[0].Actor != "admin" || string(got[0].Value) != "1" {
		t.Errorf("the recipient's revisions are %+v, %v", got, err)
	}
}

func restore(t *testing.T, to *bus.Conn, path string) (backup.Result, error) {
	t.Helper()
	return backup.Restore(t.Context(), to, open(t, path), backup.RestoreOptions{Streams: bustest.StreamOptions()})
}

// sameStreams compares what is stored here and there. The restore has written its revision.
func sameStreams(t *testing.T, from, to *bus.Conn) {
	t.Helper()
	for _, stream := range []string{bus.StreamEvents, bus.StreamHistory, bus.StreamNotices, "KV_outbound_recipients", "KV_outbound_settings",
		"KV_outbound_status", "KV_outbound_replays"} {
		was, is := info(t, from, stream).State, info(t, to, stream).State
		if stream == "KV_outbound_settings" {
			if is.Msgs != was.Msgs+1 {
				t.Errorf("%s has %d messages, was %d", stream, is.Msgs, was.Msgs)
			}
			continue
		}
		if was.Msgs != is.Msgs || max(1, was.FirstSeq) != max(1, is.FirstSeq) || was.LastSeq != is.LastSeq || !was.LastTime.Equal(is.LastTime) {
			t.Errorf("%s was %+v and is %+v", stream, was, is)
		}
	}
	c, err := to.JS.Consumer(t.Context(), bus.StreamEvents, "http-crm")
	if err != nil {
		t.Fatal(err)
	}
	if i := c.CachedInfo(); i.AckFloor.Stream != 100 || i.NumAckPending != 50 || i.NumPending != 150 {
		t.Errorf("the consumer is at %+v", i)
	}
}

// theRestOfTheQueue takes what was out, which comes again, and what was not handed out yet.
func theRestOfTheQueue(t *testing.T, to *bus.Conn) {
	t.Helper()
	c, err := to.JS.Consumer(t.Context(), bus.StreamEvents, "http-crm")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	waittest.NoError(t, "the rest of the queue", func() error {
		batch, err := c.FetchNoWait(300)
		if err != nil {
			return err
		}
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			seen[meta.Sequence.Stream] = true
			_ = m.Ack()
		}
		if len(seen) < 200 {
			return fmt.Errorf("%d messages came", len(seen))
		}
		return nil
	})
	if seen[100] || !seen[101] || !seen[300] {
		t.Errorf("other messages came than were open: %d", len(seen))
	}
}

func TestAConfigurationAloneGoesOnWithTheSequences(t *testing.T) {
	from, to := bustest.Start(t).Conn(), bustest.Start(t).Conn()
	fill(t, from)
	small, m := take(t, from, false)
	whole, _ := take(t, from, true)
	if m.EventsSequence != 300 || len(m.Parts) != 3 {
		t.Errorf("the manifest says %+v", m)
	}
	parts := 3
	for path, only := range map[string]bool{small: false, whole: true} {
		o := backup.RestoreOptions{Streams: bustest.StreamOptions(), ConfigurationOnly: only}
		r, err := backup.Restore(t.Context(), to, open(t, path), o)
		if err != nil || len(r.Parts) != parts {
			t.Fatalf("%+v, %v", r, err)
		}
		// The first restore has an entry in the audit log, which the second one keeps.
		parts = 2
		if p, err := backup.Look(t.Context(), to); err != nil || p.String() != "1 recipient, 1 setting" {
			t.Errorf("restored is %s, %v", p, err)
		}
		// Recipients begin at a sequence: one that is counted from 1 again would be passed over.
		if next := publish(t, to, "outbound.events.a1.t", 0, 1, event); next != 301 {
			t.Errorf("the first event has sequence %d", next)
		}
		if err := to.EnsureStreams(t.Context(), bustest.StreamOptions()); err != nil {
			t.Errorf("a service starts: %v", err)
		}
	}
}

// TestRecordsOfEventsAfterTheBackupAreRemoved accepts events after EVENTS was read and before HISTORY is.
func TestRecordsOfEventsAfterTheBackupAreRemoved(t *testing.T) {
	from, to := bustest.Start(t).Conn(), bustest.Start(t).Conn()
	fill(t, from)
	var b bytes.Buffer
	_, err := backup.Take(t.Context(), from, backup.Options{Header: backup.Header{Deliveries: true}, Began: func(p backup.Part) {
		if p.Name == bus.StreamNotices {
			publish(t, from, "outbound.events.a1.t", 300, 310, event)
			publish(t, from, "outbound.history.intake.a1.accepted.e-N", 300, 310, record)
			publish(t, from, "outbound.history.intake.a1.rejected.e-N", 310, 312, func(int) string { return `{}` })
		}
	}}, &b)
	if err != nil {
		t.Fatal(err)
	}
	r, err := backup.Restore(t.Context(), to, open(t, write(t, b.Bytes())), backup.RestoreOptions{Streams: bustest.StreamOptions()})
	if err != nil || r.RemovedRecords != 10 {
		t.Errorf("removed %d records, %v", r.RemovedRecords, err)
	}
	known, err := (storecheck.Bucket{Conn: to}).Load(t.Context())
	if err != nil || known == nil || known.Streams[bus.StreamHistory].Holes == 0 {
		t.Errorf("the inventory knows of no holes: %+v, %v", known, err)
	}
	if found, err := storecheck.Check(t.Context(), to, known); err != nil || len(found) > 0 {
		t.Errorf("what was removed is taken for a damage: %+v, %v", found, err)
	}
	if n := info(t, to, bus.StreamHistory).State.Msgs; n != 302 {
		t.Errorf("%d records are left", n)
	}
}

func TestADamagedFileIsRefused(t *testing.T) {
	c := bustest.Start(t).Conn()
	fill(t, c)
	path, _ := take(t, c, true)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte {
		out := bytes.Clone(whole)
		out[at] ^= 0x20
		return out
	}
	at := func(text string) int {
		i := bytes.Index(whole, []byte(text))
		if i < 0 {
			t.Fatalf("the file has no %q", text)
		}
		return i
	}
	for name, x := range map[string]struct {
		content []byte
		damaged bool
		says    string
	}{
		"empty":                   {nil, false, "it is empty"},
		"text":                    {[]byte(strings.Repeat("recipients:\n", 100)), false, "it is not a tar file"},
		"half":                    {whole[:len(whole)/2], true, "unexpected EOF"},
		"without its end":         {whole[:at("sha256\x00")], true, "before its checksum"},
		"a bit of a message":      {flip(at("EVENTS/000001.s2") + 600), true, "part EVENTS"},
		"a bit of the manifest":   {flip(at(`"eventsSequence": 300`) + 18), true, ""},
		"a bit of the sum":        {flip(at("sha256\x00") + 515), true, "is not the one at its end"},
		"a bit of the first":      {flip(at(`"version": "1"`) + 2), true, "is not the one at its end"},
		"a name":                  {flip(at("HISTORY/stream.json")), true, ""},
		"of a later release":      {bytes.Replace(whole, []byte(`"format": 1`), []byte(`"format": 2`), 1), false, "use that release or a later one"},
		"a member that is not it": {whole[at("EVENTS/stream.json"):], false, "it begins with EVENTS/stream.json"},
	} {
		_, err := backup.Open(write(t, x.content))
		if err == nil || errors.Is(err, backup.ErrDamaged) != x.damaged || !strings.Contains(err.Error(), x.says) ||
			!strings.Contains(err.Error(), "b.tar") {
			t.Errorf("%s: %v", name, err)
		}
	}
	open(t, path)
}

// TestAnInterruptedRestoreIsRunAgain ends a restore in the midst of EVENTS.
func TestAnInterruptedRestoreIsRunAgain(t *testing.T) {
	from, to := bustest.Start(t).Conn(), bustest.Start(t).Conn()
	fill(t, from)
	path, _ := take(t, from, true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := backup.RestoreOptions{Streams: bustest.StreamOptions()}
	o.Progress = func(p backup.Part, _ int64) {
		if p.Name == bus.StreamEvents {
			cancel()
		}
	}
	_, err := backup.Restore(ctx, to, open(t, path), o)
	if err == nil {
		t.Fatal("a restore that was interrupted ended well")
	}
	err = to.EnsureStreams(t.Context(), bustest.StreamOptions())
	if err == nil || !strings.Contains(err.Error(), "run outbound restore again") {
		t.Errorf("a service starts on half a store: %v", err)
	}
	if p, err := backup.Look(t.Context(), to); err != nil || !p.Empty() || p.Unfinished != "b.tar" {
		t.Errorf("there is %+v, %v", p, err)
	}
	waittest.NoError(t, "the second restore", func() error {
		_, err := restore(t, to, path)
		return err
	})
	if err := to.EnsureStreams(t.Context(), bustest.StreamOptions()); err != nil {
		t.Errorf("a service does not start: %v", err)
	}
	if n := info(t, to, bus.StreamEvents).State.Msgs; n != 300 {
		t.Errorf("%d events are restored", n)
	}
}
