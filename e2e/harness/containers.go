package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// What tools/compose-test.sh sets for the shape Containers.
const (
	// ComposeVariable names the program docker-compose. Without it there is no engine to test on.
	ComposeVariable = "OUTBOUND_TEST_COMPOSE"
	// DockerVariable names the program docker.
	DockerVariable = "OUTBOUND_TEST_DOCKER"
	// HostVariable is the address at which containers reach the receivers of tests: that of this machine in NetworkVariable.
	HostVariable = "OUTBOUND_TEST_HOST"
	// NetworkVariable names the network of the containers.
	NetworkVariable = "OUTBOUND_TEST_NETWORK"
)

// Containers is docker-compose.yml on a container engine, with images that are there already.
const Containers Shape = "containers"

// containers is where the shape Containers is.
type containers struct {
	shape *servicesShape
	site  string
}

// containers starts the file that operators start. Over it only addresses are put that the http-sender may post to.
func (h *System) containers(t T) {
	root, err := Root()
	if err != nil {
		t.Fatalf("%v", err)
	}
	site := filepath.Join(h.Dir, "site")
	c := &containers{site: site, shape: &servicesShape{root: root, dir: h.Dir, secrets: filepath.Join(site, "deploy", "secrets"), tls: true}}
	h.compose = c
	c.layOut(t)
	h.secure = c.shape.trusting(t)
	h.nats, h.login = "127.0.0.1:4222", nats.UserInfo
	h.grpc = map[string]string{"RecipientService": "127.0.0.1:7071", "SettingsService": "127.0.0.1:7071"}
	h.REST.Base, h.REST.Token = "https://127.0.0.1:8080", c.shape.read(t, "admin.token")
	h.REST.Trust(h.secure)
	h.added = func(T, ...string) {}
	// Of all profiles, and what an earlier run that was cut off has left.
	down := func(t T) { h.Compose(t, "--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "60") }
	down(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of what the containers wrote:\n%s", h.Compose(t, "logs", "--tail", "15"))
		}
		down(t)
	})
	began := time.Now()
	h.Compose(t, "up", "--detach", "--no-build", "--wait")
	t.Logf("all containers are healthy after %s", time.Since(began).Round(100*time.Millisecond))
}

// Compose runs docker compose on the containers and returns what it writes.
func (h *System) Compose(t T, args ...string) string {
	t.Helper()
	args = append([]string{"--file", "docker-compose.yml", "--file", "test.yml"}, args...)
	cmd := exec.CommandContext(context.Background(), os.Getenv(ComposeVariable), args...) //nolint:gosec // the program that the caller names
	cmd.Dir = h.compose.site
	var out, faults bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &faults
	if err := cmd.Run(); err != nil {
		t.Fatalf("docker compose %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), faults.String())
	}
	return out.String()
}

// Docker runs docker and returns what it writes.
func (h *System) Docker(t T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), os.Getenv(DockerVariable), args...).Output() //nolint:gosec // as Compose
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			out = failed.Stderr
		}
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// layOut makes the folder that docker-compose.yml is started in, with secrets as an operator makes them.
func (c *containers) layOut(t T) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatalf("lay out the folder of docker-compose.yml: %v", err)
		}
	}
	must(os.MkdirAll(c.site, 0o755))
	for _, name := range []string{
		"docker-compose.yml", "deploy/make-secrets.sh", "deploy/nats", "deploy/options", "deploy/prometheus", "deploy/grafana",
	} {
		must(filepath.WalkDir(filepath.Join(c.shape.root, name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || d.Name() == "appliances.conf" || d.Name() == "accounts.conf" {
				return err
			}
			to, err := filepath.Rel(c.shape.root, path)
			if err == nil {
				err = os.MkdirAll(filepath.Dir(filepath.Join(c.site, to)), 0o755)
			}
			if err != nil {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(c.site, to), text, 0o644) //nolint:gosec // read in containers by another user
		}))
	}
	cmd := exec.CommandContext(context.Background(), "bash", filepath.Join(c.site, "deploy", "make-secrets.sh")) //nolint:gosec // our own
	cmd.Env = append(os.Environ(), "OUTBOUND="+Binary("outbound"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make the secrets: %v\n%s", err, out)
	}
	receivers := fmt.Sprintf("{OUTBOUND_URL_POLICY: any, OUTBOUND_ALLOW_EGRESS: \"%s/32,127.0.0.0/8\"}", os.Getenv(HostVariable))
	over := fmt.Sprintf("services:\n  config: {environment: %s}\n  http-sender: {environment: %s}\n", receivers, receivers) +
		fmt.Sprintf("networks: {default: {name: %s, external: true}}\n", os.Getenv(NetworkVariable))
	must(os.WriteFile(filepath.Join(c.site, "test.yml"), []byte(over), 0o600))
}
