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

// TestContactsAreTold counts the mails to contacts at a real SMTP server: none for a recipient that recovers in time, one a
// period for one that does not, though a sender is killed (the whole, if it is one process), and one for its recovery. A mail
// that the relay had taken when its sender was killed may come again, with the same Message-ID: that is one mail.
func TestContactsAreTold(t *testing.T) {
	shapes(t, func(t *testing.T, h *harness.House) {
		const after, period = 3 * time.Second, 5 * time.Second
		relay := smtptest.Start(t, smtptest.Options{})
		h.REST.Do(t, http.MethodPatch, "/v1/settings/smtp", harness.Object{"host": relay.Host(), "port": relay.Port(), "encryption": "NONE", "fromAddress": "outbound@example.com"})
		site := harness.NewReceiver(t)
		a := h.AddAppliance(t, "alert-1")
		contact := harness.Object{"addresses": []string{"ops@example.com"}, "alertAfter": "3s", "resendEvery": "5s"}
		site.Answer("down", http.StatusInternalServerError)
		site.Answer("shaky", http.StatusInternalServerError, http.StatusOK)
		for _, name := range []string{"down", "shaky"} {
			h.AddRecipient(t, webhook(name, site.URL(name), []string{"support_conference_end"}, harness.Object{"contact": contact, "retryInterval": "0.2s"}))
		}
		began := time.Now() // before the first failure, which the bound below counts from
		publish(t, a, harness.NewEvent(a.ID, "e-1", "support_conference_end", harness.Object{}))
		relay.Await(t, 1)
		struck := "outbound"
		if h.Shape == harness.Services {
			struck = "http-sender-1"
		}
		h.Kill(t, struck)
		if h.Shape == harness.AllInOne {
			h.StartPart(t, struck)
		}
		waittest.NoError(t, "the third mail of the failure", func() error {
			if got := tally(relay); got["failing"] < 3 {
				return fmt.Errorf("there are %v", got)
			}
			return nil
		})
		site.Answer("down", http.StatusOK)
		publish(t, a, harness.NewEvent(a.ID, "e-2", "support_conference_end", harness.Object{}))
		waittest.NoError(t, "the mail of the recovery", func() error {
			if n := tally(relay)["recovered"]; n != 1 {
				return fmt.Errorf("there are %d", n)
			}
			return nil
		})
		most := 1 + int((time.Since(began)-after)/period)
		<-time.After(after + time.Second) // in which nothing more may come
		if got := tally(relay); got["failing"] < 3 || got["failing"] > most || got["recovered"] != 1 || got["other"] != 0 {
			t.Errorf("contacts got %v, want 3 to %d of the failure and 1 of the recovery", got, most)
		}
	})
}

// tally counts the mails by what they tell, each Message-ID once; other is what they should not be about.
func tally(relay *smtptest.Server) map[string]int {
	out, seen := map[string]int{}, map[string]bool{}
	for _, m := range relay.Mails() {
		id := m.Header.Get("Message-ID")
		if id != "" && seen[id] {
			continue
		}
		seen[id] = true
		kind := m.Header.Get("X-Outbound-Notice")
		if !strings.Contains(m.Header.Get("Subject"), "down") {
			kind = "other"
		}
		out[kind]++
	}
	return out
}
