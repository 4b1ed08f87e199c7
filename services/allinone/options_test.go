package allinone_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/services/allinone"
)

// faulty are the options at fault, in order.
func faulty(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var f process.Faults
	if !errors.As(err, &f) {
		t.Fatalf("%v has no list of faults", err)
	}
	var out []string
	for _, x := range f {
		out = append(out, x.Path)
	}
	return out
}

func TestTheDefaultOptionsAreSound(t *testing.T) {
	o := allinone.DefaultOptions()
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
	if o.URLPolicy != recipient.HTTPSOnly || o.Sync != allinone.SyncAlways || len(o.AllowEgress) != 0 {
		t.Errorf("the defaults are not the safe ones: %s, %s, %v", o.URLPolicy, o.Sync, o.AllowEgress)
	}
	for name, address := range map[string]string{"http": o.HTTP, "grpc": o.GRPC, "nats": o.NATS} {
		if !strings.HasPrefix(address, "127.0.0.1:") {
			t.Errorf("%s listens on %s, beyond this machine", name, address)
		}
	}
}

func TestEachOptionIsValidated(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*allinone.Options)
		want string // the option at fault
		says string
	}{
		{"no folder", func(o *allinone.Options) { o.Data = "" }, "data (--data)", "is missing"},
		{"no address", func(o *allinone.Options) { o.HTTP = "" }, "http (--http)", "host:port"},
		{"no port", func(o *allinone.Options) { o.GRPC = "127.0.0.1" }, "grpc (--grpc)", "host:port"},
		{"an empty port", func(o *allinone.Options) { o.NATS = "127.0.0.1: " }, "nats (--nats)", "host:port"},
		{"no host", func(o *allinone.Options) { o.HTTP = ":8080" }, "http (--http)", "127.0.0.1:8080"},
		{"an unknown policy", func(o *allinone.Options) { o.URLPolicy = "all" }, "urlPolicy (--url-policy)", "https-443"},
		{"no prefix", func(o *allinone.Options) { o.AllowEgress = []string{"10.0.0.0/33"} }, "allowEgress (--allow-egress)", "10.0.0.0/33"},
		{"an unknown sync", func(o *allinone.Options) { o.Sync = "never" }, "sync (--sync)", `"never" is not known: use always or interval`},
		{"log level", func(o *allinone.Options) { o.Telemetry.LogLevel = "loud" }, "telemetry.logLevel", ""},
		{"email sender", func(o *allinone.Options) { o.EmailSender.Connections = 0 }, "emailSender.connections", "out of range"},
		{"console", func(o *allinone.Options) { o.Console.MaxBody = 0 }, "console.maxBody", "out of range"},
		{"ingest", func(o *allinone.Options) { o.Ingest.Timeout = 0 }, "ingest.timeout", "is out of range"},
		{"HTTP sender", func(o *allinone.Options) { o.HTTPSender.Window = 0 }, "httpSender.window", "is out of range"},
		{"own services", func(o *allinone.Options) { o.HTTPSender.OwnServices = []string{"nats:4222", "x"} }, "httpSender.ownServices[1]", ""},
		{"proxy", func(o *allinone.Options) { o.HTTPSender.Proxy.URL = "x" }, "httpSender.proxy.url", "http://host:port"},
		{"config", func(o *allinone.Options) { o.Config.ReconcileEvery = -1 }, "config.reconcileEvery", "must be more than 0"},
		{"history", func(o *allinone.Options) { o.History.AlertTick = 0 }, "history.careTick", "is out of range"},
		{"session", func(o *allinone.Options) { o.Console.Session.Idle = 0 }, "console.session.idle", "at least 1m"},
		{"replicas", func(o *allinone.Options) { o.Streams.Replicas = 3 }, "streams.replicas", "is 3: the embedded broker is one server"},
		{"no replica", func(o *allinone.Options) { o.Streams.Replicas = 0 }, "streams.replicas", "is 0"},
		{"an unlimited stream", func(o *allinone.Options) { o.Streams.EventsMaxBytes = -1 }, "streams.eventsMaxBytes", "is -1"},
		{"no log", func(o *allinone.Options) { o.Streams.HistoryMaxBytes = 0 }, "streams.historyMaxBytes", "is 0"},
		{"no records", func(o *allinone.Options) { o.Streams.HistoryMaxRecords = 0 }, "streams.historyMaxRecords", "is 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t)
			c.set(&o)
			err := o.Validate()
			if got := faulty(t, err); !slices.Equal(got, []string{c.want}) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A wrong option does not hide another, whichever service it is of, and one that several services share is named once.
func TestWrongOptionsAreReportedAllAtOnce(t *testing.T) {
	o := options(t)
	o.Data, o.HTTP, o.GRPC, o.NATS = "", "a", "b", "c"
	o.URLPolicy, o.AllowEgress, o.Sync = "all", []string{"x", "10.0.0.0/8", "y"}, "never"
	o.EmailSender.Connections, o.HTTPSender.Window, o.Console.MaxBody, o.Config.ReconcileEvery, o.Ingest.Timeout = 0, 0, 0, -1, 0
	o.HTTPSender.Grace, o.Streams.Replicas, o.Streams.EventsMaxBytes = -1, 3, 0
	want := []string{
		"data (--data)", "http (--http)", "grpc (--grpc)", "nats (--nats)", "urlPolicy (--url-policy)", "allowEgress (--allow-egress)",
		"allowEgress (--allow-egress)", "sync (--sync)", "streams.replicas", "streams.eventsMaxBytes", "ingest.timeout",
		"config.reconcileEvery", "httpSender.window", "httpSender.grace", "emailSender.connections", "console.maxBody",
	}
	s, err := allinone.New(o)
	if s != nil || err == nil || !strings.HasPrefix(err.Error(), "options of the all-in-one: 16 errors in the options\n") {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff(want, faulty(t, err)); diff != "" {
		t.Error(diff)
	}
}

func TestOptionsOfSeveralServicesAreGivenToEach(t *testing.T) {
	o := options(t)
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	if o.Config.URLPolicy != "any" || o.HTTPSender.URLPolicy != recipient.AnyURL {
		t.Errorf("URL policies %s and %s", o.Config.URLPolicy, o.HTTPSender.URLPolicy)
	}
	if !slices.Equal(o.Config.AllowEgress, o.AllowEgress) || !slices.Equal(o.HTTPSender.AllowEgress, o.AllowEgress) {
		t.Errorf("egress %v and %v", o.Config.AllowEgress, o.HTTPSender.AllowEgress)
	}
}
