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

// brokerEnvironment is what the environment of a container names of the Secret of an operator, by the option it belongs to.
func brokerEnvironment(c core.Container) []string {
	files := map[string]string{
		"OUTBOUND_NATS_CREDS_FILE":                   "core.creds",
		"OUTBOUND_BROKER_ACCOUNTS_KEY_FILE":          "appliances.key",
		"OUTBOUND_BROKER_ACCOUNTS_OPERATOR_KEY_FILE": "operator.key",
		"OUTBOUND_BROKER_ACCOUNTS_SYSTEM_CREDS_FILE": "system.creds",
	}
	var out []string
	for _, v := range c.Env {
		file, ok := files[v.Name]
		switch {
		case ok && v.Value == "/run/secrets/broker/"+file:
			out = append(out, file)
		case ok || strings.HasPrefix(v.Value, "/run/secrets/broker/"):
			out = append(out, v.Name+"="+v.Value)
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
			if got := strings.Join(brokerEnvironment(c), " "); c.Name != "nats" && got != want[c.Name] {
				t.Errorf("%s: the environment of %s names %q of the operator, want %q", name, c.Name, got, want[c.Name])
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

func TestTheBrokerHasOneKindOfAccounts(t *testing.T) {
	for name, operator := range map[string]bool{"default": false, "everything": false, "secrets": false, "operator": true} {
		all, err := render(values(t, name))
		if err != nil {
			t.Fatal(err)
		}
		conf := ""
		for _, text := range all {
			object, _, _ := decoded(text)
			if x, ok := object.(*core.ConfigMap); ok && x.Name == "outbound-nats" {
				conf = x.Data["nats.conf"]
			}
		}
		if got := strings.Contains(conf, "include operator/accounts.conf"); got != operator {
			t.Errorf("%s: that the broker has the accounts of an operator is %v", name, got)
		}
		if got := strings.Contains(conf, "accounts {"); got == operator {
			t.Errorf("%s: that the broker has accounts in its file is %v", name, got)
		}
	}
}

func TestWithoutAnOperatorAccountsAreInAFile(t *testing.T) {
	for _, name := range []string{"default", "external", "everything", "secrets"} {
		all, err := render(values(t, name))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(all, "---")
		for _, word := range []string{
			"/run/secrets/broker", "/etc/nats/operator", "name: broker", "name: operator", "BROKER_ACCOUNTS", "CREDS_FILE",
		} {
			if strings.Contains(text, word) {
				t.Errorf("%s: a Secret of an operator is asked for: %s", name, word)
			}
		}
		if !strings.Contains(text, "OUTBOUND_NATS_PASSWORD_FILE") {
			t.Errorf("%s: no service has the password of the core user", name)
		}
	}
}
