package chart_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const (
	root  = "../../.."
	chart = root + "/deploy/helm/outbound"
)

// typeOf returns a value of the Go type of a kind; nil if it is not known.
func typeOf(apiVersion, kind string) any {
	switch apiVersion + " " + kind {
	case "v1 ConfigMap":
		return &core.ConfigMap{}
	case "v1 Service":
		return &core.Service{}
	case "apps/v1 Deployment":
		return &apps.Deployment{}
	case "apps/v1 StatefulSet":
		return &apps.StatefulSet{}
	case "policy/v1 PodDisruptionBudget":
		return &policy.PodDisruptionBudget{}
	case "networking.k8s.io/v1 NetworkPolicy":
		return &networking.NetworkPolicy{}
	case "networking.k8s.io/v1 Ingress":
		return &networking.Ingress{}
	case "autoscaling/v2 HorizontalPodAutoscaler":
		return &autoscaling.HorizontalPodAutoscaler{}
	case "keda.sh/v1alpha1 ScaledObject":
		return &keda.ScaledObject{}
	case "monitoring.coreos.com/v1 ServiceMonitor":
		return &monitoring.ServiceMonitor{}
	case "monitoring.coreos.com/v1 PrometheusRule":
		return &monitoring.PrometheusRule{}
	case "cert-manager.io/v1 Certificate":
		return &certmanager.Certificate{}
	default:
		return nil
	}
}

// values reads a value set.
func values(t *testing.T, name string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := yaml.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// render renders the chart with values into documents.
func render(set map[string]any) ([]string, error) {
	c, err := loader.Load(chart)
	if err != nil {
		return nil, err
	}
	v, err := util.ToRenderValues(c, set, common.ReleaseOptions{Name: "outbound", Namespace: "events", IsInstall: true}, nil)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(c, v)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	var out []string
	for _, name := range names {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for _, text := range regexp.MustCompile(`(?m)^---$`).Split(files[name], -1) {
			if strings.TrimSpace(text) != "" {
				out = append(out, text)
			}
		}
	}
	return out, nil
}

// decoded decodes a manifest strictly.
func decoded(text string) (any, string, error) {
	var about struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal([]byte(text), &about); err != nil {
		return nil, "", err
	}
	object := typeOf(about.APIVersion, about.Kind)
	if object == nil {
		return nil, about.Kind, fmt.Errorf("no type is known for %s %s", about.APIVersion, about.Kind)
	}
	return object, about.Kind, yaml.UnmarshalStrict([]byte(text), object)
}

var sets = []string{"default", "external", "everything", "secrets", "operator", "operator-external"}

func TestEveryManifestIsValid(t *testing.T) {
	total := 0
	for _, name := range sets {
		t.Run(name, func(t *testing.T) {
			set := values(t, name)
			for _, m := range lint.RunAll(chart, set, "events").Messages {
				if m.Severity >= support.WarningSev {
					t.Errorf("lint: %s", m)
				}
			}
			all, err := render(set)
			if err != nil {
				t.Fatal(err)
			}
			kinds := map[string]int{}
			for _, text := range all {
				_, kind, err := decoded(text)
				if err != nil {
					t.Errorf("%v\n%s", err, text)
				}
				kinds[kind]++
			}
			if kinds["Deployment"] != 6 || kinds["PodDisruptionBudget"] < 6 || kinds["Service"] < 6 {
				t.Errorf("manifests are missing: %v", kinds)
			}
			t.Logf("%d manifests: %v", len(all), kinds)
			total += len(all)
		})
	}
	t.Logf("%d manifests of %d value sets are valid", total, len(sets))
}

func TestADecoderThatIsStrictFindsAWrongField(t *testing.T) {
	if _, _, err := decoded("apiVersion: v1\nkind: Service\nspec: {selektor: {}}\n"); err == nil {
		t.Error("a misspelt field passes")
	}
}

func TestValuesThatAreWrongAreRefused(t *testing.T) {
	for name, set := range map[string]map[string]any{
		"an external broker without address": {"nats": map[string]any{"enabled": false}},
		"an unknown value":                   {"replicas": 3},
		"two servers":                        {"nats": map[string]any{"replicas": 2}},
		"two kinds of accounts":              {"nats": map[string]any{"operatorSecret": "a", "appliancesSecret": "b"}},
		"cert-manager without issuer":        {"tls": map[string]any{"mode": "certManager"}},
		"an unknown way of scaling":          {"autoscaling": map[string]any{"mode": "vpa"}},
		"an unknown service":                 {"services": map[string]any{"sms-sender": map[string]any{}}},
	} {
		if _, err := render(set); err == nil || !strings.Contains(err.Error(), "values don't meet the specifications") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheChartHasTheAlertsOfTheRules(t *testing.T) {
	own, err := os.ReadFile(chart + "/files/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile(root + "/deploy/prometheus/rules.yaml")
	if err != nil || !bytes.Equal(own, rules) {
		t.Errorf("deploy/helm/outbound/files/rules.yaml differs from deploy/prometheus/rules.yaml: copy it: %v", err)
	}
}

func TestEachSenderReachesItsOwnDestinationsAlone(t *testing.T) {
	all, err := render(values(t, "default"))
	if err != nil {
		t.Fatal(err)
	}
	ports := map[string][]string{}
	for _, text := range all {
		object, _, _ := decoded(text)
		p, ok := object.(*networking.NetworkPolicy)
		if !ok {
			continue
		}
		for _, rule := range p.Spec.Egress {
			for _, port := range rule.Ports {
				ports[p.Name] = append(ports[p.Name], port.Port.String())
			}
		}
	}
	for name, want := range map[string]string{"outbound-http-sender": "53 53 4222 7070 443", "outbound-email-sender": "53 53 4222 7070 25 465 587",
		"outbound-console": "53 53 4222 7070"} {
		if got := strings.Join(ports[name], " "); got != want {
			t.Errorf("%s may connect to ports %s, want %s", name, got, want)
		}
	}
}
