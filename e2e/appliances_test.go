package e2e_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// credentials are what an operator hands to an appliance.
func credentials(t *testing.T, h *harness.System, method, path string, body any) (user, password string) {
	t.Helper()
	made := h.REST.Do(t, method, path, body)
	user, _ = made["user"].(string)
	password, _ = made["password"].(string)
	if user == "" || password == "" {
		t.Fatalf("%s %s answered no credentials: %v", method, path, made)
	}
	return user, password
}

// signsIn connects as an appliance. The channel gets a value when the connection is closed.
func signsIn(t *testing.T, h *harness.System, user, password string) (nc *nats.Conn, closed chan struct{}) {
	t.Helper()
	closed = make(chan struct{}, 1)
	waittest.NoError(t, "the broker to let "+user+" in", func() (err error) {
		nc, err = h.Dial(user, password, nats.NoReconnect(), nats.Timeout(waittest.Limit),
			nats.ClosedHandler(func(*nats.Conn) { closed <- struct{}{} }))
		return err
	})
	t.Cleanup(nc.Close)
	return nc, closed
}

// publishes hands in an event, which must be accepted.
func publishes(t *testing.T, nc *nats.Conn, appliance, id string) {
	t.Helper()
	raw, err := json.Marshal(harness.NewEvent(appliance, id, ended, harness.Object{}))
	if err != nil {
		t.Fatal(err)
	}
	waittest.NoError(t, "event "+id+" to be accepted", func() error {
		m, err := nc.Request("outbound.ingest."+appliance+"."+ended, raw, waittest.Limit)
		if err == nil && m.Header.Get("Nats-Service-Error-Code") != "" {
			err = &harness.Refusal{Code: m.Header.Get("Nats-Service-Error-Code"), Body: m.Data}
		}
		return err
	})
}

// knowsAppliancesAtOnce adds, rotates and revokes an appliance. Nobody touches the broker.
func knowsAppliancesAtOnce(t *testing.T, h *harness.System) {
	const id = "at-once-1"
	user, password := credentials(t, h, http.MethodPost, "/v1/appliances", harness.Object{"id": id})
	first, closed := signsIn(t, h, user, password)
	publishes(t, first, id, "e-1")

	_, rotated := credentials(t, h, http.MethodPost, "/v1/appliances/"+id+":rotate", harness.Object{})
	waittest.Receive(t, "the end of the connection with the old password", closed)
	if nc, err := h.Dial(user, password); err == nil {
		nc.Close()
		t.Error("the old password is taken after a new one was issued")
	}
	second, closed := signsIn(t, h, user, rotated)
	publishes(t, second, id, "e-2")

	h.REST.Do(t, http.MethodDelete, "/v1/appliances/"+id, nil)
	waittest.Receive(t, "the end of the connection of an appliance that is revoked", closed)
	if nc, err := h.Dial(user, rotated); err == nil {
		nc.Close()
		t.Error("an appliance that is revoked is let in")
	}
}

// letsAppliancesInWithoutConfig has an appliance sign in while the config service is away.
func letsAppliancesInWithoutConfig(t *testing.T, h *harness.System) {
	if h.Shape != harness.Services {
		t.Skip("there is no config service to take away")
	}
	const id = "away-1"
	user, password := credentials(t, h, http.MethodPost, "/v1/appliances", harness.Object{"id": id})
	signsIn(t, h, user, password)
	h.Kill(t, "config")
	nc, _ := signsIn(t, h, user, password)
	publishes(t, nc, id, "e-1")
	h.StartAll(t)
}
