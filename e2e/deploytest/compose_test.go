package deploytest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/secret"
)

const optionsTarget = "/etc/outbound/options.yaml"

// project reads docker-compose.yml, which checks it against the schema of Compose.
func project(t *testing.T) *types.Project {
	t.Helper()
	o, err := cli.NewProjectOptions([]string{filepath.Join(root(t), "docker-compose.yml")}, cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("read docker-compose.yml: %v", err)
	}
	return p
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// servers are the binaries that run as services: all of services/cmd but those a person starts.
func servers(t *testing.T) []string {
	t.Helper()
	folders, err := os.ReadDir(filepath.Join(root(t), "services", "cmd"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range folders {
		if f.IsDir() && !slices.Contains([]string{"demo", "outbound", "probe"}, f.Name()) {
			out = append(out, f.Name())
		}
	}
	return out
}

// own are the services of the file that are built here, but the demo, which is no service.
func own(p *types.Project) map[string]types.ServiceConfig {
	out := map[string]types.ServiceConfig{}
	for name, s := range p.Services {
		if s.Build != nil && name != "demo" {
			out[name] = s
		}
	}
	return out
}

func TestComposeHasEveryService(t *testing.T) {
	p := project(t)
	for _, name := range servers(t) {
		s, ok := own(p)[name]
		if !ok {
			t.Errorf("docker-compose.yml has no service %s", name)
			continue
		}
		if binary := s.Build.Args["BINARY"]; binary == nil || *binary != name {
			t.Errorf("service %s is not built as the binary of its name", name)
		}
		if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Errorf("service %s: %v", name, err)
		}
	}
	if len(own(p)) != len(servers(t)) {
		t.Errorf("docker-compose.yml builds %d services, services/cmd has %d", len(own(p)), len(servers(t)))
	}
	for name, profile := range map[string]string{"prometheus": "observability", "grafana": "observability", "demo": "demo"} {
		if got := p.Services[name].Profiles; !slices.Equal(got, []string{profile}) {
			t.Errorf("service %s is in the profiles %v, want %s", name, got, profile)
		}
	}
	for _, image := range []string{p.Services["nats"].Image, p.Services["redis"].Image} {
		if !strings.HasPrefix(image, "nats:2.15.2") && !strings.HasPrefix(image, "redis:7") {
			t.Errorf("image %s is not one that was chosen", image)
		}
	}
}

func TestComposeIsClosed(t *testing.T) {
	for name, s := range project(t).Services {
		if !s.ReadOnly || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || !slices.Contains(s.CapDrop, "ALL") {
			t.Errorf("service %s is not read-only without privileges", name)
		}
		if name != "demo" && (s.HealthCheck == nil || len(s.HealthCheck.Test) == 0) {
			t.Errorf("service %s has no health check", name)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("service %s publishes port %s on %q, want 127.0.0.1 alone", name, port.Published, port.HostIP)
			}
		}
	}
}

func TestComposeNamesFilesThatExist(t *testing.T) {
	p := project(t)
	made := makeSecrets(t)
	for name, s := range p.Secrets {
		_, file, _ := strings.Cut(filepath.ToSlash(s.File), "deploy/secrets/")
		if _, err := os.Stat(filepath.Join(made, file)); file == "" || err != nil {
			t.Errorf("secret %s is not made by make secrets: %v", name, err)
		}
	}
	for name, c := range p.Configs {
		if _, err := os.Stat(c.File); err != nil {
			t.Errorf("options of %s: %v", name, err)
		}
	}
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			source := v.Source
			if _, secret, ok := strings.Cut(source, filepath.Join("deploy", "secrets")+"/"); ok {
				source = filepath.Join(made, secret)
			}
			if _, err := os.Stat(source); err != nil {
				t.Errorf("service %s mounts what is not there: %v", name, err)
			}
		}
	}
}

// makeSecrets runs the script of make secrets into a folder of the test.
func makeSecrets(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "secrets")
	for range 2 { // the second run keeps what the first made
		cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(root(t), "deploy", "make-secrets.sh"), dir)
		cmd.Env = append(os.Environ(), "OUTBOUND="+harness.Binary("outbound"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make secrets: %v\n%s", err, out)
		}
	}
	return dir
}

func TestMadeSecretsAreGood(t *testing.T) {
	dir := makeSecrets(t)
	for _, name := range []string{"admin.token", "service.token", "console.token"} {
		token, err := secret.LoadToken(filepath.Join(dir, name))
		if err != nil || !strings.HasPrefix(token, secret.TokenPrefix) {
			t.Errorf("%s: %v, prefix %q wanted", name, err, secret.TokenPrefix)
		}
	}
	sealer, err := secret.LoadKey(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := sealer.Seal([]byte("text"), "place")
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := sealer.Open(sealed, "place"); err != nil || string(opened) != "text" {
		t.Errorf("the made key opens %q, %v", opened, err)
	}
}

// TestOptionsFilesLoad asks each binary to check its options as compose starts it, and as it is started without containers.
func TestOptionsFilesLoad(t *testing.T) {
	p := project(t)
	for name, s := range own(p) {
		var file string
		for _, c := range s.Configs {
			if c.Target == optionsTarget {
				file = p.Configs[c.Source].File
			}
		}
		if file == "" {
			t.Errorf("service %s has no options file at %s", name, optionsTarget)
			continue
		}
		var env []string
		for key, value := range s.Environment {
			env = append(env, key+"="+*value)
		}
		for shape, env := range map[string][]string{"compose": env, "bare": nil} {
			t.Run(name+"/"+shape, func(t *testing.T) { check(t, name, file, env) })
		}
	}
}

func check(t *testing.T, name, file string, env []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), harness.Binary(name), "--check", "--options", file)
	cmd.Env = append([]string{}, env...) // never the environment of the test
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s --check --options %s: %v\n%s", name, file, err, out)
	}
}
