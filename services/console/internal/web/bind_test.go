package web_test

import (
	"net/url"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

func TestShownValuesAreReadBack(t *testing.T) {
	in := &outboundv1.Recipient{
		DisplayName: "CRM", Enabled: proto.Bool(true), EventTypes: []string{"a", "b"},
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{
			Url: "https://crm.example/in", RetryInterval: durationpb.New(90 * time.Second), Order: outboundv1.HttpRecipient_Order_STRICT,
			Backoff: &outboundv1.Backoff{Multiplier: 1.5}, MaxInFlight: 7, CaCertificatePem: "-----BEGIN\nx\n-----END\n",
		}},
	}
	paths := []string{"displayName", "enabled", "eventTypes", "http.url", "http.retryInterval", "http.order", "http.backoff.multiplier",
		"http.maxInFlight", "http.caCertificatePem", "http.rateLimit.limit"}
	form := web.NewForm(nil)
	if err := form.Show(in, paths...); err != nil {
		t.Fatal(err)
	}
	if got := form.Get("http.retryInterval"); got != "1 min 30 s" {
		t.Errorf("the interval is shown as %q", got)
	}
	out := &outboundv1.Recipient{Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{}}}
	if err := form.Read(out, paths...); err != nil || form.Bad() {
		t.Fatal(err, form.Faults)
	}
	if !proto.Equal(in, out) {
		t.Errorf("read back:\n%v\nwant\n%v", out, in)
	}
	if form.Show(in, "http.nothing") == nil || form.Read(out, "http.nothing") == nil || form.Read(out, "http.headers") == nil {
		t.Error("a path that is none, or a map, was taken")
	}
}

func TestInvalidValuesAreFaultsOfTheirFields(t *testing.T) {
	form := &web.Form{Values: url.Values{"http.maxInFlight": {"many"}, "http.retryInterval": {"soon"}, "http.order": {"SIDEWAYS"},
		"http.backoff.multiplier": {"x"}}}
	m := &outboundv1.Recipient{}
	if err := form.Read(m, "http.maxInFlight", "http.retryInterval", "http.order", "http.backoff.multiplier"); err != nil {
		t.Fatal(err)
	}
	for field := range form.Values {
		if form.FaultOf(field) == "" {
			t.Errorf("%s: no fault", field)
		}
	}
}

func TestDurationsAreParsed(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30 s": 30 * time.Second, "5min": 5 * time.Minute, "24 h": 24 * time.Hour, "1 h 30 min": 90 * time.Minute, "1.5h": 90 * time.Minute,
		"100ms": 100 * time.Millisecond, "2 days": 48 * time.Hour, "30s": 30 * time.Second, "1h30m": 90 * time.Minute,
	} {
		if got, ok := web.ParseWords(text); !ok || got != want {
			t.Errorf("%q is %s, %v, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "soon", "5", "5 fortnights", "-1 s", "1..2 s", "99999999999 h", "s 5"} {
		if got, ok := web.ParseWords(text); ok {
			t.Errorf("%q was read as %s", text, got)
		}
	}
	for d, want := range map[time.Duration]string{1500 * time.Millisecond: "1 s 500 ms", 90 * time.Second: "1 min 30 s",
		100 * time.Millisecond: "100 ms"} {
		got := web.Words(d)
		if back, ok := web.ParseWords(got); got != want || !ok || back != d {
			t.Errorf("%s is written %q and read as %s", d, got, back)
		}
	}
}
