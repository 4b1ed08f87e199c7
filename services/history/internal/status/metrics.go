package status

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const (
	// metricsMaxAge is how old a status may be to be shown in metrics again, so that several scrapers cost no more than one.
	metricsMaxAge = 5 * time.Second
	// metricsTimeout bounds the time that a scrape waits for the status. Prometheus waits 10 s by default.
	metricsTimeout = 5 * time.Second
)

// Metrics shows the status as metrics. It reads the status when metrics are asked for.
type Metrics struct {
	reporter *Reporter
	// most is how many recipients, and how many appliances, have series of their own.
	most int
	d    descriptions

	mu   sync.Mutex
	at   time.Time
	last *outboundv1.Status
}

// NewMetrics has the status that a reporter reads shown as metrics.
func NewMetrics(r *Reporter, t *telemetry.Telemetry) *Metrics {
	m := &Metrics{reporter: r, most: t.MaxSeries, d: describe()}
	t.Report(m.put)
	return m
}

// read returns the status; nil if it can't be read.
func (m *Metrics) read() *outboundv1.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.at) < metricsMaxAge {
		return m.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
	defer cancel()
	s, err := m.reporter.Status(ctx, "")
	if err != nil {
		s = nil
	}
	m.last, m.at = s, time.Now()
	return s
}

// put puts the whole status into a report. What is not known is left out, except that it is not known.
func (m *Metrics) put(put telemetry.Put) {
	s := m.read()
	put(m.d.up, telemetry.Truth(s != nil))
	if s == nil {
		return
	}
	m.recipients(put, s.GetRecipients())
	m.appliances(put, s.GetAppliances())
	m.streams(put, s.GetStreams())
	if s.GetDisk().GetFreeKnown() {
		put(m.d.diskFull, seconds(s.GetDisk().GetFullTime()))
	}
	m.relay(put, s.GetRelay())
	for _, e := range s.GetExpiries() {
		put(m.d.expiry, seconds(e.GetExpireTime()), e.GetKind(), e.GetResource(), e.GetSubject())
	}
	running := map[string]float64{}
	for _, p := range s.GetServices() {
		running[p.GetName()]++
	}
	for name, n := range running {
		put(m.d.processes, n, name)
	}
	put(m.d.notices, float64(len(s.GetNotices())))
}

// recipientSums are the figures of the recipients that share series.
type recipientSums struct {
	waiting, oldest, since, open, held, expiry, expiring float64
}

func (m *Metrics) recipients(put telemetry.Put, all []*outboundv1.RecipientStatus) {
	now := m.reporter.Bus.Now()
	m.totals(put, all)
	slices.SortStableFunc(all, byNeed)
	rest := map[string]*recipientSums{}
	for i, r := range all {
		x := recipientSums{waiting: float64(r.GetQueuedEvents()), since: seconds(r.GetFailingSinceTime()),
			open: telemetry.Truth(r.GetBreakerOpen()), held: telemetry.Truth(r.GetMaintenanceUntilTime() != nil),
			expiry: seconds(r.GetNextExpireTime()), expiring: float64(r.GetExpiringDeliveries())}
		if r.GetOldestQueuedTime() != nil {
			x.oldest = max(now.Sub(r.GetOldestQueuedTime().AsTime()).Seconds(), 0)
		}
		if i < m.most {
			m.recipient(put, x, r.GetRecipientId(), r.GetChannel())
			continue
		}
		sum := rest[r.GetChannel()]
		if sum == nil {
			sum = &recipientSums{}
			rest[r.GetChannel()] = sum
		}
		sum.add(x)
	}
	for channel, sum := range rest {
		m.recipient(put, *sum, telemetry.OtherSeries, channel)
	}
}

// add takes in another recipient: sums, the longest wait and the earliest failure.
func (s *recipientSums) add(x recipientSums) {
	s.waiting, s.open, s.held, s.oldest = s.waiting+x.waiting, s.open+x.open, s.held+x.held, max(s.oldest, x.oldest)
	s.expiring += x.expiring
	if x.since > 0 && (s.since == 0 || x.since < s.since) {
		s.since = x.since
	}
	if x.expiry > 0 && (s.expiry == 0 || x.expiry < s.expiry) {
		s.expiry = x.expiry
	}
}

func (m *Metrics) recipient(put telemetry.Put, x recipientSums, id, channel string) {
	put(m.d.waiting, x.waiting, id, channel)
	put(m.d.oldest, x.oldest, id, channel)
	put(m.d.failingSince, x.since, id, channel)
	put(m.d.breakerOpen, x.open, id, channel)
	put(m.d.maintenance, x.held, id, channel)
	put(m.d.nextExpiry, x.expiry, id, channel)
	put(m.d.expiringDeliveries, x.expiring, id, channel)
}

// byNeed orders recipients by how much their figures are needed: those that fail, then the longest queues.
func byNeed(a, b *outboundv1.RecipientStatus) int {
	failing := func(r *outboundv1.RecipientStatus) int {
		if r.GetHealth() == outboundv1.RecipientHealth_FAILING {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(failing(a), failing(b)), cmp.Compare(b.GetQueuedEvents(), a.GetQueuedEvents()),
		strings.Compare(a.GetRecipientId(), b.GetRecipientId()))
}

// totals are the figures of all recipients by channel and health, however many there are. A health that none has is 0.
func (m *Metrics) totals(put telemetry.Put, all []*outboundv1.RecipientStatus) {
	type group struct {
		channel string
		health  outboundv1.RecipientHealth_Health
	}
	number, waiting := map[group]float64{}, map[group]float64{}
	for _, r := range all {
		for health := range outboundv1.RecipientHealth_Health_name {
			if h := outboundv1.RecipientHealth_Health(health); h != outboundv1.RecipientHealth_HEALTH_UNSPECIFIED {
				number[group{r.GetChannel(), h}] += 0
			}
		}
		g := group{r.GetChannel(), r.GetHealth()}
		number[g]++
		waiting[g] += float64(r.GetQueuedEvents())
	}
	for g, n := range number {
		health := strings.ToLower(g.health.String())
		put(m.d.recipients, n, g.channel, health)
		put(m.d.deliveriesWaiting, waiting[g], g.channel, health)
	}
}

func (m *Metrics) appliances(put telemetry.Put, all []*outboundv1.ApplianceStatus) {
	silent := 0.0
	slices.SortStableFunc(all, func(a, b *outboundv1.ApplianceStatus) int {
		return cmp.Or(cmp.Compare(telemetry.Truth(b.GetSilent()), telemetry.Truth(a.GetSilent())),
			cmp.Compare(seconds(a.GetLastEventTime()), seconds(b.GetLastEventTime())))
	})
	for i, a := range all {
		silent += telemetry.Truth(a.GetSilent())
		if i < m.most {
			put(m.d.lastEvent, seconds(a.GetLastEventTime()), a.GetApplianceId())
			put(m.d.silent, telemetry.Truth(a.GetSilent()), a.GetApplianceId())
		}
	}
	put(m.d.appliances, float64(len(all)))
	put(m.d.appliancesSilent, silent)
}

func (m *Metrics) streams(put telemetry.Put, all []*outboundv1.StreamStatus) {
	for _, x := range all {
		put(m.d.streamBytes, float64(x.GetBytes()), x.GetName())
		put(m.d.streamBytesLimit, float64(x.GetMaxBytes()), x.GetName())
		put(m.d.streamMessages, float64(x.GetMessages()), x.GetName())
		put(m.d.streamMessagesLimit, float64(x.GetMaxMessages()), x.GetName())
		put(m.d.streamOldest, seconds(x.GetFirstTime()), x.GetName())
		put(m.d.streamUsed, float64(x.GetUsedPercent())/100, x.GetName())
		if x.GetName() == bus.StreamEvents {
			put(m.d.streamFull, seconds(x.GetFullTime()), x.GetName())
		}
	}
}

func (m *Metrics) relay(put telemetry.Put, r *outboundv1.RelayStatus) {
	put(m.d.relayConfigured, telemetry.Truth(r.GetConfigured()))
	put(m.d.relayUp, telemetry.Truth(r.GetOk()))
	put(m.d.relayFailingSince, seconds(r.GetFailingSinceTime()))
	put(m.d.relayChecked, seconds(r.GetCheckedTime()))
}

// seconds is a time in seconds of Unix time; 0: there is none.
func seconds(t *timestamppb.Timestamp) float64 {
	if t == nil {
		return 0
	}
	return float64(t.AsTime().UnixMilli()) / 1000
}
