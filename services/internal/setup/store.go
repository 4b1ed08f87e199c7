package setup

import (
	"context"
	"fmt"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// noticeStore is the key of the notice about the broker's store.
const noticeStore = "store"

// watchStore has the process watch whether the broker stores what it is given, and say so in /readyz, a notice and a metric.
func (p *Process) watchStore() {
	writable := p.Telemetry.StoreWritable()
	w := bus.NewStoreWatch(p.Bus, func(f *bus.StoreFault) {
		p.Notices.Set(noticeStore, storeNotice(f))
		writable.Set(telemetry.Truth(f == nil))
	})
	p.Check("store", func(context.Context) error { return w.Err() })
	p.Add("store watch", w.Run)
}

// storeNotice says what is wrong with the broker's store and what to do; empty: nothing is wrong.
func storeNotice(f *bus.StoreFault) string {
	switch {
	case f == nil:
		return ""
	case f.Lasts:
		return fmt.Sprintf("Events are refused (%s): %v. Make room on the disk of nats-server, or repair it, then restart nats-server: it keeps "+
			"a write error until it is restarted.", f.Reason, f)
	default:
		return fmt.Sprintf("Events are refused (%s): %v. Check that nats-server runs and that its disk has room and responds. If it logs write "+
			"errors, restart it.", f.Reason, f)
	}
}
