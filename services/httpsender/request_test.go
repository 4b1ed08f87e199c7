package httpsender_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.opentelemetry.io/otel/trace"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/services/httpsender"
)

// arrived is what a receiver saw of one request.
type arrived struct {
	line   string
	header http.Header
	body   []byte
}

// text is the request as text, with what changes from run to run masked.
func (a arrived) text() []byte {
	var b bytes.Buffer
	b.WriteString(a.line + "\n")
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		value := strings.Join(a.header[name], ", ")
		if name == "Webhook-Timestamp" || name == "Webhook-Signature" {
			value = "(masked)"
		}
		b.WriteString(name + ": " + value + "\n")
	}
	b.WriteString("\n")
	b.Write(a.body)
	return b.Bytes()
}

// deliver sends d, whose URL is set to a receiver's, and says what arrived.
func deliver(ctx context.Context, t *testing.T, s delivery.Sender, d *delivery.Delivery) arrived {
	t.Helper()
	got := make(chan arrived, 1)
	r := newReceiver(t, nil, func(_ http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		got <- arrived{q.Method + " " + q.RequestURI + " " + q.Proto, q.Header, body}
	})
	d.Recipient.HTTP.URL = r.URL + "/hook?appliance=Default"
	if o := s.Send(ctx, d); s.Judge(d, o).Kind != delivery.Delivered {
		t.Fatalf("got %+v", o)
	}
	return <-got
}

func everything(r *recipient.Recipient) {
	r.HTTP.SendCustomFields = true
	r.HTTP.Headers = map[string]string{
		"x-team": "support", "Webhook-Id": "forged", "Idempotency-Key": "would make net/http repeat", "Host": "elsewhere",
		"Content-Length": "1", "user-agent": "forged",
	}
	r.HTTP.Auth = recipient.Auth{Header: "Authorization", Value: "Bearer t0ken"}
	r.HTTP.SigningSecrets = []recipient.SigningSecret{
		{Key: []byte("an expired secret of 26 b."), Expire: time.Now().Add(-time.Minute)},
		{Key: []byte("the old secret of 24 byte"), Expire: time.Now().Add(time.Hour)},
		{Key: []byte("the new secret of 24 byte")},
	}
}

func TestRequests(t *testing.T) {
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0xa1, 15: 2}, SpanID: trace.SpanID{0xb3, 7: 4},
		TraceFlags: trace.FlagsSampled})
	traced := trace.ContextWithSpanContext(t.Context(), span)
	for name, c := range map[string]struct {
		ctx    context.Context
		change func(*delivery.Delivery)
	}{
		"form_plain.txt":      {t.Context(), func(*delivery.Delivery) {}},
		"form_everything.txt": {traced, func(d *delivery.Delivery) { everything(d.Recipient) }},
		"json_plain.txt":      {t.Context(), func(d *delivery.Delivery) { d.Recipient.HTTP.Format = recipient.JSON }},
		"json_everything.txt": {traced, func(d *delivery.Delivery) { everything(d.Recipient); d.Recipient.HTTP.Format = recipient.JSON }},
		"form_test_event.txt": {t.Context(), func(d *delivery.Delivery) {
			d.Test, d.ReplayID, d.TraceParent = true, "r1", "00-a1000000000000000000000000000002-b300000000000004-01"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := deliveryTo("")
			c.change(d)
			got := deliver(c.ctx, t, newSender(t, "region"), d)
			golden.Check(t, name, got.text())
		})
	}
}

func TestEachLivingSecretSigns(t *testing.T) {
	d := deliveryTo("", everything)
	got := deliver(t.Context(), t, newSender(t), d)
	for i, want := range []bool{false, true, true} {
		w, err := standardwebhooks.NewWebhookRaw(d.Recipient.HTTP.SigningSecrets[i].Key)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Verify(got.body, got.header); (err == nil) != want {
			t.Errorf("secret %d: %v", i, err)
		}
	}
}

func TestAttemptsDifferInNothingButTimeAndSignature(t *testing.T) {
	s, first := newSender(t), deliveryTo("", everything)
	second := deliveryTo("", everything)
	second.Attempt, second.Number, first.Number = 7, 42, 42
	second.Recipient.Revision++
	a, b := deliver(t.Context(), t, s, first), deliver(t.Context(), t, s, second)
	if !bytes.Equal(a.text(), b.text()) {
		t.Errorf("first\n%s\nlater\n%s", a.text(), b.text())
	}
	// A replay says that it is one, and nothing else.
	second.ReplayID = "r1"
	second.Recipient.Revision++
	again := deliver(t.Context(), t, s, second)
	if got := again.header.Get("Outbound-Replay"); got != "r1" {
		t.Errorf("the replay is marked %q", got)
	}
	again.header.Del("Outbound-Replay")
	if !bytes.Equal(a.text(), again.text()) {
		t.Errorf("first\n%s\nreplay\n%s", a.text(), again.text())
	}
}

func TestDeliveriesSayTheirNumber(t *testing.T) {
	for _, c := range []struct {
		number             uint64
		sequence, previous string
	}{{0, "", ""}, {1, "1", "0"}, {42, "42", "41"}} {
		for _, format := range []recipient.Format{recipient.Form, recipient.JSON, recipient.JSONBinary} {
			d := deliveryTo("", func(r *recipient.Recipient) { r.HTTP.Format = format })
			d.Number = c.number
			h := deliver(t.Context(), t, newSender(t), d).header
			if s, p := h.Get("Outbound-Sequence"), h.Get("Outbound-Previous"); s != c.sequence || p != c.previous || h.Get("Outbound-Replay") != "" {
				t.Errorf("number %d in format %v is sent as %q after %q", c.number, format, s, p)
			}
		}
	}
}

func TestSettingsThatCannotBeSent(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*recipient.Recipient)
		fault  delivery.Fault
	}{
		"header with a line break": {func(r *recipient.Recipient) { r.HTTP.Headers = map[string]string{"X-A": "a\r\nX-B: b"} },
			delivery.FaultProtocol},
		"auth with a line break": {func(r *recipient.Recipient) { r.HTTP.Auth = recipient.Auth{Header: "X-Key", Value: "canary\n"} },
			delivery.FaultAuth},
		"format of a later version": {func(r *recipient.Recipient) { r.HTTP.Format = 99 }, delivery.FaultProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, nil, func(http.ResponseWriter, *http.Request) {})
			o, v := attempt(t, newSender(t), deliveryTo(r.URL, c.change))
			if o.Fault != c.fault || v.Kind != delivery.Retry || r.connections.Load() != 0 {
				t.Errorf("got %+v, %+v after %d connections", o, v, r.connections.Load())
			}
		})
	}
}

func TestEventThatCannotBeRenderedIsDropped(t *testing.T) {
	r := newReceiver(t, nil, func(http.ResponseWriter, *http.Request) {})
	d := deliveryTo(r.URL, func(r *recipient.Recipient) { r.HTTP.Format = recipient.JSON })
	d.Event.Raw = d.Event.Raw[:40]
	if o, v := attempt(t, newSender(t), d); v.Kind != delivery.Drop || v.Reason != reasons.Render {
		t.Errorf("got %+v, %+v", o, v)
	}
}

func TestOptionsAreCheckedAllAtOnce(t *testing.T) {
	if err := httpsender.DefaultOptions().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	o := httpsender.Options{
		URLPolicy: "http", AllowEgress: []string{"10.0.0.0/8", "intranet"}, OwnServices: []string{"nats"}, MaxTimeout: 40 * time.Second,
		Grace: -1,
	}
	err := o.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"urlPolicy", "allowEgress[1]", "ownServices[0]", "slots", "window", "grace", "maxTimeout: 40s",
		"ack wait 45s"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %q", err, want)
		}
	}
}
