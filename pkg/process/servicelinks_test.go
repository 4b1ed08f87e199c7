package process_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/process"
)

type linked struct {
	Nats struct {
		URL  string `yaml:"url"`
		Port int    `yaml:"port"`
	} `yaml:"nats"`
	Labels map[string]string `yaml:"labels"`
}

// Kubernetes sets these for Services that are named outbound and outbound-….
func TestServiceLinksOfKubernetesArePassedOver(t *testing.T) {
	env := []string{"OUTBOUND_NATS_URL=nats://x"}
	for _, service := range []string{"OUTBOUND", "OUTBOUND_CONFIG", "OUTBOUND_HTTP_SENDER", "OUTBOUND_PORT", "OUTBOUND_NATS"} {
		env = append(env, service+"_SERVICE_HOST=10.96.0.1", service+"_SERVICE_PORT=8080", service+"_SERVICE_PORT_HTTP=8080",
			service+"_SERVICE_PORT_GRPC_WEB=7070", service+"_PORT_8080_TCP=tcp://10.96.0.1:8080",
			service+"_PORT_8080_TCP_PROTO=tcp", service+"_PORT_8080_TCP_PORT=8080", service+"_PORT_8080_TCP_ADDR=10.96.0.1",
			service+"_PORT_53_UDP=udp://[fd00::1]:53", service+"_PORT_53_UDP_ADDR=fd00::1")
		if service != "OUTBOUND_NATS" { // OUTBOUND_NATS_PORT is an option here
			env = append(env, service+"_PORT=tcp://10.96.0.1:8080")
		}
	}
	var o linked
	if err := process.Load(&o, process.Source{Env: env}); err != nil || o.Nats.URL != "nats://x" {
		t.Errorf("%v, %+v", err, o)
	}
	for _, line := range []string{"OUTBOUND_PORT=8080", "OUTBOUND_PORT=tcp://somewhere", "OUTBOUND_SERVICE_HOST=config",
		"OUTBOUND_X=tcp://10.0.0.1:1",
		"OUTBOUND_SERVICE_PORT=http", "OUTBOUND_PORT_X_TCP=tcp://10.0.0.1:1", "OUTBOUND_PORT_80_TCP_NAME=tcp", "OUTBOUND_NATS_URI=x",
		"OUTBOUND_PORT_80_TCP_PROTO=http"} {
		name, _, _ := strings.Cut(line, "=")
		if err := process.Load(&linked{}, process.Source{Env: []string{line}}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestOptionsFilesWithQuotedKeysAndInJSON(t *testing.T) {
	for name, text := range map[string]string{
		"double quotes":   "\"nats\":\n  \"url\": \"nats://x\"\n  \"port\": 1\nlabels: {\"a.b\": c}\n",
		"single quotes":   "'nats': {'url': 'nats://x', 'port': 1}\n'labels':\n  'a.b': c\n",
		"JSON":            `{"nats":{"url":"nats://x","port":1},"labels":{"a.b":"c"}}`,
		"JSON, with tabs": "{\n\t\"nats\": {\n\t\t\"url\": \"nats://x\",\n\t\t\"port\":\t1\n\t},\n\t\"labels\": {\n\t\t\"a.b\": \"c\"\n\t}\n}\n",
		"JSON, with CRLF": "{\r\n  \"nats\": {\"url\": \"nats:\\/\\/x\", \"port\": 1},\r\n  \"labels\": {\"a.b\": \"c\"}\r\n}\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "options.json")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var o linked
			if err := process.Load(&o, process.Source{File: file}); err != nil || o.Nats.URL != "nats://x" || o.Nats.Port != 1 ||
				o.Labels["a.b"] != "c" {
				t.Errorf("%v, %+v", err, o)
			}
		})
	}
	for name, c := range map[string]struct{ text, want string }{
		"an unknown key in quotes": {`{"nats":{"ulr":"x"}}`, "nats.ulr: unknown option: did you mean url?"},
		"brackets without end":     {strings.Repeat("[", 100_000), "nested deeper"},
		"braces without end":       {strings.Repeat(`{"a":`, 100_000), "nested deeper"},
		"dashes without end":       {strings.Repeat("- ", 100_000), "nested deeper"},
		"aliases of aliases":       {"a: &a [x, x]\nnats: {url: *a}\n", "anchors, aliases and tags"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "options.yaml")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := process.Load(&linked{}, process.Source{File: file}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}
