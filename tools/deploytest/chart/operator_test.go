package chart_test

import (
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
)

// brokerFiles are what a pod has of the Secret of an operator.
func brokerFiles(pod core.PodSpec) []string {
	var out []string
	for _, v := range pod.Volumes {
		if v.Secret == nil || v.Secret.SecretName != "outbound-broker" {
			continue
		}
		if len(v.Secret.Items) == 0 {
			out = append(out, "everything")
		}
		for _, x := range v.Secret.Items {
			out = append(out, x.Path)
		}
	}
	slices.Sort(out)
	return out
}

func TestEachPodHasOfTheOperatorWhatItNeeds(t *testing.T) {
	want := map[string]string{
		"nats": "accounts.conf", "config": "appliances.key core.creds operator.key system.creds", "ingest": "appliances.key core.creds",
		"history": "core.creds", "http-sender": "core.creds", "email-sender": "core.creds", "console": "",
	}
	for _, name := range []string{"operator", "operator-external"} {
		all, err := render(values(t, name))
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, text := range all {
			object, _, _ := decoded(text)
			var pod core.PodSpec
			switch x := object.(type) {
			case *apps.Deployment:
				pod = x.Spec.Template.Spec
			case *apps.StatefulSet:
				pod = x.Spec.Template.Spec
			default:
				continue
			}
			seen++
			c := pod.Containers[0]
			if got := strings.Join(brokerFiles(pod), " "); got != want[c.Name] {
				t.Errorf("%s: %s has %q of the operator, want %q", name, c.Name, got, want[c.Name])
			}
			for _, v := range c.Env {
				if v.Name == "NATS_CORE_PASSWORD" || v.Name == "OUTBOUND_NATS_USER" || v.Name == "OUTBOUND_NATS_PASSWORD_FILE" {
					t.Errorf("%s: %s has %s too", name, c.Name, v.Name)
				}
			}
		}
		if servers := len(want); name == "operator" && seen != servers || name == "operator-external" && seen != servers-1 {
			t.Errorf("%s: %d kinds of pods were seen", name, seen)
		}
	}
}

func TestWithoutAnOperatorAccountsAreInAFile(t *testing.T) {
	for _, name := range []string{"default", "external", "everything"} {
		all, err := render(values(t, name))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(all, "---")
		if strings.Contains(text, "/run/secrets/broker") || strings.Contains(text, "BROKER_ACCOUNTS") {
			t.Errorf("%s: a Secret of an operator is asked for", name)
		}
		if !strings.Contains(text, "OUTBOUND_NATS_PASSWORD_FILE") {
			t.Errorf("%s: no service has the password of the core user", name)
		}
	}
}
