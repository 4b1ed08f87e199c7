package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// alerted is one recipient's contacts in the test of alerts.
type alerted struct {
	h     *harness.System
	site  *harness.Receiver
	a     *harness.Appliance
	relay *smtptest.Server
}

// add adds a recipient whose contacts are told after a while, and again every 5 s.
func (x alerted) add(t *testing.T, name string, after time.Duration) {
	t.Helper()
	contact := harness.Object{"addresses": []string{"ops@example.com"}, "alertAfter": fmt.Sprintf("%ds", int(after/time.Second)),
		"resendEvery": "5s"}
	x.h.AddRecipient(t, webhook(name, x.site.URL(name), []string{ended}, harness.Object{"contact": contact, "retryInterval": "0.2s"}))
}

func (x alerted) publish(t *testing.T, id string) {
	t.Helper()
	publish(t, x.a, harness.NewEvent(x.a.ID, id, ended, harness.Object{}))
}

// TestContactsAreTold counts the alert emails at a real SMTP server: none for a recipient that recovers in time, one a
// period for one that does not, though a sender is killed (the whole, if it is one process), and one for its recovery. A mail
// that the relay had taken when its sender was killed may come again, with the same Message-ID: that is one mail.
func TestContactsAreTold(t *testing.T) {
	t.Parallel()
	shapes(t, func(t *testing.T, h *harness.System) {
		const after, period = 3 * time.Second, 5 * time.Second
		x := alerted{h: h, site: harness.NewReceiver(t), relay: smtptest.Start(t, smtptest.Options{}), a: h.AddAppliance(t, "alert-1")}
		h.REST.Do(t, http.MethodPatch, "/v1/settings/smtp",
			harness.Object{"host": x.relay.Host(), "port": x.relay.Port(), "encryption": "NONE", "fromAddress": "outbound@example.com"})
		x.site.Answer("down", http.StatusInternalServerError)
		x.add(t, "down", after)
		began := time.Now() // before the first failure, which the bound below counts from
		x.publish(t, "e-1")
		shaky, inTime := x.recovers(t, after)
		waittest.NoError(t, "the first mail of the failure", x.told("down", "failing", 1))
		struck := "outbound"
		if h.Shape == harness.Services {
			struck = "http-sender-1"
		}
		h.Kill(t, struck)
		if h.Shape == harness.AllInOne {
			h.StartPart(t, struck)
		}
		waittest.NoError(t, "the third mail of the failure", x.told("down", "failing", 3))
		x.site.Answer("down", http.StatusOK)
		x.publish(t, "e-2")
		waittest.NoError(t, "the mail of the recovery", x.told("down", "recovered", 1))
		most := 1 + int((time.Since(began)-after)/period)
		// One that fails from now on is told of when all that the others still had to tell has been told.
		x.site.Answer("marker", http.StatusInternalServerError)
		x.add(t, "marker", max(inTime, period)+time.Second)
		x.publish(t, "e-3")
		waittest.NoError(t, "the mail of the marker", x.told("marker", "failing", 1))
		got := tally(x.relay)
		if n := got["down failing"]; n < 3 || n > most || got["down recovered"] != 1 || got[shaky+" failing"]+got[shaky+" recovered"] != 0 {
			t.Errorf("contacts got %v, want 3 to %d of the failure, 1 of the recovery and none of %s", got, most, shaky)
		}
		if shaky == "shaky-0" && len(got) != 3 {
			t.Errorf("contacts got %v, want mails of two recipients alone", got)
		}
	})
}

// recovers has a recipient fail once and recover well before its contacts are told, which is the longer the busier the machine is.
func (x alerted) recovers(t *testing.T, after time.Duration) (name string, inTime time.Duration) {
	t.Helper()
	for i := 0; ; i++ {
		name = fmt.Sprint("shaky-", i)
		x.site.Answer(name, http.StatusInternalServerError, http.StatusOK)
		x.add(t, name, after)
		failing := time.Now()
		x.publish(t, name)
		waittest.NoError(t, name+" to recover", func() error {
			got := x.site.Of(name)
			if len(got) < 2 {
				return fmt.Errorf("there are %d requests", len(got))
			}
			return nil
		})
		x.site.Answer(name, http.StatusOK)
		if time.Since(failing) < after/2 {
			return name, after
		}
		after *= 2
	}
}

// told reports whether contacts got n mails of a kind about a recipient.
func (x alerted) told(name, kind string, n int) func() error {
	return func() error {
		if got := tally(x.relay); got[name+" "+kind] < n {
			return fmt.Errorf("there are %v", got)
		}
		return nil
	}
}

// tally counts the mails by the recipient in their subject and by kind, each Message-ID once.
func tally(relay *smtptest.Server) map[string]int {
	out, seen := map[string]int{}, map[string]bool{}
	for _, m := range relay.Mails() {
		id := m.Header.Get("Message-ID")
		if id != "" && seen[id] {
			continue
		}
		seen[id] = true
		name, _, _ := strings.Cut(strings.TrimPrefix(m.Header.Get("Subject"), "[Outbound] "), ":")
		out[name+" "+m.Header.Get("X-Outbound-Notice")]++
	}
	return out
}
