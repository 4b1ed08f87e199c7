package health_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// One host that is down makes one mail, however many recipients are behind it, and so does its recovery.
func TestFortyRecipientsOfOneHostMakeOneMail(t *testing.T) {
	var all []*recipient.Recipient
	for i := range 40 {
		r := desk(fmt.Sprintf("r%02d", i), "a.example", 0)
		r.Retry.Interval, r.Contact.AlertAfter = time.Minute, time.Minute
		all = append(all, r)
	}
	w := newFixture(t, slices.Clone(all)...)
	// A claim that is not finished within ten ticks is taken over, as that of a sender that has died.
	const slow = 10 * tick
	a, b := w.senderEvery(slow, "a", nil), w.senderEvery(slow, "b", nil)
	every := func(what string, yes func(health.Status) bool) {
		w.until(what, func() bool {
			return !slices.ContainsFunc(all, func(r *recipient.Recipient) bool { return !yes(w.status(r)) })
		})
	}
	contacted := func(after time.Duration) {
		changed := make([]*recipient.Recipient, len(all))
		for i, r := range all {
			next := *r
			next.Contact.AlertAfter = after
			changed[i] = &next
		}
		w.dir.replace(changed)
	}
	for i, r := range all {
		[]*sender{a, b}[i%2].fails(r)
	}
	every("all fail", func(s health.Status) bool { return s.Health == health.Failing })
	contacted(after) // nobody is told before all fail, however busy the machine is
	every("all were told of", func(s health.Status) bool { return s.Alerts == 1 })
	contacted(time.Minute)
	w.pass(a, after)
	w.pass(b, after)
	if got := w.got(); len(got) != 1 || len(got[0].About) != len(all) || got[0].Target != "a.example" {
		t.Fatalf("%d mails, the first about %d", len(got), len(got[0].About))
	}
	for i, r := range all {
		[]*sender{a, b}[i%2].succeeds(r)
	}
	w.until("the recovery came", func() bool {
		told := 0
		for _, n := range w.got()[1:] {
			told += len(n.About)
		}
		return told == len(all)
	})
	w.want(health.KindFailing, health.KindRecovered)
}

func TestRecipientsOfOneHostAreToldOfTogether(t *testing.T) {
	x, y, z := desk("x", "a.example", 0), desk("y", "a.example", 0), desk("z", "b.example", 0)
	w := newFixture(t, x, y, z)
	a := w.sender("a", nil)
	b := w.sender("b", nil)
	for _, r := range []*recipient.Recipient{x, y, z} {
		a.fails(r)
	}
	w.until("all were told", func() bool { return w.status(x).Alerts+w.status(y).Alerts+w.status(z).Alerts == 3 && len(w.got()) >= 2 })
	w.pass(a, after)
	w.pass(b, after)
	w.want(health.KindFailing, health.KindFailing)
	if n := len(w.got()[0].About) + len(w.got()[1].About); n != 3 {
		t.Errorf("told of %d recipients, want 3", n)
	}
}
