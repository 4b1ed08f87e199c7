package auditlog_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/auditlog"
	"github.com/outbound-events/outbound/pkg/bus/storecheck"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// other is the broker as others see it.
func other(t *testing.T, b *bustest.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(b.URL())
	must(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	must(t, err)
	return js
}

func entry(i int) audit.Entry {
	return audit.Entry{Action: "recipient.update", Object: fmt.Sprintf("recipients/r%d", i), Outcome: audit.OK, Actor: "ada"}
}

func verify(t *testing.T, l *auditlog.Log) audit.Result {
	t.Helper()
	end, err := l.End(t.Context())
	must(t, err)
	v := audit.NewVerifier()
	must(t, l.Each(t.Context(), 1, func(s audit.Stored) (bool, error) {
		v.Next(s.Raw, s.Hash, s.Sequence)
		return true, nil
	}))
	return v.End(end)
}

func TestSeveralProcessesAppendOneChain(t *testing.T) {
	b := bustest.Start(t)
	const processes, each = 4, 50
	var all sync.WaitGroup
	for p := range processes {
		l := auditlog.New(b.Conn())
		all.Go(func() {
			for i := range each {
				if _, err := l.Append(t.Context(), entry(p*each+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	l := auditlog.New(b.Conn())
	if noted, err := l.Note(t.Context()); err != nil || !noted {
		t.Errorf("noted %v, %v", noted, err)
	}
	if r := verify(t, l); len(r.Faults) > 0 || r.Entries != processes*each || r.Last != processes*each {
		t.Errorf("%+v", r)
	}
}

// TestNobodyRemovesEntriesOfTheStream tries it, and then puts another stream in its place with each entry removed or changed in turn.
func TestNobodyRemovesEntriesUnnoticed(t *testing.T) {
	b := bustest.Start(t)
	l, js := auditlog.New(b.Conn()), other(t, b)
	const n = 6
	for i := range n {
		_, err := l.Append(t.Context(), entry(i))
		must(t, err)
	}
	_, err := l.Note(t.Context())
	must(t, err)
	s, err := js.Stream(t.Context(), "AUDIT")
	must(t, err)
	if s.DeleteMsg(t.Context(), 2) == nil || s.SecureDeleteMsg(t.Context(), 2) == nil || s.Purge(t.Context()) == nil {
		t.Error("an entry can be removed")
	}
	var kept []*jetstream.RawStreamMsg
	for i := range n {
		m, err := s.GetMsg(t.Context(), uint64(i+1))
		must(t, err)
		kept = append(kept, m)
	}
	named := 0
	for i := range n {
		for _, kind := range []string{audit.Removed, audit.Changed} {
			replace(t, js, kept, i, kind)
			for _, f := range verify(t, auditlog.New(b.Conn())).Faults {
				if f.Kind == kind && f.Number == uint64(i+1) {
					named++
				}
			}
		}
	}
	if named != 2*n {
		t.Errorf("named %d of %d", named, 2*n)
	}
}

// replace makes the stream anew, without an entry or with another one in its place.
func replace(t *testing.T, js jetstream.JetStream, kept []*jetstream.RawStreamMsg, which int, kind string) {
	t.Helper()
	must(t, js.DeleteStream(t.Context(), "AUDIT"))
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "AUDIT", Subjects: []string{"outbound.audit.>"}, AllowDirect: true})
	must(t, err)
	for i, m := range kept {
		data, header := m.Data, m.Header
		switch {
		case i == which && kind == audit.Removed:
			continue
		case i == which:
			data = []byte(strings.Replace(string(data), `"ada"`, `"eve"`, 1))
			header = nats.Header{"Outbound-Hash": {audit.Hash(data)}}
		}
		_, err := js.PublishMsg(t.Context(),
			&nats.Msg{Subject: m.Subject, Data: data, Header: nats.Header{"Outbound-Hash": header["Outbound-Hash"]}})
		must(t, err)
	}
}

func TestAnEntryIsRefusedWhenTheLogIsFull(t *testing.T) {
	b := bustest.Start(t)
	// A new connection would set the bounds of the streams again.
	conn := b.Conn()
	l := auditlog.New(conn)
	o := bustest.StreamOptions()
	o.AuditMaxBytes = 4 << 20
	must(t, conn.CreateStreams(t.Context(), o))
	e := entry(1)
	for i := range 1000 {
		e.Changes = append(e.Changes, audit.Change{Path: fmt.Sprint(i), After: strings.Repeat("x", 500)})
	}
	stored, refused := 0, 0
	for range 60 {
		switch _, err := l.Append(t.Context(), e); {
		case err == nil:
			stored++
		case errors.Is(err, auditlog.ErrFull):
			refused++
		default:
			t.Fatal(err)
		}
	}
	if stored < 10 || refused < 1 {
		t.Errorf("stored %d, refused %d", stored, refused)
	}
	if err := auditlog.New(conn).Ready(t.Context()); !errors.Is(err, auditlog.ErrFull) {
		t.Errorf("ready: %v", err)
	}
	if r := verify(t, l); len(r.Faults) > 0 || r.Entries != uint64(stored) {
		t.Errorf("%+v", r)
	}
}

// TestAStoreOfAnEarlierReleaseGetsTheStream starts on a store without AUDIT, with and without an inventory; one that had it has lost it.
func TestAStoreOfAnEarlierReleaseGetsTheStream(t *testing.T) {
	b := bustest.Start(t)
	js := other(t, b)
	conn := b.Conn()
	keeper := storecheck.Bucket{Conn: conn}
	open := func() error {
		return storecheck.NewWatcher(storecheck.Options{Conn: conn, Keeper: keeper}).Open(t.Context(), bustest.StreamOptions())
	}
	there := func() bool {
		_, err := js.Stream(t.Context(), "AUDIT")
		return err == nil
	}
	for name, known := range map[string]*storecheck.Inventory{
		"no inventory":            nil,
		"an inventory without it": {Streams: map[string]storecheck.Mark{"EVENTS": {}, "HISTORY": {}}},
	} {
		must(t, js.DeleteStream(t.Context(), "AUDIT"))
		if known != nil {
			must(t, keeper.Save(context.Background(), *known))
		}
		if err := open(); err != nil || !there() {
			t.Errorf("%s: %v, made: %v", name, err, there())
		}
	}
	must(t, keeper.Save(context.Background(), storecheck.Inventory{Streams: map[string]storecheck.Mark{
		"EVENTS": {}, "HISTORY": {}, "AUDIT": {First: 1, Last: 3, Messages: 3}}}))
	must(t, js.DeleteStream(t.Context(), "AUDIT"))
	if err := open(); !errors.Is(err, bus.ErrDamaged) || !strings.Contains(err.Error(), "AUDIT") {
		t.Errorf("a stream that was there: %v", err)
	}
}
