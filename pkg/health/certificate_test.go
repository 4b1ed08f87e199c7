package health_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// countingStore counts the writes of statuses.
type countingStore struct {
	health.Store
	puts atomic.Int64
}

func (s *countingStore) Put(ctx context.Context, ch recipient.Channel, id string, st health.Status, rev uint64) (uint64, error) {
	s.puts.Add(1)
	return s.Store.Put(ctx, ch, id, st, rev)
}

func leaf(name string, from, until time.Time) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until}
}

func TestTheReceiversCertificateIsWrittenWhenItChangesAlone(t *testing.T) {
	r := desk("desk", "desk.example", 0)
	w := newFixture(t, r)
	store := &countingStore{Store: control.NewHealthStore(w.conn)}
	observer, stop, err := health.Start(context.Background(),
		health.Options{Channel: recipient.HTTP, Recipients: w.dir, Store: store, Observer: silent{}, Holder: "a", Tick: tick})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	began := time.Now().UTC().Truncate(time.Second)
	delivers := func(r *recipient.Recipient, at time.Time, c *x509.Certificate) {
		d := &delivery.Delivery{Recipient: r, Event: &event.Event{ID: "e"}, Attempt: 1}
		observer.End(context.Background(), delivery.Report{Delivery: d, Channel: recipient.HTTP, State: delivery.StateDelivered,
			Outcome: delivery.Outcome{Began: at, Certificate: c}, Verdict: delivery.Verdict{Kind: delivery.Delivered, Reason: reasons.OK}})
	}
	day := 24 * time.Hour
	until := func(c *x509.Certificate, writes int64) {
		t.Helper()
		w.until("the certificate "+c.Subject.String()+" is noted", func() bool {
			st := w.status(r)
			return st.Certificate != nil && st.Certificate.Until.Equal(c.NotAfter) && st.Certificate.Subject == c.Subject.String()
		})
		if n := store.puts.Load(); n != writes {
			t.Errorf("%d writes, want %d", n, writes)
		}
	}
	old, fresh, sooner := leaf("old", began.Add(-80*day), began.Add(10*day)), leaf("fresh", began, began.Add(90*day)),
		leaf("sooner", began, began.Add(5*day))
	for i := range 200 {
		delivers(r, began.Add(time.Duration(i)*time.Millisecond), old)
	}
	until(old, 1)
	if st := w.status(r); st.Health != health.OK || st.Certificate.Target != "desk.example" {
		t.Errorf("status %+v", st)
	}
	// Hosts that present two in turn: the one that expires later waits, so nothing is written.
	for i := range 100 {
		delivers(r, began.Add(time.Minute+time.Duration(i)*time.Second), []*x509.Certificate{old, fresh}[i%2])
	}
	delivers(r, began.Add(5*time.Minute), sooner)
	until(sooner, 2)
	delivers(r, began.Add(20*time.Minute), fresh) // it was renewed
	until(fresh, 3)
	moved := desk("desk", "moved.example", 0)
	moved.Revision = 2
	w.dir.set(moved)
	delivers(moved, began.Add(21*time.Minute), leaf("longer", began, began.Add(300*day)))
	w.until("the certificate of another host replaces it at once", func() bool {
		return w.status(moved).Certificate.Target == "moved.example"
	})
}

func TestPeopleAreWarnedWhenRenewalHasFailed(t *testing.T) {
	const day = 24 * time.Hour
	for life, want := range map[time.Duration]time.Duration{
		398 * day: 14 * day, 90 * day: 14 * day, 45 * day: 9 * day, 5 * day: day,
	} {
		now := time.Now()
		c := health.CertificateOf(&x509.Certificate{NotBefore: now, NotAfter: now.Add(life), DNSNames: []string{"a.example"}}, "a.example", now)
		if got := c.WarnBefore(); got != want || c.Subject != "a.example" {
			t.Errorf("%s of %q valid for %s, want %s", got, c.Subject, life, want)
		}
	}
}
