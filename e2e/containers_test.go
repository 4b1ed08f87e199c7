package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// elsewhere are the aspects that containers are not asked. Their receivers or browsers speak TLS on loopback, they call the gRPC port of
// a service that docker-compose.yml does not publish, or the clients of the manual, which verify servers by the roots of the host.
func elsewhere() []string {
	return []string{
		"each event arrives once with the documented variables", "conflicting changes conflict", "only tokens open the doors",
		"services answer and changes are told", "users and tokens open the doors", "the clients of the manual pull",
	}
}

// TestContainers runs the suite on docker-compose.yml in a container engine: make test-compose.
func TestContainers(t *testing.T) {
	if os.Getenv(harness.ComposeVariable) == "" {
		t.Skip("make test-compose runs it, where there is a container engine")
	}
	h := harness.Start(t, harness.Containers)
	t.Run("each container is unprivileged and read-only", func(t *testing.T) { areConfined(t, h) })
	h.AddAppliances(t, append(appliances(), "scaled-1", "drained-1", "killed-1")...)
	t.Run("beside each other", func(t *testing.T) {
		n := 0
		for _, x := range beside() {
			if slices.Contains(elsewhere(), x.name) {
				continue
			}
			n++
			t.Run(x.name, func(t *testing.T) {
				t.Parallel()
				x.run(t, h)
			})
		}
		if want := len(beside()) - len(elsewhere()); n != want {
			t.Errorf("%d aspects ran, want %d", n, want)
		}
	})
	t.Run("senders are scaled and one is killed under load", func(t *testing.T) { scalesUnderLoad(t, h) })
	t.Run("four senders drain a slow receiver faster than one", func(t *testing.T) { drainsFaster(t, h) })
	t.Run("the demo plays", func(t *testing.T) {
		h.Compose(t, "--profile", "demo", "run", "--rm", "demo", "--once")
	})
	t.Run("Prometheus scrapes every container", func(t *testing.T) { isScraped(t, h) })
	t.Run("every service and the broker is restarted under load", func(t *testing.T) { restartsUnderLoad(t, h) })
}

// container is what docker inspect says of one.
type container struct {
	Name  string
	State struct {
		Health struct{ Status string }
		Pid    int
	}
	RestartCount int
	Config       struct {
		Image  string
		User   string
		Labels map[string]string
	}
	HostConfig struct {
		ReadonlyRootfs bool
		Privileged     bool
		CapDrop        []string
		CapAdd         []string
		SecurityOpt    []string
	}
}

// inspect asks about the containers of a service, or of all.
func inspect(t *testing.T, h *harness.System, service ...string) []container {
	t.Helper()
	ids := strings.Fields(h.Compose(t, append([]string{"ps", "--quiet"}, service...)...))
	var out []container
	if err := json.Unmarshal([]byte(h.Docker(t, append([]string{"inspect"}, ids...)...)), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func areConfined(t *testing.T, h *harness.System) {
	t.Helper()
	all := inspect(t, h)
	if len(all) != 8 {
		t.Errorf("%d containers run, want 8", len(all))
	}
	for _, c := range all {
		service := c.Config.Labels["com.docker.compose.service"]
		if c.State.Health.Status != "healthy" || !c.HostConfig.ReadonlyRootfs || c.HostConfig.Privileged ||
			!slices.Equal(c.HostConfig.CapDrop, []string{"ALL"}) || !slices.Contains(c.HostConfig.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: %+v; want it healthy, read-only and without privileges", service, c)
		}
		if service == "nats" {
			if len(c.HostConfig.CapAdd) > 0 {
				t.Errorf("nats may do %v; want nothing", c.HostConfig.CapAdd)
			}
			continue
		}
		if c.Config.User == "" || strings.HasPrefix(c.Config.User, "0") || len(c.HostConfig.CapAdd) > 0 {
			t.Errorf("%s runs as user %q with %v; want one that is not root", service, c.Config.User, c.HostConfig.CapAdd)
		}
		if status := procStatus(t, c.State.Pid); !strings.Contains(status, "CapEff:\t0000000000000000") {
			t.Errorf("%s has capabilities:\n%s", service, status)
		}
	}
}

func procStatus(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatalf("read what a container's process may do: %v", err)
	}
	return string(text)
}

// flooded begins a flood of n events to a new recipient.
func flooded(t *testing.T, h *harness.System, appliance string, n int) (*harness.Receiver, *harness.Flood, string) {
	t.Helper()
	r := harness.NewReceiver(t)
	name := "to-" + appliance
	// Slow enough that one sender has a backlog while containers come and go.
	r.Think(name, 20*time.Millisecond)
	spec := webhook(name, r.URL(name), []string{"support_conference_end"}, harness.Object{"retryInterval": "1s"})
	spec["appliances"] = []string{appliance}
	h.AddRecipient(t, spec)
	a := h.AddAppliance(t, appliance)
	return r, a.Flood(t.Context(), n, 16, "support_conference_end"), name
}

// complete waits until each event has arrived, and counts.
func complete(t *testing.T, r *harness.Receiver, name string, keys []string) {
	t.Helper()
	arrived(t, r, name, len(keys))
	account := r.Account(keys, []string{name})
	t.Logf("%d events: %s", len(keys), account)
	got := map[string]bool{}
	for _, x := range r.Of(name) {
		got[x.ID] = true
	}
	for _, k := range keys {
		if !got[k] {
			t.Errorf("%s never arrived", k)
		}
	}
}

const scaledEvents = 6000

func scalesUnderLoad(t *testing.T, h *harness.System) {
	t.Helper()
	r, flood, name := flooded(t, h, "scaled-1", scaledEvents)
	h.Compose(t, "up", "--detach", "--no-build", "--no-recreate", "--wait", "--scale", "http-sender=4", "http-sender")
	senders := inspect(t, h, "http-sender")
	if len(senders) != 4 {
		t.Fatalf("%d http-senders run, want 4", len(senders))
	}
	h.Docker(t, "kill", strings.TrimPrefix(senders[0].Name, "/"))
	complete(t, r, name, flood.Wait(t))
	h.Compose(t, "up", "--detach", "--no-build", "--no-recreate", "--wait", "--scale", "http-sender=1", "http-sender")
}

func restartsUnderLoad(t *testing.T, h *harness.System) {
	t.Helper()
	r, flood, name := flooded(t, h, "killed-1", scaledEvents)
	for _, service := range []string{"http-sender", "ingest", "config", "history", "console", "nats"} {
		h.Compose(t, "restart", service)
	}
	complete(t, r, name, flood.Wait(t))
	waittest.NoError(t, "each container to be healthy", func() error {
		for _, c := range inspect(t, h) {
			if c.State.Health.Status != "healthy" {
				return fmt.Errorf("%s is %s", c.Name, c.State.Health.Status)
			}
		}
		return nil
	})
	for _, c := range inspect(t, h) {
		if c.RestartCount > 0 {
			t.Errorf("%s has ended %d times by itself", c.Name, c.RestartCount)
		}
	}
}

// isScraped starts the profile observability, but Grafana, and asks Prometheus whom it reaches.
func isScraped(t *testing.T, h *harness.System) {
	t.Helper()
	if os.Getenv("PROMETHEUS") == "no" {
		t.Skip("PROMETHEUS=no: its image was not made")
	}
	h.Compose(t, "--profile", "observability", "up", "--detach", "--no-build", "--no-recreate", "--wait", "prometheus")
	want := 0
	for _, c := range inspect(t, h) {
		if image := c.Config.Image; strings.HasPrefix(image, "outbound/") {
			want++
		}
	}
	p := harness.NewClient("http://127.0.0.1:9095", "")
	defer p.Close()
	waittest.NoError(t, "every container to be scraped", func() error {
		answer, err := p.Call(http.MethodGet, "/api/v1/query?query=outbound_build_info%20and%20on(job,instance)%20up==1", nil)
		if err != nil {
			return err
		}
		var found struct{ Data struct{ Result []any } }
		if err := json.Unmarshal(answer.Body, &found); err != nil {
			return err
		}
		if got := len(found.Data.Result); got != want {
			return fmt.Errorf("%d are scraped, want %d: %s", got, want, answer.Body)
		}
		return nil
	})
	t.Logf("Prometheus scrapes %d containers", want)
}

const (
	drainedEvents = 6000
	thinking      = 50 * time.Millisecond
)

// drainsFaster measures how long a backlog takes with one sender and with four. How many times faster that is tells the log; a machine
// that is busy decides about it, so that the test asks for more than one sender's speed alone.
func drainsFaster(t *testing.T, h *harness.System) {
	t.Helper()
	took := map[int]time.Duration{}
	for _, n := range []int{1, 4} {
		h.Compose(t, "up", "--detach", "--no-build", "--no-recreate", "--wait", "--scale", fmt.Sprint("http-sender=", n), "http-sender")
		took[n] = drain(t, h, fmt.Sprint("drained-by-", n))
	}
	t.Logf("%d events to a receiver of %s: %s with one sender, %s with four: %.1f times faster", drainedEvents, thinking,
		took[1].Round(time.Millisecond), took[4].Round(time.Millisecond), took[1].Seconds()/took[4].Seconds())
	if took[4] >= took[1] {
		t.Errorf("four senders took %s, one %s", took[4], took[1])
	}
}

// drain is how long a held recipient's backlog takes, from the first request to the last: how soon senders learn of a change is another
// matter.
func drain(t *testing.T, h *harness.System, name string) time.Duration {
	t.Helper()
	r := harness.NewReceiver(t)
	r.Think(name, thinking)
	spec := webhook(name, r.URL(name), []string{"support_conference_end"}, nil)
	spec["appliances"], spec["enabled"], spec["whileDisabled"] = []string{"drained-1"}, false, "HOLD"
	id := h.AddRecipient(t, spec)
	a := h.AddAppliance(t, "drained-1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var keys []string
	for i := range drainedEvents {
		keys = append(keys, fmt.Sprintf("%s-%d", name, i))
	}
	batches(ctx, t, a, keys)
	h.REST.Do(t, http.MethodPatch, "/v1/recipients/"+id, harness.Object{"enabled": true})
	arrived(t, r, name, drainedEvents)
	all := r.Of(name)
	first, last := all[0].Time, all[0].Time
	for _, x := range all {
		if x.Time.Before(first) {
			first = x.Time
		}
		if x.Time.After(last) {
			last = x.Time
		}
	}
	took := last.Sub(first)
	h.REST.Do(t, http.MethodDelete, "/v1/recipients/"+id, nil)
	return took
}

// batches publishes events from a few publishers at once.
func batches(ctx context.Context, t *testing.T, a *harness.Appliance, ids []string) {
	t.Helper()
	jobs, failed := make(chan string), make(chan error, 16)
	for range 16 {
		go func() {
			var last error
			for id := range jobs {
				if _, err := a.PublishUntilAccepted(ctx, t, harness.NewEvent(a.ID, id, "support_conference_end", nil)); err != nil {
					last = err
				}
			}
			failed <- last
		}()
	}
	for _, id := range ids {
		jobs <- id
	}
	close(jobs)
	for range 16 {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
}
