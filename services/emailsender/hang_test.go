package emailsender_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// hangs are the ways in which a relay never answers before it has been given a mail.
func hangs() map[string]struct {
	script smtptest.PeerScript
	step   string
} {
	never := func(verb string) smtptest.PeerScript {
		return smtptest.PeerScript{Answer: func(c smtptest.Command) string {
			if c.Verb == verb {
				<-c.Closed
			}
			return ""
		}}
	}
	return map[string]struct {
		script smtptest.PeerScript
		step   string
	}{
		"at the banner": {smtptest.PeerScript{Silent: true}, "at the banner"},
		"at EHLO":       {never("EHLO"), "at EHLO"},
	}
}

// askTest asks for a test mail with the settings of an etag, as long as the sender has to begin to listen.
func askTest(t *testing.T, conn *bus.Conn, etag string) []control.TestMailResult {
	t.Helper()
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	for {
		got, err := control.New(conn).AskTestMail(ctx, control.TestMailQuestion{To: []string{carol}, Etag: etag})
		if errors.Is(err, control.ErrNobody) && ctx.Err() == nil {
			continue
		}
		if err != nil || len(got) != 1 {
			t.Fatalf("%v, %v", got, err)
		}
		return got
	}
}

// change has the config service tell of other settings.
func change(t *testing.T, changes chan<- *outboundv1.WatchSettingsResponse, to *outboundv1.WatchSettingsResponse) {
	t.Helper()
	select {
	case changes <- to:
	case <-waittest.Late():
		t.Fatal("nobody watches the settings")
	}
}

// openReplaceable runs a service with a relay. replace has the settings name another one, which get the etag 2.
func openReplaceable(t *testing.T, relay, other mailServer, connections int32) (conn *bus.Conn, replace func()) {
	t.Helper()
	changes := make(chan *outboundv1.WatchSettingsResponse)
	var next *outboundv1.WatchSettingsResponse
	w := fixture{seen: make(watcher, 1000), options: options()}
	w.adapt = func(f *configService) {
		f.changes = changes
		f.settings.GetSmtp().MaxConnections = connections
		next, _ = proto.Clone(f.settings).(*outboundv1.WatchSettingsResponse)
		next.Smtp.Port, next.Smtp.Etag = int32(other.Port()), "2"
	}
	conn = open(t, relay, w)
	return conn, func() { t.Helper(); change(t, changes, next) }
}

// TestAHangingRelayIsNamedAndHoldsNothingUpOnceItIsMended has a relay hang for ever, and sets another one meanwhile.
func TestAHangingRelayIsNamedAndHoldsNothingUpOnceItIsMended(t *testing.T) {
	for name, c := range hangs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hanging, good := smtptest.StartPeer(t, c.script), smtptest.StartPeer(t, smtptest.PeerScript{})
			conn, mend := openReplaceable(t, hanging, good, 2)
			e := accept(t, conn, "e-1")
			// The line says that the relay is still waited for: nothing has ended yet.
			r := stands(t, conn, "has not responded within 3s "+c.step+", still waiting")
			if r.Etag != "1" {
				t.Errorf("the line is of the settings %q", r.Etag)
			}
			began := time.Now()
			if got := askTest(t, conn, "1"); got[0].Accepted || !strings.Contains(got[0].Detail, c.step) {
				t.Errorf("the test mail: %+v", got[0])
			}
			t.Logf("the test mail was answered in %s", time.Since(began))
			mend()
			if r = stands(t, conn, health.RelayOK); r.Etag != "2" {
				t.Errorf("the line is of the settings %q", r.Etag)
			}
			rec := finalRecord(t, conn, e)
			if rec.State != delivery.StateDelivered || rec.Attempt != 1 {
				t.Errorf("ended in %s %s after %d attempts", rec.State, rec.Reason, rec.Attempt)
			}
			if got := askTest(t, conn, "2"); !got[0].Accepted {
				t.Errorf("the test mail once it is mended: %+v", got[0])
			}
			peerCounts(t, good, map[string]int{alice: 1, bob: 1, carol: 1})
		})
	}
}

// TestAMailThatIsBeingTakenOutlivesAChangeOfTheSettings has the old relay take a mail after the settings have changed.
func TestAMailThatIsBeingTakenOutlivesAChangeOfTheSettings(t *testing.T) {
	hold := make(chan struct{})
	old := smtptest.StartPeer(t, smtptest.PeerScript{Answer: func(c smtptest.Command) string {
		if c.Verb == "." && c.To == alice {
			select {
			case <-hold:
			case <-c.Closed:
			}
		}
		return ""
	}})
	good := smtptest.StartPeer(t, smtptest.PeerScript{})
	conn, replace := openReplaceable(t, old, good, 1)
	e := accept(t, conn, "e-1")
	old.AwaitHeard(t, ".", 1)
	replace()
	if r := stands(t, conn, health.RelayOK); r.Etag == "1" {
		waittest.NoError(t, "the new relay to be looked at", func() error {
			if r := stands(t, conn, health.RelayOK); r.Etag != "2" {
				return errors.New("it is not yet")
			}
			return nil
		})
	}
	close(hold)
	rec := finalRecord(t, conn, e)
	if rec.State != delivery.StateDelivered || rec.Reason != reasons.OK {
		t.Errorf("ended in %s %s: %s", rec.State, rec.Reason, rec.Detail)
	}
	peerCounts(t, old, map[string]int{alice: 1, bob: 0})
	peerCounts(t, good, map[string]int{alice: 0, bob: 1})
}
