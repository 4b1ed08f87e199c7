package main_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/allinone"
)

// optionsOf are the paths of the options in a struct, as YAML spells them.
func optionsOf(s reflect.Type, prefix string) (out []string) {
	for s.Kind() == reflect.Pointer {
		s = s.Elem()
	}
	if s.Kind() != reflect.Struct {
		return []string{strings.TrimSuffix(prefix, ".")}
	}
	for i := range s.NumField() {
		name, how, _ := strings.Cut(s.Field(i).Tag.Get("yaml"), ",")
		switch {
		case how == "inline":
			out = append(out, optionsOf(s.Field(i).Type, prefix)...)
		case name != "" && name != "-":
			out = append(out, optionsOf(s.Field(i).Type, prefix+name+".")...)
		}
	}
	return out
}

// TestTheReferenceNamesEveryOption looks for each option of a service in the tables of docs/configuration.md.
func TestTheReferenceNamesEveryOption(t *testing.T) {
	reference := documents(t)["docs/configuration.md"]
	services := map[string]string{
		"ingest": "ingest", "config": "config", "httpSender": "http-sender", "emailSender": "email-sender", "history": "history",
		"console": "console",
	}
	all := reflect.TypeFor[allinone.Options]()
	count := 0
	for i := range all.NumField() {
		service, ok := services[all.Field(i).Tag.Get("yaml")]
		if !ok {
			continue
		}
		for _, path := range optionsOf(all.Field(i).Type, "") {
			count++
			parent, leaf := "", path
			if at := strings.LastIndex(path, "."); at >= 0 {
				parent, leaf = path[:at], path[at:]
			}
			if !strings.Contains(reference, "`"+path+"`") && (parent == "" || !strings.Contains(reference, "`"+leaf+"`")) {
				t.Errorf("the reference lacks %s of %s", path, service)
			}
		}
	}
	if count < 45 {
		t.Errorf("found %d options: that cannot be all", count)
	}
}

// TestTheMetricsOfTheDocumentExist makes a delivery and a skip, and looks for each metric of docs/monitoring.md.
func TestTheMetricsOfTheDocumentExist(t *testing.T) {
	h := open(t, func(o *allinone.Options) { o.AllowEgress = []string{"127.0.0.0/8"} })
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer receiver.Close()
	h.must("recipients", "create", "--name", "Gets", "--url", receiver.URL, "--event", "support_conference_end")
	h.must("recipients", "create", "--name", "Skips", "--url", receiver.URL, "--event", "support_conference_end", "--disabled")
	h.must("appliances", "add", "appliance-1")
	h.must("tokens", "create", "CI", "--role", "viewer", "--expires-in", "24h")
	h.must("events", "publish", "--appliance", "appliance-1", "--event", "support_conference_end")
	named := regexp.MustCompile(`outbound_[a-z_]+`).FindAllString(documents(t)["docs/monitoring.md"], -1)
	if len(named) < 5 {
		t.Fatalf("the document names only %q", named)
	}
	waittest.NoError(t, "each metric of the document is there", func() error {
		text := metrics(t, h.env["OUTBOUND_URL"])
		for _, name := range named {
			if !strings.Contains(text, "# TYPE "+strings.TrimSuffix(name, "_count")+" ") {
				return fmt.Errorf("there is no %s", name)
			}
		}
		return nil
	})
}

func metrics(t *testing.T, url string) string {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
