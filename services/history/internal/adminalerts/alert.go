package adminalerts

import (
	"context"
	"errors"
	"time"

	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/logkey"
)

// claimFor is how long a process may take to notify once it has claimed an alert. After that another process notifies, with the same
// notice ids, so that no notice is sent twice.
const claimFor = 30 * time.Second

// alert is the stored state of an alert.
type alert struct {
	health.AlertState
	name     string
	revision uint64
}

// load reads the stored state of an alert.
func (n *Notifier) load(ctx context.Context, name string) (alert, error) {
	m, revision, err := n.health.Mark(ctx, name)
	return alert{AlertState: m, name: name, revision: revision}, err
}

// unnotified reports whether nobody has notified of an occurrence: no process claimed it, or the one that did has died.
func (m alert) unnotified(of string, over bool, now time.Time) bool {
	if m.Of != of || m.Over != over {
		return true
	}
	return !m.Notified && now.Sub(m.At) > claimFor
}

// occurrence is what admin contacts are notified of.
type occurrence struct {
	// state is the state of the alert once they are.
	state    health.AlertState
	notice   health.Notice
	contacts []string
}

// notifyOnce notifies the admin contacts of an occurrence, unless another process does.
func (n *Notifier) notifyOnce(ctx context.Context, m alert, o occurrence) error {
	to, notice := o.state, o.notice
	to.At, to.Notified = notice.At, false
	revision, err := n.health.PutMark(ctx, m.name, to, m.revision)
	if errors.Is(err, health.ErrConflict) {
		return nil
	}
	if err != nil {
		return err
	}
	notice.Admin = true
	mail := string(notice.Kind) + "/" + m.name + "/" + to.Of
	for _, address := range o.contacts {
		notice.To, notice.ID = address, health.IDFor(mail, address)
		if err := n.health.Notify(ctx, notice); err != nil {
			return err
		}
	}
	n.Logger.Info("admin alert queued", logkey.Kind, string(notice.Kind), logkey.Of, m.name, logkey.Addresses, len(o.contacts))
	to.Notified = true
	if _, err := n.health.PutMark(ctx, m.name, to, revision); !errors.Is(err, health.ErrConflict) {
		return err
	}
	return nil
}

// remove removes the state of an alert, so that the next occurrence is notified.
func (n *Notifier) remove(ctx context.Context, name string) error {
	m, err := n.load(ctx, name)
	if err != nil || m.revision == 0 {
		return err
	}
	if err := n.health.RemoveMark(ctx, name, m.revision); !errors.Is(err, health.ErrConflict) {
		return err
	}
	return nil
}
