package health

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// taken along: a recipient whose first alert falls due within this part of its AlertAfter joins a mail that is sent now.
const takenAlong = 10

// gatherIntervals is how many retry intervals a recovery waits for the others that failed for the same cause and are still failing.
const gatherIntervals = 2

// member is a recipient that contacts are to be told of.
type member struct {
	r       *recipient.Recipient
	e       Entry
	contact recipient.Contact
	at      time.Time
	kind    Kind
}

// alert has the alert queued of what is due. A mail is claimed in the status of each recipient it tells of before it is
// handed over, by compare-and-set, so that one sender alone tells of it; a claim whose holder has died is taken over with its
// message id, so that what was handed over already is not handed over twice.
func (m *Monitor) alert(ctx context.Context, now time.Time) {
	a := m.due(now)
	for _, id := range sortedKeys(a.claimed) {
		m.notify(ctx, a.claimed[id])
	}
	for _, c := range sortedKeys(a.fresh) {
		group := a.fresh[c]
		if a.busy[c] || !slices.ContainsFunc(group, func(mb member) bool { return !mb.at.After(now) }) {
			continue
		}
		slices.SortFunc(group, func(a, b member) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.r.ID, b.r.ID)) })
		if a.ill[c] && now.Before(gatheredAt(group[0])) {
			continue
		}
		if mine := m.claim(ctx, group, now); len(mine) > 0 {
			m.notify(ctx, mine)
		}
	}
}

// gatheredAt is when a recovery is told although others of its cause still fail.
func gatheredAt(first member) time.Time {
	return first.at.Add(min(gatherIntervals*first.r.Retry.Interval, first.contact.AlertAfter))
}

// contact is who is told of a recipient: its own contacts, else the fallback.
func (m *Monitor) contact(r *recipient.Recipient) recipient.Contact {
	if len(r.Contact.Addresses) > 0 || m.o.Fallback == nil {
		return r.Contact
	}
	return m.o.Fallback()
}

// dueAlerts is what is to be told.
type dueAlerts struct {
	// fresh is what nobody has claimed, by cause; claimed what this keeper has to finish, by claim.
	fresh, claimed map[string][]member
	// ill holds the causes whose recoveries may wait, for there are recipients that contacts were told of and that still fail.
	ill map[string]bool
	// busy holds the causes that another sender is just telling of: it may not have claimed all yet.
	busy map[string]bool
}

// due finds what is to be told.
func (m *Monitor) due(now time.Time) dueAlerts {
	a := dueAlerts{fresh: map[string][]member{}, claimed: map[string][]member{}, ill: map[string]bool{}, busy: map[string]bool{}}
	for _, r := range m.o.Recipients.Recipients() {
		e := m.entry(r.ID)
		if r.Channel() != m.o.Channel || aside(r) || e.Revision == 0 {
			continue
		}
		if _, held := r.InMaintenance(now); held {
			continue // nobody is told before the window closes
		}
		mb := member{r: r, e: e, contact: m.contact(r)}
		if e.Status.Health == Failing && (e.Status.Alerts > 0 || e.Status.Claim != nil) {
			a.ill[cause(mb, KindRecovered)] = true
		}
		if c := e.Status.Claim; c != nil {
			mb.at, mb.kind = c.At, c.Kind
			if c.Holder == m.o.Holder || now.Sub(c.At) > claimTicks*m.o.Tick {
				a.claimed[c.ID] = append(a.claimed[c.ID], mb)
			} else {
				a.busy[cause(mb, mb.kind)] = true
			}
			continue
		}
		var ok bool
		if mb.kind, mb.at, ok = due(e.Status, mb.contact); ok && !mb.at.After(now.Add(along(mb))) {
			c := cause(mb, mb.kind)
			a.fresh[c] = append(a.fresh[c], mb)
		}
	}
	return a
}

// along is how long before it is due a recipient joins a mail: a little for a first alert, and as early as can be if it is the
// relay that fails, which fails for all alike.
func along(mb member) time.Duration {
	switch {
	case mb.kind != KindFailing || mb.e.Status.Alerts > 0:
		return 0
	case ofRelay(mb.r.Channel(), mb.e.Status.Reason):
		return mb.contact.AlertAfter
	default:
		return mb.contact.AlertAfter / takenAlong
	}
}

// claim takes a group's members. The first one names the mail, and whoever takes it may take the others: a sender that comes too
// late for it leaves them all for now, so that two senders never share a group out. Of the others it takes those that are still to be
// told of.
func (m *Monitor) claim(ctx context.Context, group []member, now time.Time) []member {
	claimOf := func(mb member) *Claim {
		return &Claim{ID: noticeID(group[0]), Kind: mb.kind, Holder: m.o.Holder, At: now}
	}
	lead, ok := m.claimOne(ctx, group[0], claimOf(group[0]), false)
	if !ok {
		return nil
	}
	mine, taken := slices.Clone(group), make([]bool, len(group))
	mine[0], taken[0] = lead, true
	each(len(group)-1, func(i int) { mine[i+1], taken[i+1] = m.claimOne(ctx, group[i+1], claimOf(group[i+1]), true) })
	kept := mine[:0]
	for i, mb := range mine {
		if taken[i] {
			kept = append(kept, mb)
		}
	}
	return kept
}

// writesAtOnce is how many statuses of a group are written at once, so that a large group is claimed well before claimTicks are over.
const writesAtOnce = 64

// each calls f for 0 to n-1, writesAtOnce of them at once, and waits for all.
func each(n int, f func(i int)) {
	places := make(chan struct{}, writesAtOnce)
	var wg sync.WaitGroup
	for i := range n {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			f(i)
		})
	}
	wg.Wait()
}

// claimOne writes a claim into a member's status. If again is set and another sender has written the status meanwhile, as it does every
// few seconds while deliveries fail, it tries again as long as the same is to be told.
func (m *Monitor) claimOne(ctx context.Context, mb member, c *Claim, again bool) (member, bool) {
	for range putAgain {
		st := mb.e.Status
		st.Claim = c
		rev, err := m.put(ctx, mb.r.ID, st, mb.e.Revision)
		if err == nil {
			mb.e.Status, mb.e.Revision = st, rev
			return mb, true
		}
		if !errors.Is(err, ErrConflict) {
			m.complain(mb.r.ID, err)
			return mb, false
		}
		e := m.entry(mb.r.ID)
		kind, _, ok := due(e.Status, mb.contact)
		if !again || !ok || kind != mb.kind || e.Status.Claim != nil || e.Status.Alerts != mb.e.Status.Alerts || e.Revision == mb.e.Revision {
			return mb, false
		}
		mb.e = e
	}
	return mb, false
}

// noticeID is the same for each sender that tells of the same.
func noticeID(mb member) string {
	return fmt.Sprintf("%s/%s/%s/%d", mb.kind, mb.r.ID, begun(mb).UTC().Format(time.RFC3339Nano), mb.e.Status.Alerts)
}

// begun is when what is told began.
func begun(mb member) time.Time {
	st := mb.e.Status
	switch {
	case mb.kind == KindRecovered && st.Recovery != nil:
		return st.Recovery.Since
	case mb.kind == KindDropped && st.Dropped != nil:
		return st.Dropped.First
	default:
		return st.Since
	}
}

// notify hands a claimed mail over, one notice an address, and then notes that the contacts were told.
func (m *Monitor) notify(ctx context.Context, group []member) {
	first, claim := group[0], group[0].e.Status.Claim
	n := Notice{Kind: claim.Kind, Channel: m.o.Channel, Admin: len(first.r.Contact.Addresses) == 0, At: claim.At,
		Target: first.r.Target().Destination(),
		Thread: fmt.Sprintf("%s/%s", first.r.ID, begun(first).UTC().Format(time.RFC3339Nano))}
	for _, mb := range group {
		n.About = append(n.About, m.about(ctx, mb))
	}
	for _, to := range first.contact.Addresses {
		n.To, n.ID = to, IDFor(claim.ID, to)
		call, cancel := context.WithTimeout(ctx, storeWait)
		err := m.o.Store.Notify(call, n)
		cancel()
		if err != nil {
			m.o.Logger.Warn("alert not queued, retrying", logkey.Recipient, first.r.ID, logkey.Kind, string(n.Kind), logkey.Error, err.Error())
			return
		}
	}
	m.o.Logger.Info("alert queued", logkey.Kind, string(n.Kind), logkey.Recipient, first.r.ID, logkey.Recipients, len(group), logkey.Addresses,
		len(first.contact.Addresses))
	each(len(group), func(i int) { m.noteNotified(ctx, group[i], claim) })
}

// IDFor is the id of the notice to one address, of the mail with an id.
func IDFor(mail, to string) string {
	hash := sha256.Sum256([]byte(recipient.SameAddress(to)))
	return mail + "/" + hex.EncodeToString(hash[:8])
}

// about gathers what is told of a recipient. A queue that can't be looked at is told as unknown.
func (m *Monitor) about(ctx context.Context, mb member) About {
	a := about(mb.r, mb.e.Status, mb.kind)
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	b, err := m.o.Store.Backlog(ctx, m.o.Channel, mb.r.ID)
	if err != nil {
		return a
	}
	a.Waiting = b.Waiting
	if !b.Oldest.IsZero() {
		a.DropAt = mb.r.Expire(b.Oldest)
	}
	until, ok := ExpiringAccepted(mb.r, b.Oldest, claimed(mb))
	if mb.kind != KindFailing || !ok {
		return a
	}
	if n, err := m.o.Store.QueuedUntil(ctx, m.o.Channel, mb.r.ID, until); err == nil && n > 0 {
		a.Expiring, a.ExpiringBefore = n, ExpiryHorizon(claimed(mb))
	}
	return a
}

// claimed is when it was decided to tell of a member, which has a claim.
func claimed(mb member) time.Time { return mb.e.Status.Claim.At }

// noteNotified removes the claim. What changed in the status meanwhile stays.
func (m *Monitor) noteNotified(ctx context.Context, mb member, claim *Claim) {
	e := mb.e
	for range putAgain {
		if e.Status.Claim == nil || e.Status.Claim.ID != claim.ID {
			return
		}
		st := notified(e.Status, claim.Kind, claim.At)
		if d := e.Status.Dropped; d != nil && mb.e.Status.Dropped != nil && d.Count > mb.e.Status.Dropped.Count {
			later := *d
			later.Count -= mb.e.Status.Dropped.Count
			later.First = d.Last
			st.Dropped = &later
		}
		_, err := m.put(ctx, mb.r.ID, st, e.Revision)
		if !errors.Is(err, ErrConflict) {
			m.complain(mb.r.ID, err)
			return
		}
		e = m.entry(mb.r.ID)
	}
}

func sortedKeys(mb map[string][]member) []string {
	out := make([]string, 0, len(mb))
	for key := range mb {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}
