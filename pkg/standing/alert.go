package standing

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// taken along: a recipient whose first alert falls due within this part of its AlertAfter joins a mail that is sent now.
const takenAlong = 10

// gathering is how many retry intervals a recovery waits for the others that failed for the same cause and are still failing.
const gathering = 2

// member is a recipient that contacts are to be told of.
type member struct {
	r       *recipient.Recipient
	e       Entry
	contact recipient.Contact
	at      time.Time
	kind    Kind
}

// alert has the contacts told of what is due. A mail is claimed in the status of each recipient it tells of before it is
// handed over, by compare-and-set, so that one sender alone tells of it; a claim whose holder has died is taken over with its
// message id, so that what was handed over already is not handed over twice.
func (k *Keeper) alert(ctx context.Context, now time.Time) {
	a := k.due(now)
	for _, id := range sortedKeys(a.claimed) {
		k.tell(ctx, a.claimed[id])
	}
	for _, c := range sortedKeys(a.fresh) {
		group := a.fresh[c]
		if a.busy[c] || !slices.ContainsFunc(group, func(m member) bool { return !m.at.After(now) }) {
			continue
		}
		slices.SortFunc(group, func(a, b member) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.r.ID, b.r.ID)) })
		if a.ill[c] && now.Before(gatheredAt(group[0])) {
			continue
		}
		if mine := k.claim(ctx, group, now); len(mine) > 0 {
			k.tell(ctx, mine)
		}
	}
}

// gatheredAt is when a recovery is told although others of its cause still fail.
func gatheredAt(first member) time.Time {
	return first.at.Add(min(gathering*first.r.Retry.Interval, first.contact.AlertAfter))
}

// contact is who is told of a recipient: its own contacts, else the fallback.
func (k *Keeper) contact(r *recipient.Recipient) recipient.Contact {
	if len(r.Contact.Addresses) > 0 || k.o.Fallback == nil {
		return r.Contact
	}
	return k.o.Fallback()
}

// agenda is what is to be told.
type agenda struct {
	// fresh is what nobody has claimed, by cause; claimed what this keeper has to finish, by claim.
	fresh, claimed map[string][]member
	// ill holds the causes whose recoveries may wait, for there are recipients that contacts were told of and that still fail.
	ill map[string]bool
	// busy holds the causes that another sender is just telling of: it may not have claimed all yet.
	busy map[string]bool
}

// due finds what is to be told.
func (k *Keeper) due(now time.Time) agenda {
	a := agenda{fresh: map[string][]member{}, claimed: map[string][]member{}, ill: map[string]bool{}, busy: map[string]bool{}}
	for _, r := range k.o.Recipients.Recipients() {
		e := k.entry(r.ID)
		if r.Channel() != k.o.Channel || aside(r) || e.Revision == 0 {
			continue
		}
		m := member{r: r, e: e, contact: k.contact(r)}
		if e.Status.Health == Failing && (e.Status.Alerts > 0 || e.Status.Claim != nil) {
			a.ill[cause(m, KindRecovered)] = true
		}
		if c := e.Status.Claim; c != nil {
			m.at, m.kind = c.At, c.Kind
			if c.Holder == k.o.Holder || now.Sub(c.At) > claimTicks*k.o.Tick {
				a.claimed[c.ID] = append(a.claimed[c.ID], m)
			} else {
				a.busy[cause(m, m.kind)] = true
			}
			continue
		}
		var ok bool
		if m.kind, m.at, ok = due(e.Status, m.contact); ok && !m.at.After(now.Add(along(m))) {
			c := cause(m, m.kind)
			a.fresh[c] = append(a.fresh[c], m)
		}
	}
	return a
}

// along is how long before it is due a recipient joins a mail: a little for a first alert, and as early as can be if it is the
// relay that fails, which fails for all alike.
func along(m member) time.Duration {
	switch {
	case m.kind != KindFailing || m.e.Status.Alerts > 0:
		return 0
	case ofRelay(m.r.Channel(), m.e.Status.Reason):
		return m.contact.AlertAfter
	default:
		return m.contact.AlertAfter / takenAlong
	}
}

// claim takes a group's members. The first one names the mail, and whoever takes it may take the others: a sender that comes too
// late for it leaves them all for now, so that two senders never share a group out. Of the others it takes those whose status
// nobody has changed meanwhile.
func (k *Keeper) claim(ctx context.Context, group []member, now time.Time) []member {
	var mine []member
	for _, m := range group {
		lead := m
		if len(mine) > 0 {
			lead = mine[0]
		}
		st := m.e.Status
		st.Claim = &Claim{ID: noticeID(lead), Kind: m.kind, Holder: k.o.Holder, At: now}
		rev, err := k.put(ctx, m.r.ID, st, m.e.Revision)
		if err != nil {
			if !errors.Is(err, ErrConflict) {
				k.complain(m.r.ID, err)
			}
			if len(mine) == 0 {
				return nil
			}
			continue
		}
		m.e.Status, m.e.Revision = st, rev
		mine = append(mine, m)
	}
	return mine
}

// noticeID is the same for each sender that tells of the same.
func noticeID(m member) string {
	return fmt.Sprintf("%s/%s/%s/%d", m.kind, m.r.ID, begun(m).UTC().Format(time.RFC3339Nano), m.e.Status.Alerts)
}

// begun is when what is told began.
func begun(m member) time.Time {
	st := m.e.Status
	switch {
	case m.kind == KindRecovered && st.Recovery != nil:
		return st.Recovery.Since
	case m.kind == KindDropped && st.Dropped != nil:
		return st.Dropped.First
	default:
		return st.Since
	}
}

// tell hands a claimed mail over, one notice an address, and then notes that the contacts were told.
func (k *Keeper) tell(ctx context.Context, group []member) {
	first, claim := group[0], group[0].e.Status.Claim
	n := Notice{Kind: claim.Kind, Channel: k.o.Channel, Admin: len(first.r.Contact.Addresses) == 0, At: claim.At, Target: target(first.r), Thread: fmt.Sprintf("%s/%s", first.r.ID, begun(first).UTC().Format(time.RFC3339Nano))}
	for _, m := range group {
		n.About = append(n.About, k.about(ctx, m))
	}
	for _, to := range first.contact.Addresses {
		n.To, n.ID = to, IDFor(claim.ID, to)
		call, cancel := context.WithTimeout(ctx, storeWait)
		err := k.o.Store.Notify(call, n)
		cancel()
		if err != nil {
			slog.Warn("notice not handed over, trying again", "recipient", first.r.ID, "kind", string(n.Kind), "error", err.Error())
			return
		}
	}
	slog.Info("contacts told", "kind", string(n.Kind), "recipient", first.r.ID, "recipients", len(group), "addresses", len(first.contact.Addresses))
	for _, m := range group {
		k.noteTold(ctx, m, claim)
	}
}

// IDFor is the id of the notice to one address, of the mail with an id.
func IDFor(mail, to string) string {
	hash := sha256.Sum256([]byte(recipient.SameAddress(to)))
	return mail + "/" + hex.EncodeToString(hash[:8])
}

// about gathers what is told of a recipient. A queue that can't be looked at is told as unknown.
func (k *Keeper) about(ctx context.Context, m member) About {
	a := about(m.r, m.e.Status, m.kind)
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	b, err := k.o.Store.Backlog(ctx, k.o.Channel, m.r.ID)
	if err != nil {
		return a
	}
	a.Waiting = b.Waiting
	if !b.Oldest.IsZero() {
		a.DropAt = b.Oldest.Add(m.r.Retry.Duration)
	}
	return a
}

// noteTold removes the claim. What changed in the status meanwhile stays.
func (k *Keeper) noteTold(ctx context.Context, m member, claim *Claim) {
	e := m.e
	for range putAgain {
		if e.Status.Claim == nil || e.Status.Claim.ID != claim.ID {
			return
		}
		st := told(e.Status, claim.Kind, claim.At)
		if d := e.Status.Dropped; d != nil && m.e.Status.Dropped != nil && d.Count > m.e.Status.Dropped.Count {
			later := *d
			later.Count -= m.e.Status.Dropped.Count
			later.First = d.Last
			st.Dropped = &later
		}
		_, err := k.put(ctx, m.r.ID, st, e.Revision)
		if !errors.Is(err, ErrConflict) {
			k.complain(m.r.ID, err)
			return
		}
		e = k.entry(m.r.ID)
	}
}

func sortedKeys(m map[string][]member) []string {
	out := make([]string, 0, len(m))
	for key := range m {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}
