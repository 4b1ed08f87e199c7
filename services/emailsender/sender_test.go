package emailsender_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/emailsender"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// fixedSettings are what a test's sender sees, and may change.
type fixedSettings struct {
	mu sync.Mutex
	s  settings.Settings
}

func (s *fixedSettings) Settings() *settings.Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.s
	return &c
}

func (s *fixedSettings) change(f func(*settings.SMTP)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.s.SMTP)
}

// relayOf is the settings for a server without encryption and sign-in.
func relayOf(s mailServer) *fixedSettings {
	return settingsFor(s.Host(), s.Port())
}

// settingsFor is the settings for a host without encryption and sign-in.
func settingsFor(host string, port int) *fixedSettings {
	types := map[string]event.Type{}
	for _, t := range event.Catalogue() {
		types[t.ID] = t
	}
	return &fixedSettings{s: settings.Settings{
		SMTP: settings.SMTP{
			Host: host, Port: port, Encryption: settings.NoEncryption, Auth: settings.NoAuth,
			FromAddress: "outbound@example.com", FromName: "Outbound",
		},
		Email: settings.Email{Location: time.UTC}, CustomFields: []string{"region"}, Types: types,
	}}
}

func options() emailsender.Options { return emailsender.DefaultOptions() }

// deliveryTo is the first attempt of a mail about a sample event.
func deliveryTo(addresses ...string) *delivery.Delivery {
	return &delivery.Delivery{
		Recipient: &recipient.Recipient{
			ID: "ops", Email: &recipient.EmailTarget{Addresses: addresses}, Retry: recipient.Retry{Interval: time.Minute, Duration: time.Hour},
		},
		Event:    event.Sample(event.Catalogue()[1], "appliance-1", "e-1", accepted, []string{"region"}),
		Accepted: accepted, Attempt: 1,
	}
}

var accepted = time.Date(2026, 11, 21, 10, 0, 5, 0, time.UTC)

// try makes one attempt, judges it, and makes the delivery what the next attempt gets.
func try(t *testing.T, s delivery.Sender, d *delivery.Delivery) (delivery.Verdict, delivery.Outcome) {
	t.Helper()
	o := s.Send(t.Context(), d)
	v := s.Judge(d, o)
	d.Attempt++
	d.Progress = o.Progress
	return v, o
}

// want fails the test unless the verdict is of this kind and reason.
func want(t *testing.T, v delivery.Verdict, kind delivery.VerdictKind, reason reasons.Reason) {
	t.Helper()
	if v.Kind != kind || v.Reason != reason {
		t.Errorf("verdict is %s %s (%s), want %s %s", kindName(v.Kind), v.Reason, v.Detail, kindName(kind), reason)
	}
}

func kindName(k delivery.VerdictKind) string {
	switch k {
	case delivery.Delivered:
		return "Delivered"
	case delivery.Retry:
		return "Retry"
	case delivery.Postpone:
		return "Postpone"
	case delivery.Drop:
		return "Drop"
	default:
		return fmt.Sprintf("verdict %d", k)
	}
}

// counts fails the test unless each address got so many mails.
func counts(t *testing.T, s *smtptest.Server, want map[string]int) {
	t.Helper()
	for address, n := range want {
		if got := s.CountFor(address); got != n {
			t.Errorf("%s got %d mails, want %d", address, got, n)
		}
	}
}

// sealer seals what the config service tells.
func sealer(t *testing.T) *secret.Sealer {
	t.Helper()
	s, err := secret.LoadOrCreateKey(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sealed is the relay's password.
func sealed(t *testing.T, s *secret.Sealer) []byte {
	t.Helper()
	out, err := s.Seal([]byte(password), credential.SecretSMTPPassword)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
