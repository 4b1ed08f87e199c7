package chart_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
)

// binaries builds the services, unless OUTBOUND_E2E_BIN names their folder.
func binaries(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("OUTBOUND_E2E_BIN"); dir != "" {
		return dir
	}
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", dir+"/", "./services/cmd/...")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the services: %v\n%s", err, out)
	}
	return dir
}

func TestEachServiceAcceptsTheOptionsOfItsDeployment(t *testing.T) {
	bin, checked := binaries(t), 0
	for _, name := range sets {
		all, err := render(values(t, name))
		if err != nil {
			t.Fatal(err)
		}
		options := map[string]string{}
		var deployments []*apps.Deployment
		for _, text := range all {
			object, _, _ := decoded(text)
			switch x := object.(type) {
			case *core.ConfigMap:
				options[x.Name] = x.Data["options.yaml"]
			case *apps.Deployment:
				deployments = append(deployments, x)
			}
		}
		for _, d := range deployments {
			c := d.Spec.Template.Spec.Containers[0]
			file := filepath.Join(t.TempDir(), "options.yaml")
			if err := os.WriteFile(file, []byte(options[d.Name]), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), filepath.Join(bin, c.Name), "--check", "--options", file)
			for _, v := range c.Env {
				cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %v: %s", name, d.Name, err, strings.TrimSpace(string(out)))
			}
			checked++
		}
	}
	if checked != 6*len(sets) {
		t.Errorf("%d Deployments were checked, want 6 of each set", checked)
	}
}
