package process_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/pkg/process"
)

type broker struct {
	URL          string `yaml:"url"`
	PasswordFile string `yaml:"passwordFile"`
	CAFile       string `yaml:"caFile"`
	Hidden       string `yaml:"-"`
}

type rule struct {
	Name string `yaml:"name"`
	Max  uint8  `yaml:"max"`
}

type shared struct {
	LogLevel string `yaml:"logLevel"`
}

type options struct {
	Listen      string         `yaml:"listen"`
	Workers     int            `yaml:"workers"`
	Ratio       float64        `yaml:"ratio"`
	Debug       bool           `yaml:"debug"`
	Timeout     time.Duration  `yaml:"timeout"`
	AllowEgress []string       `yaml:"allowEgress"`
	Ports       []int          `yaml:"ports"`
	NATS        broker         `yaml:"nats"`
	Rules       []rule         `yaml:"rules"`
	Weights     map[string]int `yaml:"weights"`
	shared
	Shared shared `yaml:",inline"`
}

func (o options) Validate() error {
	var f process.Faults
	if o.Workers < 1 {
		f.Add("workers", "is %d: give at least 1", o.Workers)
	}
	if o.NATS.URL == "" {
		var inner process.Faults
		inner.Add("url", "is missing: set it to the broker's address")
		f.Within("nats", inner.Err())
	}
	return f.Err()
}

func defaults() options {
	return options{Workers: 4, Timeout: time.Second, NATS: broker{URL: "nats://127.0.0.1:4222", Hidden: "x"}}
}

func load(t *testing.T, file string, env ...string) (options, string, error) {
	t.Helper()
	o := defaults()
	s := process.Source{Env: env}
	if file != "" {
		s.File = filepath.Join(t.TempDir(), "options.yaml")
		if err := os.WriteFile(s.File, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err := process.Load(&o, s)
	return o, s.File, err
}

func TestTheEnvironmentGoesOverTheFileGoesOverDefaults(t *testing.T) {
	got, _, err := load(t, `
listen: 127.0.0.1:7070   # a comment
workers: 8
ratio: 0.5
debug: true
timeout: 1m30s
allowEgress: [127.0.0.0/8, "10.0.0.0/8"]
ports:
  - 1
  - 2
nats:
  url: nats://file:4222
  passwordFile: /run/secrets/nats
rules:
  - name: a
    max: 3
weights: {x: 1, "y z": 2}
logLevel: debug
`, "OUTBOUND_WORKERS=16", "OUTBOUND_NATS_URL=nats://env:4222", "OUTBOUND_NATS_CA_FILE=/ca", "OUTBOUND_TIMEOUT=5s",
		"OUTBOUND_PORTS=7, 8", "OUTBOUND_DEBUG=false", "OUTBOUND_LOG_LEVEL=warn", "HOME=/root", "OUTBOUND_TOKEN=x", "OUTBOUND_URL=y",
		"OUTBOUND_OPTIONS=z")
	if err != nil {
		t.Fatal(err)
	}
	want := options{
		Listen: "127.0.0.1:7070", Workers: 16, Ratio: 0.5, Timeout: 5 * time.Second, AllowEgress: []string{"127.0.0.0/8", "10.0.0.0/8"},
		Ports: []int{7, 8}, NATS: broker{URL: "nats://env:4222", PasswordFile: "/run/secrets/nats", CAFile: "/ca", Hidden: "x"},
		Rules: []rule{{"a", 3}}, Weights: map[string]int{"x": 1, "y z": 2}, Shared: shared{LogLevel: "warn"},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(options{})); d != "" {
		t.Errorf("options differ:\n%s", d)
	}
}

func TestEmptyFilesAndSectionsLeaveDefaults(t *testing.T) {
	for _, file := range []string{"\n", "# nothing\n", "nats:\n", "nats:\n  url:\n", "{}\n", "---\n"} {
		got, _, err := load(t, file)
		if err != nil {
			t.Errorf("%q: %v", file, err)
		}
		if d := cmp.Diff(defaults(), got, cmp.AllowUnexported(options{})); d != "" {
			t.Errorf("%q changes defaults:\n%s", file, d)
		}
	}
}

func TestFaultsSayWhereAndWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		env  []string
		want []string
	}{
		"unknown key": {"workers: 1\nnats:\n  urll: x\n", nil, []string{":3: nats.urll: unknown option: did you mean url?"}},
		"far from any key": {"nats:\n  zzzzzzzzzz: x\n", nil,
			[]string{":2: nats.zzzzzzzzzz: unknown option: known options: caFile, passwordFile, url"}},
		"hidden key":               {"nats:\n  hidden: x\n", nil, []string{":2: nats.hidden: unknown option"}},
		"in a list":                {"rules:\n  - name: a\n  - nam: b\n", nil, []string{":3: rules[1].nam: unknown option: did you mean name?"}},
		"wrong number":             {"workers: many\n", nil, []string{`:1: workers: "many" is not a whole number`}},
		"number too large":         {"rules:\n- max: 256\n", nil, []string{`:2: rules[0].max: "256" is not a whole number (uint8)`}},
		"wrong duration":           {"timeout: 5\n", nil, []string{`:1: timeout: "5" is not a duration such as 30s or 5m`}},
		"wrong bool":               {"debug: yes\n", nil, []string{`:1: debug: "yes" is not true or false`}},
		"section for value":        {"workers:\n  a: 1\n", nil, []string{"workers: want a whole number (int), not a section of options"}},
		"value for section":        {"nats: x\n", nil, []string{":1: nats: want a section of options"}},
		"value for list":           {"ports: 1\n", nil, []string{":1: ports: want a list"}},
		"list for value":           {"workers: [1]\n", nil, []string{":1: workers: want a whole number (int), not a list"}},
		"list for all":             {"- a\n", nil, []string{":1: want a section of options, not a list"}},
		"alias":                    {"nats: &a\n  url: x\n", nil, []string{"nats: anchors, aliases and tags are not supported"}},
		"twice":                    {"workers: 1\nworkers: 2\n", nil, []string{":2: ", "not YAML"}},
		"not YAML":                 {"workers: [1\nnats: }\n", nil, []string{"options.yaml:", "not YAML"}},
		"after a directive":        {"%YAML 1.2\n---\nworkerss: 1\n", nil, []string{":3: workerss: unknown option"}},
		"after an empty document":  {"---\n---\nworkerss: 1\n", nil, []string{":3: workerss: unknown option"}},
		"two documents, one apart": {"workers: 1\n---\n---\nworkers: 2\n", nil, []string{":3: an options file must hold one document"}},
		"two documents":            {"workers: 1\n---\nworkers: 2\n", nil, []string{":2: an options file must hold one document"}},
		"all at once": {"a: 1\nb: 2\ntimeout: x\n", []string{"OUTBOUND_DEBUG=x"},
			[]string{"4 errors", ":1: a:", ":2: b:", ":3: timeout:", "OUTBOUND_DEBUG: debug: "}},
		"unknown variable": {"", []string{"OUTBOUND_NATS_PASWORD_FILE=x"},
			[]string{"OUTBOUND_NATS_PASWORD_FILE: unknown option in the environment: did you mean OUTBOUND_NATS_PASSWORD_FILE?"}},
		"list of sections": {"", []string{"OUTBOUND_RULES=x"}, []string{"OUTBOUND_RULES: unknown option in the environment"}},
		"wrong variable":   {"", []string{"OUTBOUND_PORTS=1,b"}, []string{`OUTBOUND_PORTS: ports: "b" is not a whole number`}},
		"refused by options": {"workers: 0\n", []string{"OUTBOUND_NATS_URL="},
			[]string{"2 errors", "workers: is 0: give at least 1", "nats.url: is missing: set it to the broker's address"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, file, err := load(t, c.file, c.env...)
			var usage *process.UsageError
			if !errors.As(err, &usage) {
				t.Fatalf("error is %v, want a UsageError", err)
			}
			if len(c.env) == 0 && !strings.Contains(err.Error(), "errors in the options") && !strings.Contains(err.Error(), file) {
				t.Errorf("error %q does not name the file", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error is\n%s\nwant %q in it", err, want)
				}
			}
		})
	}
}

func TestAnAbsentFileIsAFault(t *testing.T) {
	o := defaults()
	err := process.Load(&o, process.Source{File: "/does/not/exist.yaml"})
	if err == nil || !strings.Contains(err.Error(), "/does/not/exist.yaml") {
		t.Errorf("error is %v, want the file's name", err)
	}
}
