package monitoring_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/outbound-events/outbound/tools/deploytest/system"
)

// root is the root of the repository.
const root = "../../.."

// subject is a system with a receiver that accepts and one that nobody listens at.
type subject struct {
	*system.System
	t *testing.T
}

// define adds an appliance, recipients that succeed and fail, a relay that is down, and a certificate that expires.
func (s *subject) define() {
	s.t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.t.Cleanup(receiver.Close)
	const nobody, port = "127.0.0.1:1", "1" // which systems keep for a service that nobody runs any more

	s.Must(http.MethodPost, "/v1/appliances", system.Object{"id": "appliance-1"})
	kinds := []string{"support_conference_end"}
	s.Must(http.MethodPost, "/v1/recipients", system.Object{"id": "good", "displayName": "Good", "enabled": true, "eventTypes": kinds,
		"http": system.Object{"url": receiver.URL}})
	s.Must(http.MethodPost, "/v1/recipients", system.Object{"id": "bad", "displayName": "Bad", "enabled": true, "eventTypes": kinds,
		"http": system.Object{"url": "http://" + nobody, "retryInterval": "60s"}})
	s.Must(http.MethodPost, "/v1/recipients", system.Object{"id": "signed", "displayName": "Signed", "enabled": true, "eventTypes": kinds,
		"http": system.Object{"url": receiver.URL, "caCertificatePem": system.Certificate(s.t)}})
	s.Must(http.MethodPost, "/v1/recipients", system.Object{"id": "mail", "displayName": "Mail", "enabled": true, "eventTypes": kinds,
		"email": system.Object{"addresses": []string{"ops@example.com"}}})
	// Its receiver wants nothing more: each delivery is dropped.
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	s.t.Cleanup(gone.Close)
	s.Must(http.MethodPost, "/v1/recipients", system.Object{"id": "gone", "displayName": "Gone", "enabled": true, "eventTypes": kinds,
		"http": system.Object{"url": gone.URL, "stopOnGone": true}})
	// It is disabled: each delivery ends without an attempt.
	s.Must(http.MethodPost, "/v1/recipients", system.Object{"id": "off", "displayName": "Off", "enabled": false, "whileDisabled": "SKIP",
		"eventTypes": kinds, "http": system.Object{"url": receiver.URL}})
	s.Must(http.MethodPatch, "/v1/settings/smtp", system.Object{"host": "127.0.0.1", "port": json.Number(port), "encryption": "NONE",
		"fromAddress": "outbound@example.com"})
}

// publish posts some events, one of which is not valid.
func (s *subject) publish(round int) {
	s.t.Helper()
	for i := range 3 {
		s.Must(http.MethodPost, "/v1/events?appliance_id=appliance-1", system.Object{"specversion": "1.0", "id": fmt.Sprintf("e-%d-%d", round, i),
			"source": "appliance-1", "type": "support_conference_end", "data": system.Object{"external_key": "INC-1"}})
	}
	if code, text := s.Call(http.MethodPost, "/v1/events?appliance_id=appliance-1",
		system.Object{"specversion": "1.0", "id": "wrong", "source": "appliance-1", "type": "no_such_type"}); code != http.StatusBadRequest {
		s.t.Fatalf("an event that is not valid is answered with %d %s", code, text)
	}
}
