package preset_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/preset"
	"github.com/outbound-events/outbound/pkg/render"
)

// given are the values of fields for each preset; base stands for the address of the peer.
func given(name, base string) map[string]string {
	switch name {
	case "slack":
		return map[string]string{"url": base + "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"}
	case "teams":
		return map[string]string{"url": base + "/workflows/abc/triggers/manual/paths/invoke?api-version=2016-06-01&sig=x"}
	case "pagerduty":
		return map[string]string{"url": base + "/v2/enqueue", "routing_key": routingKey, "severity": "warning"}
	case "servicenow-incident", "servicenow-event":
		return map[string]string{"instance": base + "/", "username": "outbound", "password": `p"w`}
	case "jira":
		return map[string]string{"site": base, "email": "ops@example.com", "api_token": "t", "project": "OPS", "issue_type": `Sub "task"`}
	case "splunk-hec":
		return map[string]string{"url": base + "/services/collector/event", "token": "12345678-1234-1234-1234-1234567890AB", "index": "main"}
	default:
		return map[string]string{"url": base + "/"}
	}
}

const routingKey = "R0123456789abcdef0123456789abcde"

// target makes what a sender has of the fields of a preset.
func target(t *testing.T, h map[string]any) *recipient.HTTPTarget {
	t.Helper()
	text := func(m map[string]any, name string) string { s, _ := m[name].(string); return s }
	out := &recipient.HTTPTarget{URL: text(h, "url"), BodyTemplate: text(h, "bodyTemplate"), BodyContentType: text(h, "bodyContentType"),
		Success: recipient.Status200, Headers: map[string]string{}}
	if text(h, "success") == "ANY_2XX" {
		out.Success = recipient.Any2xx
	}
	headers, _ := h["headers"].(map[string]any)
	for name := range headers {
		out.Headers[name] = text(headers, name)
	}
	auth, _ := h["auth"].(map[string]any)
	if b, ok := auth["basic"].(map[string]any); ok {
		out.Auth = recipient.Auth{Header: "Authorization",
			Value: "Basic " + base64.StdEncoding.EncodeToString([]byte(text(b, "username")+":"+text(b, "password")))}
	}
	if k, ok := auth["apiKey"].(map[string]any); ok {
		out.Auth = recipient.Auth{Header: text(k, "header"), Value: text(k, "value")}
	}
	return out
}

// hostile are texts that break formats which are put together carelessly.
func hostile() []string {
	return []string{
		"plain", `"quoted" \ back\\slash`, "two\nlines\r\nand\ttabs", "<!channel> & <https://evil.example|here> &amp;", "{noformat}\nh1. big{code}",
		`]"] [x@1 y="z"]`, "\u2028\u2029 \x01\x1f 日本語 🎉", "{{.Event.Key}} {{", "**bold** [link](https://evil.example)",
		strings.Repeat(`é"<`, 5_000), strings.Repeat("\x02", 8_000),
	}
}

// events are an example of each type of the catalogue, and one with each hostile text in all that senders of events choose.
func events(t *testing.T) (out []*event.Event) {
	t.Helper()
	at := time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.UTC)
	for i, typ := range event.Catalogue() {
		e := event.Sample(typ, "appliance-1", "e-1", at, nil)
		if e == nil {
			t.Fatalf("there is no sample of %s", typ.ID)
		}
		out = append(out, e)
		bad := *e
		text := hostile()[i%len(hostile())]
		bad.ExternalKey, bad.Session = text, text
		bad.SentID = "e " + text[:min(len(text), 200)]
		bad.ID = event.Token(bad.SentID)
		bad.Variables = slices.Clone(e.Variables)
		for j := range bad.Variables {
			bad.Variables[j].Value = hostile()[(i+j)%len(hostile())]
		}
		out = append(out, &bad)
	}
	longest := *out[1]
	longest.Type, longest.Appliance = "t"+strings.Repeat("y", 63), strings.Repeat("a", 64)
	longest.ExternalKey = strings.Repeat("k", 1000)
	return append(out, &longest)
}

// TestPresetsSpeakTheFormatsOfTheirServices posts each event twice to a peer that checks the documented format of the service.
func TestPresetsSpeakTheFormatsOfTheirServices(t *testing.T) {
	all := events(t)
	if len(all) < 2*len(hostile()) {
		t.Fatalf("only %d events: not every hostile text is tried", len(all))
	}
	for _, p := range preset.All() {
		t.Run(p.Name, func(t *testing.T) {
			check := peers()[p.Name]
			if check == nil {
				t.Fatal("it has no peer")
			}
			var last []byte
			peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				last, _ = io.ReadAll(r.Body)
				f := &faults{}
				status, answer := check(f, r, last)
				if len(f.all) > 0 {
					status, answer = http.StatusBadRequest, strings.Join(f.all, "; ")
				}
				w.WriteHeader(status)
				_, _ = io.WriteString(w, answer)
			}))
			defer peer.Close()
			h, err := p.HTTP(given(p.Name, peer.URL))
			if err != nil {
				t.Fatal(err)
			}
			to := target(t, h)
			w, err := render.NewHTTPWriter(to, "Outbound/test")
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range all {
				status, answer := post(t, w, e)
				first := last
				if post(t, w, e); !bytes.Equal(first, last) {
					t.Errorf("a retry of %s has another body", e.Type)
				}
				if status != http.StatusOK && (to.Success != recipient.Any2xx || status > 299) {
					t.Errorf("%s of %q is answered %d: %s\n%.600s", e.Type, e.ExternalKey[:min(len(e.ExternalKey), 40)], status, answer, first)
				}
			}
		})
	}
}

func post(t *testing.T, w *render.HTTPWriter, e *event.Event) (status int, answer string) {
	t.Helper()
	header, body, err := w.Request(&delivery.Delivery{Event: e}, render.Sending{At: time.Now()})
	if err != nil {
		t.Fatalf("%s: %v", e.Type, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL.String(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header(header)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func TestFieldsAreCheckedByName(t *testing.T) {
	pagerDuty, err := preset.Find("pagerduty")
	if err != nil {
		t.Fatal(err)
	}
	for want, values := range map[string]map[string]string{
		"routing_key is missing: integration key":           {},
		"severity is \"fatal\": use one of critical, error": {"routing_key": routingKey, "severity": "fatal"},
		"url is not a URL":                   {"routing_key": routingKey, "url": "events.pagerduty.com"},
		"routing_key has control characters": {"routing_key": "a\nb"},
		"routing_key has {{":                 {"routing_key": "{{x}}"},
		"severty is not a field of the preset pagerduty: it has routing_key, s": {"routing_key": routingKey, "severty": "info"},
	} {
		if _, err := pagerDuty.HTTP(values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v gives %v, want %s", values, err, want)
		}
	}
	if _, err := preset.Find("slak"); err == nil || !strings.Contains(err.Error(), "did you mean slack?") {
		t.Errorf("a misspelled preset gives %v", err)
	}
}

// TestSecretsAreNotInTemplates: a template is shown to all who can read the recipient.
func TestSecretsAreNotInTemplates(t *testing.T) {
	for _, p := range preset.All() {
		values := given(p.Name, "https://peer.example")
		h, err := p.HTTP(values)
		if err != nil {
			t.Fatal(err)
		}
		secrets := 0
		for _, f := range p.Fields {
			if f.Secret {
				secrets++
				if text, _ := h["bodyTemplate"].(string); strings.Contains(text, values[f.Name]) && len(values[f.Name]) > 3 {
					t.Errorf("the template of %s has the secret %s", p.Name, f.Name)
				}
			}
		}
		if secrets == 0 && len(p.Fields) > 2 {
			t.Errorf("%s has no secret", p.Name)
		}
	}
}
