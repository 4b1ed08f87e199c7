// Package waits says why deliveries wait, and when their next attempt is due.
package waits

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Why a delivery waits.
const (
	// Breaker is that the breaker of the recipient is open.
	Breaker = "breaker_open"
	// Paused is that the recipient is disabled with HOLD.
	Paused = "paused"
	// Maintenance is that a maintenance window of the recipient is open.
	Maintenance = "maintenance"
	// Interval is that its next attempt is at a later time.
	Interval = "retry_interval"
	// Due is that its next attempt is due or under way.
	Due = "due"
	// Queue is that it waits for its first attempt.
	Queue = "queue"
)

// Explainer says why deliveries wait.
type Explainer struct {
	bus    *bus.Conn
	config *configclient.Client
	health *control.HealthStore
}

// New makes an explainer that reads the health of recipients through a connection.
func New(conn *bus.Conn, config *configclient.Client) *Explainer {
	return &Explainer{bus: conn, config: config, health: control.NewHealthStore(conn)}
}

// fewRecipients is up to how many recipients are looked up singly. More are read with one request.
const fewRecipients = 8

// Explain fills in why those deliveries wait that are not final. No next attempt is in the past after it.
func (x *Explainer) Explain(ctx context.Context, of ...*outboundv1.Delivery) error {
	recipients := map[string]*recipient.Recipient{}
	for _, d := range of {
		if r, ok := x.config.Recipient(d.GetRecipientId()); ok && open(d) {
			recipients[r.ID] = r
		}
	}
	if len(recipients) == 0 {
		return nil
	}
	states, err := x.states(ctx, recipients)
	if err != nil {
		return fmt.Errorf("read why deliveries wait: %w", err)
	}
	now := x.bus.Now()
	for _, d := range of {
		if r, ok := recipients[d.GetRecipientId()]; ok && open(d) {
			Explain(d, r, states[r.ID], now)
		}
	}
	return nil
}

func open(d *outboundv1.Delivery) bool {
	return d.GetState() == outboundv1.DeliveryState_WAITING || d.GetState() == outboundv1.DeliveryState_RETRYING
}

func (x *Explainer) states(ctx context.Context, recipients map[string]*recipient.Recipient) (map[string]health.Status, error) {
	out := make(map[string]health.Status, len(recipients))
	if len(recipients) > fewRecipients {
		all, err := x.health.All(ctx)
		for id, r := range recipients {
			out[id] = all.Of(r)
		}
		return out, err
	}
	for id, r := range recipients {
		e, err := x.health.Get(ctx, r.Channel(), id)
		if err != nil {
			return nil, err
		}
		out[id] = e.Status
	}
	return out, nil
}

// Explain says why a delivery waits that is not final, by its recipient and its health. A next attempt that is due has the time now.
func Explain(d *outboundv1.Delivery, r *recipient.Recipient, st health.Status, now time.Time) {
	next := time.Time{}
	if d.GetNextAttemptTime() != nil {
		next = d.GetNextAttemptTime().AsTime()
	}
	window, held := r.InMaintenance(now)
	switch retrying := d.GetState() == outboundv1.DeliveryState_RETRYING; {
	case !r.Enabled && r.WhileDisabled == recipient.Hold:
		d.WaitReason, d.WaitDetail = Paused, "The recipient is paused. The delivery continues when it is enabled."
		next = time.Time{}
	case held:
		d.WaitReason = Maintenance
		d.WaitDetail = fmt.Sprintf("The recipient is in maintenance until %s. The delivery continues then.",
			maintenance.TimeIn(window.End, now, window.Zone))
		next = latestOf(next, window.End)
	case st.Health == health.Failing && st.BreakerOpen:
		d.WaitReason, d.WaitDetail = Breaker, fmt.Sprintf("The recipient is paused by its breaker because it keeps failing. One attempt is "+
			"made every %s.", r.Retry.Interval)
		if st.NextProbe.After(next) {
			next = st.NextProbe
		}
		next = latestOf(next, now)
	case retrying && next.After(now):
		d.WaitReason, d.WaitDetail = Interval, fmt.Sprintf("The retry interval of the recipient is %s.", r.Retry.Interval)
	case retrying:
		d.WaitReason, d.WaitDetail = Due, "The next attempt is due or in progress."
		next = now
	default:
		d.WaitReason, d.WaitDetail = Queue, "The delivery is queued for its first attempt."
	}
	d.NextAttemptTime = nil
	if !next.IsZero() {
		d.NextAttemptTime = timestamppb.New(next)
	}
}

func latestOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
