package harness

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/porttest"
)

// One is the name of the all-in-one's process.
const One = "outbound"

// Endpoints is what the all-in-one writes into its data folder once it is ready.
type Endpoints struct {
	HTTP string `json:"http"`
	GRPC string `json:"grpc"`
	NATS string `json:"nats"`
}

// RunArguments are those of `outbound run` on a data folder, with ports of its own choice and loopback receivers allowed.
func RunArguments(data, sync string) []string {
	return runAt(data, sync, Endpoints{HTTP: anyPort, GRPC: anyPort, NATS: anyPort})
}

const anyPort = "127.0.0.1:0"

func runAt(data, sync string, at Endpoints) []string {
	return append(runOn(data, sync), "--http", at.HTTP, "--grpc", at.GRPC, "--nats", at.NATS)
}

func runOn(data, sync string) []string {
	return []string{"run", "--data", data, "--sync", sync, "--url-policy", "any", "--allow-egress", "127.0.0.0/8"}
}

// allInOne is the all-in-one process. Its ports stay the same over restarts, and are no connection's meanwhile.
func (h *System) allInOne(t T) {
	data := filepath.Join(h.Dir, "data")
	endpoints := filepath.Join(data, "endpoints.json")
	_ = os.Remove(endpoints)
	p := &part{name: One, path: Binary("outbound"), env: h.Env}
	p.args = runAt(data, h.Sync, Endpoints{HTTP: porttest.Address(t), GRPC: porttest.Address(t), NATS: porttest.Address(t)})
	var at Endpoints
	p.ready = func() error {
		raw, err := os.ReadFile(endpoints)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(raw, &at); err != nil {
			return fmt.Errorf("read %s: %w", endpoints, err)
		}
		return okay(address(at.HTTP))()
	}
	p.started = func(t T) {
		token, err := os.ReadFile(filepath.Join(data, "admin.token"))
		if err != nil {
			t.Fatalf("read the admin token: %v", err)
		}
		h.REST.Base, h.REST.Token = address(at.HTTP), strings.TrimSpace(string(token))
		h.nats, h.grpc = at.NATS, map[string]string{"": at.GRPC}
	}
	h.login = nats.UserInfo
	h.parts = []*part{p}
}

// address makes a base URL of host:port.
func address(at string) string {
	if strings.HasPrefix(at, "http") {
		return at
	}
	return "http://" + at
}
