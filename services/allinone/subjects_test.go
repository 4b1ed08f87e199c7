package allinone_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// foreignSubjects are subjects that are none of the appliance a-1's: of other appliances, of streams and buckets, of the broker.
func foreignSubjects() (all []string) {
	streams := []string{bus.StreamEvents, bus.StreamHistory, bus.StreamNotices, "KV_outbound_recipients", "KV_outbound_settings",
		"KV_outbound_status", "KV_outbound_replays"}
	for _, s := range streams {
		for _, op := range []string{"STREAM.CREATE", "STREAM.UPDATE", "STREAM.INFO", "STREAM.DELETE", "STREAM.PURGE", "STREAM.MSG.GET",
			"STREAM.MSG.DELETE", "STREAM.SNAPSHOT", "STREAM.RESTORE", "DIRECT.GET", "CONSUMER.CREATE", "CONSUMER.NAMES", "CONSUMER.LIST"} {
			all = append(all, "$JS.API."+op+"."+s)
		}
		all = append(all, "$JS.API.CONSUMER.MSG.NEXT."+s+".http-r", "$JS.API.CONSUMER.DELETE."+s+".http-r",
			"$JS.ACK."+s+".http-r.1.1.1.1.1",
			"$JS.FC."+s+".x.y")
	}
	for _, b := range []string{"recipients.r.x", "settings.smtp", "settings.users", "status.x", "replays.x"} {
		all = append(all, "$KV.outbound_"+b)
	}
	for _, other := range []string{"a-2", "a-10", "A-1", "a", "core", "admin", "*"} {
		all = append(all, "outbound.ingest."+other+".support_conference_end", "outbound.events."+other+".support_conference_end")
	}
	return append(all, "$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$SRV.PING", "$SRV.INFO", "$SRV.STATS",
		"$SRV.PING.ingest",
		"$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.ACCOUNT.PING.SUBSZ", "$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.USER.AUTH",
		"$SYS.ACCOUNT.CORE.CONNECT", "$SYS.DEBUG.SUBSCRIBERS", "outbound.events.a-1.support_conference_end", "outbound.replay.r",
		"outbound.history.attempt.r.DELIVERED.t.-.-.a-1.e", "outbound.history.intake.a-1.accepted.e", "outbound.notices.x", "outbound.doctor",
		"outbound.ping", "outbound.wake.http", "outbound.wake.email", "outbound.testmail", "outbound.pull", "outbound.acknowledge",
		"outbound.restore", "outbound.ingest",
		"outbound.ingest.a-1", "outbound", "_INBOX.other.1", "_INBOX_a-2.x", "_R_.x.y", "_GR_.x", "$O.bucket.C.x", "$G.x", "$NRG.P.x",
		"$JSC.R.x", "$LDS.x", "$MQTT.x", "$GR.x", "outbound.ingest.a-1*.x", "OUTBOUND.INGEST.a-1.x")
}

// What the appliance sends has one mark, what the services send the other.
const mine, theirs = "mark-of-a-1", "mark-of-the-services"

// foreign counts what gets through between an appliance and what is not its own.
type foreign struct {
	t                       *testing.T
	services, appliance     *nats.Conn
	arrived, answered, seen atomic.Int64
	// last gets the subject of the appliance's last event, which is its own.
	last chan string
}

// TestAnApplianceReachesNoSubjectOfOthers publishes on, asks on and subscribes to subjects that are not its own, and counts what arrives
// at the services and at the appliance.
func TestAnApplianceReachesNoSubjectOfOthers(t *testing.T) {
	r := start(t, options(t))
	one, two := r.appliance("a-1"), r.appliance("a-2")
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	core, err := bus.Connect(ctx, bus.Options{User: embed.CoreUser, Password: r.broker.CorePassword(), InProcess: r.broker, Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	appliance, violations := r.nats(one)
	other, _ := r.nats(two)
	f := &foreign{t: t, services: core.IntakeConn(), appliance: appliance, last: make(chan string, 1)}
	subjects := foreignSubjects()
	f.listen(subjects)
	for i, s := range subjects {
		f.send(s, fmt.Sprint(mine, ".", i))
	}
	flush(t, other, appliance, f.services)
	// What a connection sends arrives in its order: all of the above is settled when this is answered.
	if _, err := other.Request("outbound.ingest.a-2.support_conference_end", []byte(theirs), waittest.Limit); err != nil {
		t.Fatal(err)
	}
	if _, err := appliance.Request("outbound.ingest.a-1.support_conference_end", []byte(event("last")), waittest.Limit); err != nil {
		t.Fatal(err)
	}
	waittest.Receive(t, "the last event", f.last)
	flush(t, f.services, appliance)
	report := fmt.Sprintf("%d foreign subjects: %d messages arrived, %d answers, %d seen; %d violations reported",
		len(subjects), f.arrived.Load(), f.answered.Load(), f.seen.Load(), violations.Load())
	t.Log(report)
	if len(subjects) < 164 || f.arrived.Load()+f.answered.Load()+f.seen.Load() > 0 || violations.Load() == 0 {
		t.Error(report)
	}
}

// listen subscribes the services to everything, and the appliance to all that is not its own.
func (f *foreign) listen(subjects []string) {
	f.t.Helper()
	for _, filter := range []string{">", "$JS.API.>", "$KV.>", "$SYS.>", "$SRV.>"} {
		f.subscribe(f.services, filter, &f.arrived, func(m *nats.Msg) bool {
			if strings.Contains(string(m.Data), `"id":"last"`) {
				select {
				case f.last <- m.Subject:
				default:
				}
			}
			return strings.Contains(string(m.Data), mine) || strings.Contains(m.Reply, mine)
		})
	}
	f.subscribe(f.appliance, mine+".>", &f.answered, func(m *nats.Msg) bool { return m.Header.Get("Status") != "503" })
	for _, s := range append(subjects, ">", "*", "*.>", "_INBOX.>", "outbound.>", "outbound.*.>", "$JS.>", "$KV.>", "$SYS.>", "_R_.>",
		"*.*.*.*") {
		f.subscribe(f.appliance, s, &f.seen, func(m *nats.Msg) bool { return strings.Contains(string(m.Data), theirs) })
	}
	flush(f.t, f.services, f.appliance)
}

// subscribe counts the messages that count.
func (f *foreign) subscribe(nc *nats.Conn, subject string, n *atomic.Int64, counts func(*nats.Msg) bool) {
	f.t.Helper()
	_, err := nc.Subscribe(subject, func(m *nats.Msg) {
		if counts(m) {
			n.Add(1)
			f.t.Errorf("a message on %s got through to %s: %q", m.Subject, subject, m.Data)
		}
	})
	if err != nil && !errors.Is(err, nats.ErrBadSubject) {
		f.t.Fatal(err)
	}
}

// send has the appliance publish and ask on a subject, and the services publish on it, unless they would act on that.
func (f *foreign) send(subject, reply string) {
	f.t.Helper()
	if err := errors.Join(f.appliance.Publish(subject, []byte(mine)), f.appliance.PublishRequest(subject, reply, []byte(mine))); err != nil {
		f.t.Fatal(err)
	}
	for _, acted := range []string{"$JS.API", "$KV.", "$SYS.REQ", "outbound.e", "outbound.h", "outbound.n", "outbound.r"} {
		if strings.HasPrefix(subject, acted) {
			return
		}
	}
	if err := f.services.Publish(subject, []byte(theirs)); err != nil {
		f.t.Fatal(err)
	}
}

// nats connects an appliance as any stock client does, and counts what it is refused.
func (r *running) nats(c credentials) (*nats.Conn, *atomic.Int64) {
	r.t.Helper()
	violations := new(atomic.Int64)
	nc, err := nats.Connect(r.at.NATS, nats.UserInfo(c.User, c.Password), nats.Timeout(waittest.Limit),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				violations.Add(1)
			}
		}))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(nc.Close)
	return nc, violations
}

// flush waits until the broker has what each connection sent.
func flush(t *testing.T, all ...*nats.Conn) {
	t.Helper()
	for _, nc := range all {
		if err := nc.FlushTimeout(waittest.Limit); err != nil {
			t.Fatal(err)
		}
	}
}
