package httpsender_test

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
)

// What a preview shows is what arrives: every header and every byte of the body, but for secrets and for what is made at sending.
func TestAPreviewIsWhatArrives(t *testing.T) {
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0xa1, 15: 2}, SpanID: trace.SpanID{0xb3, 7: 4},
		TraceFlags: trace.FlagsSampled})
	traced := trace.ContextWithSpanContext(t.Context(), span)
	for name, c := range map[string]struct {
		change func(*recipient.Recipient)
		hidden []string
	}{
		"form plain": {func(*recipient.Recipient) {}, nil},
		"form":       {everything, []string{"Authorization", "Webhook-Signature"}},
		"json": {func(r *recipient.Recipient) { everything(r); r.HTTP.Format = recipient.JSON },
			[]string{"Authorization", "Webhook-Signature"}},
		"binary": {func(r *recipient.Recipient) { everything(r); r.HTTP.Format = recipient.JSONBinary },
			[]string{"Authorization", "Webhook-Signature"}},
		"template": {func(r *recipient.Recipient) {
			templated(r)
			r.HTTP.Auth = recipient.Auth{Header: "X-Key", Value: "s3cret"}
		}, []string{"X-Key"}},
	} {
		t.Run(name, func(t *testing.T) {
			previewed(traced, t, c.change, append(c.hidden, "Webhook-Timestamp", "Traceparent"))
		})
	}
}

func previewed(ctx context.Context, t *testing.T, change func(*recipient.Recipient), hidden []string) {
	d := deliveryTo("", change)
	got := deliver(ctx, t, newSender(t, "region"), d)
	shown, err := render.PreviewHTTP(d.Recipient, d.Event,
		render.PreviewOptions{UserAgent: "Outbound/1.2.3", Custom: []string{"region"}, At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if string(shown.Body) != string(got.body) || shown.URL != d.Recipient.HTTP.URL || !strings.HasPrefix(got.line, shown.Method+" ") {
		t.Errorf("shown %s %s\n%s\narrived %s\n%s", shown.Method, shown.URL, shown.Body, got.line, got.body)
	}
	// net/http takes the host out of the header.
	want := maps.Clone(got.header)
	want.Set("Host", strings.TrimPrefix(strings.TrimSuffix(d.Recipient.HTTP.URL, "/hook?appliance=Default"), "http://"))
	for _, name := range hidden {
		if want.Get(name) == "" {
			t.Errorf("%s did not arrive", name)
		}
		want.Set(name, render.MadeAtSending)
		if name == "Authorization" || name == "X-Key" {
			want.Set(name, render.Redacted)
		}
	}
	have := http.Header{}
	for _, h := range shown.Headers {
		have.Add(h.Name, h.Value)
	}
	if !maps.EqualFunc(have, want, func(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }) {
		t.Errorf("shown\n%v\narrived\n%v", have, want)
	}
}

// A recipient whose secrets were not opened shows the same.
func TestAPreviewNeedsNoSecrets(t *testing.T) {
	open := deliveryTo("https://receiver.example/hook", everything)
	sealed := deliveryTo("https://receiver.example/hook", everything)
	sealed.Recipient.HTTP.Auth.Value = ""
	for i := range sealed.Recipient.HTTP.SigningSecrets {
		sealed.Recipient.HTTP.SigningSecrets[i].Key = nil
	}
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	o := render.PreviewOptions{UserAgent: "Outbound/1.2.3", At: at, Sent: true}
	a, err := render.PreviewHTTP(open.Recipient, open.Event, o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := render.PreviewHTTP(sealed.Recipient, sealed.Event, o)
	if err != nil {
		t.Fatal(err)
	}
	var text [2]strings.Builder
	for i, p := range []render.HTTPPreview{a, b} {
		for _, h := range p.Headers {
			text[i].WriteString(h.Name + ": " + h.Value + "\n")
		}
	}
	if text[0].String() != text[1].String() {
		t.Errorf("shown\n%s\nand\n%s", &text[0], &text[1])
	}
	for _, want := range []string{"Host: receiver.example\n", "Authorization: [redacted]\n", "Webhook-Signature: [generated when sent]\n",
		"Webhook-Timestamp: 1795255200\n"} {
		if !strings.Contains(text[0].String(), want) {
			t.Errorf("%q is not in\n%s", want, &text[0])
		}
	}
	if strings.Contains(text[0].String(), "t0ken") {
		t.Errorf("shown\n%s", &text[0])
	}
}
