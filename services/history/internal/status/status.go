// Package status reports how recipients, streams, processes, appliances and the SMTP relay are.
package status

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
	"github.com/outbound-events/outbound/services/history/internal/queues"
)

// Options are the limits of a reporter, and what only the process knows.
type Options struct {
	// Lookups is how many recipients or appliances are looked up at once.
	Lookups int
	// Version is the version of the process.
	Version string
	// DurabilityNotice says what the broker may lose; empty: nothing.
	DurabilityNotice string
	// FreeBytes returns what is free on the disk of an embedded broker. Nil: that is not known.
	FreeBytes func() (uint64, error)
}

// Deps are what a reporter reads, all required.
type Deps struct {
	Bus    *bus.Conn
	Log    *deliverylog.Log
	Config *configclient.Client
	Queues *queues.Reader
}

// Reporter reports the status of recipients, streams, processes and appliances.
type Reporter struct {
	Deps
	o         Options
	health    *control.HealthStore
	activity  *Activity
	processes *processes
	expiring  *expiryCache
	ending    *expiringCache
	growth    *growth
}

// New makes a reporter. The caller keeps the activity of recipients up to date.
func New(o Options, deps Deps, activity *Activity) *Reporter {
	return &Reporter{
		Deps: deps, o: o, health: control.NewHealthStore(deps.Bus), activity: activity,
		processes: &processes{bus: deps.Bus}, expiring: &expiryCache{}, ending: &expiringCache{}, growth: &growth{},
	}
}

// Run pings the processes and samples what is used until ctx ends.
func (s *Reporter) Run(ctx context.Context) {
	var observing sync.WaitGroup
	observing.Go(func() { s.observe(ctx) })
	s.processes.run(ctx)
	observing.Wait()
}

// Complete reports whether the activity of recipients has been counted as far back as it is shown.
func (s *Reporter) Complete() bool { return s.activity.counted() }

// Status reports on streams, processes, appliances and the relay, and on all recipients, or on one if id is not empty.
func (s *Reporter) Status(ctx context.Context, id string) (*outboundv1.Status, error) {
	if err := lookup.AwaitConfig(ctx, s.Config); err != nil {
		return nil, err
	}
	recipients := s.Config.Recipients()
	if id != "" {
		r, ok := s.Config.Find(ctx, id)
		if !ok {
			return nil, rpc.NotFound("recipient", id)
		}
		recipients = []*recipient.Recipient{r}
	}
	looked, err := s.facts(ctx, recipients)
	if err != nil {
		return nil, err
	}
	now := s.Bus.Now()
	s.countExpiring(ctx, recipients, looked, now)
	status := &outboundv1.Status{Version: s.o.Version, Recipients: make([]*outboundv1.RecipientStatus, len(recipients))}
	for i, r := range recipients {
		status.Recipients[i] = recipientStatus(r, looked[i], now)
	}
	streams, err := control.New(s.Bus).StreamStates(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range streams {
		status.Streams = append(status.Streams, streamStatus(x))
	}
	status.Disk = s.disk(streams)
	s.forecast(status, streams, now)
	if status.Services, err = s.processes.statuses(ctx); err != nil {
		return nil, err
	}
	relay, _, err := s.health.Relay(ctx)
	if err != nil {
		return nil, err
	}
	smtp := s.Config.Settings().SMTP
	status.Relay = relayStatus(smtp, relay, now)
	expiring := s.expiries(recipients, presented(recipients, looked, relayCertificate(smtp, relay)))
	for _, e := range expiring {
		status.Expiries = append(status.Expiries, expiryMessage(e))
	}
	if status.Appliances, err = s.applianceStatuses(ctx); err != nil {
		return nil, err
	}
	if status.Notices, err = s.processes.notices(ctx); err != nil {
		return nil, err
	}
	status.Notices = slices.Concat(status.Notices, s.notices(status, recipients), expiryNotices(expiring, now))
	return status, nil
}

// recipientStatus judges the facts of a recipient.
func recipientStatus(r *recipient.Recipient, f recipientFacts, now time.Time) *outboundv1.RecipientStatus {
	s := &outboundv1.RecipientStatus{
		RecipientId: r.ID, DisplayName: r.DisplayName, Health: healthOf(r, f, now),
		QueuedEvents: int64(min(f.backlog.Waiting+f.backlog.Unsettled, 1<<62)), OldestQueuedTime: protofield.Timestamp(f.backlog.Oldest),
		Channel: string(r.Channel()), Activity: f.counts.hourly(now),
		LastAttemptTime: protofield.Timestamp(f.counts.tried), LastDeliveredTime: protofield.Timestamp(f.counts.delivered),
	}
	s.LastAlertTime = protofield.Timestamp(f.status.LastAlert)
	if s.GetHealth() == outboundv1.RecipientHealth_FAILING {
		st := f.status
		s.LastError, s.LastReason = errorText(st), string(st.Reason)
		s.FailingSinceTime = protofield.Timestamp(st.Since)
		// The senders store the status every few seconds, so the next attempt of the status may be the last one by now.
		if st.NextAttempt.After(f.counts.tried) && st.NextAttempt.After(now) {
			s.NextAttemptTime = protofield.Timestamp(st.NextAttempt)
		}
		setBreaker(s, r, st, now)
		if !f.backlog.Oldest.IsZero() {
			s.NextExpireTime = protofield.Timestamp(r.Expire(f.backlog.Oldest))
		}
		s.ExpiringDeliveries, s.ExpiringBeforeTime = f.expiring.deliveries, protofield.Timestamp(f.expiring.before)
	}
	setMaintenance(s, r, now)
	if c := receiverCertificate(r, f.status); c != nil {
		s.CertificateExpireTime, s.CertificateSubject = timestamppb.New(c.Until), protofield.Text(c.Subject)
	}
	s.SkippedEvents = f.skipped
	s.SkippedSinceTime, s.SkippedUntilTime = protofield.Timestamp(f.window.Start), protofield.Timestamp(f.window.End)
	return s
}

// setMaintenance says which maintenance window is open, or opens next, and at which rate what the last one held is sent.
func setMaintenance(s *outboundv1.RecipientStatus, r *recipient.Recipient, now time.Time) {
	if b, open := r.InMaintenance(now); open {
		s.MaintenanceSinceTime, s.MaintenanceUntilTime = protofield.Timestamp(b.Start), protofield.Timestamp(b.End)
		s.MaintenanceTimeZone = b.Zone.String()
		return
	}
	if b, ok := r.Maintenance.Next(now); ok {
		s.NextMaintenanceTime, s.MaintenanceTimeZone = protofield.Timestamp(b.Start), b.Zone.String()
	}
	if s.GetOldestQueuedTime() != nil && r.Enabled {
		s.DrainRate = int32(r.Maintenance.DrainRate(s.GetOldestQueuedTime().AsTime(), now))
	}
}

// setBreaker says that a recipient is paused by its breaker.
func setBreaker(s *outboundv1.RecipientStatus, r *recipient.Recipient, st health.Status, now time.Time) {
	if !st.BreakerOpen {
		return
	}
	s.BreakerOpen, s.BreakerSinceTime = true, protofield.Timestamp(st.BreakerSince)
	s.ProbeInterval = durationpb.New(r.Retry.Interval)
	if st.NextProbe.After(now) {
		s.NextProbeTime = protofield.Timestamp(st.NextProbe)
		s.NextAttemptTime = protofield.Timestamp(st.NextProbe)
	}
}

// healthOf judges the health of a recipient.
func healthOf(r *recipient.Recipient, f recipientFacts, now time.Time) outboundv1.RecipientHealth_Health {
	_, held := r.InMaintenance(now)
	switch {
	case r.Deleting:
		return outboundv1.RecipientHealth_DELETING
	case !r.Enabled && r.WhileDisabled == recipient.Hold:
		return outboundv1.RecipientHealth_PAUSED
	case !r.Enabled:
		return outboundv1.RecipientHealth_DISABLED
	case held:
		return outboundv1.RecipientHealth_MAINTENANCE
	case f.status.Health == health.Failing:
		return outboundv1.RecipientHealth_FAILING
	default:
		return outboundv1.RecipientHealth_OK
	}
}

// errorText describes the last error: its reason, the receiver's code if there was one, and the detail.
func errorText(st health.Status) string {
	out := string(st.Reason)
	if st.Code != 0 {
		out += fmt.Sprintf(" %d", st.Code)
	}
	if st.Detail != "" {
		out += ": " + protofield.Text(st.Detail)
	}
	return out
}
